package logging

import (
	"bytes"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// numbered are lines from..to of the given length, their newline included.
func numbered(from, to, length int) []byte {
	var b bytes.Buffer
	for i := from; i < to; i++ {
		fmt.Fprintf(&b, "%0*d\n", length-1, i)
	}
	return b.Bytes()
}

// Whatever was written, the last whole lines are kept, within both bounds.
func TestRecentLines(t *testing.T) {
	for name, c := range map[string]struct {
		chunks int // calls of add, with a line each
		length int
	}{
		"few":                  {3, 10},
		"as many as are kept":  {recentLines, 10},
		"more than are kept":   {recentLines + 7, 10},
		"many short ones":      {100_000, 10},
		"long ones":            {3000, 1000},
		"a ring's length":      {recentBytes/1024 + 1, 1024},
		"exactly one ring":     {recentBytes / 1024, 1024},
		"no divisor of a ring": {5000, 777},
	} {
		t.Run(name, func(t *testing.T) {
			var r recent
			for i := range c.chunks {
				r.add(numbered(i, i+1, c.length))
			}
			got := r.lines()
			whole := min(c.chunks, recentLines, recentBytes/c.length)
			kept := bytes.Count(got, []byte("\n"))
			require.Contains(t, []int{whole, whole - 1}, kept, "the line where the ring begins may count as cut")
			require.True(t, bytes.Equal(numbered(c.chunks-kept, c.chunks, c.length), got))
		})
	}
	var r recent
	require.Empty(t, r.lines())
	r.add(numbered(0, 2*recentLines, 1000)) // more than the ring in one call
	require.True(t, bytes.Equal(numbered(2*recentLines-recentBytes/1000, 2*recentLines, 1000), r.lines()))
	r = recent{}
	r.add([]byte(strings.Repeat("x", 2*recentBytes))) // no line at all
	require.Empty(t, r.lines())
}

// What nobody read is what a support case asks for: lines are there although they could not be written.
func TestRecentHasLinesThatWereLost(t *testing.T) {
	r, w := io.Pipe() // nobody reads
	l := New(Options{Format: "json", Out: w})
	for range 3 * bufferSize / 300 { // more than what waits and what is being written
		l.Info(strings.Repeat("x", 300))
	}
	l.Info("the last one")
	require.Positive(t, l.Dropped())
	require.Contains(t, string(l.Recent()), `"msg":"the last one"}`)
	r.Close()
	l.Close(time.Second)
}
