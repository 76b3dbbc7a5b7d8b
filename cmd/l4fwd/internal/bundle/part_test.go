package bundle

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// The listing of connections and the goroutines of a busy daemon are larger than other answers: they are whole up to 16 and 8 MiB, where
// others end at 4.
func TestLongAnswersAreCut(t *testing.T) {
	long := bytes.Repeat([]byte("x"), 17<<20)
	o := Options{Apart: time.Millisecond, Ask: func(context.Context, string) (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(long)), nil }}
	for _, p := range o.daemon() {
		want := map[string]int{"conns.json": 16 << 20, "goroutines.txt": 8 << 20}[p.Name]
		if want == 0 {
			want = 4 << 20
		}
		f := p.file(t.Context())
		require.Len(t, f.text, want, p.Name)
		require.True(t, f.Truncated)
	}
}

// The second scrape comes five seconds after the first, unless that is over before.
func TestTheSecondScrapeIsFiveSecondsLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		o := Options{Ask: func(context.Context, string) (io.ReadCloser, error) { return io.NopCloser(strings.NewReader("x")), nil }}
		all := o.daemon()
		second := all[slices.IndexFunc(all, func(p Part) bool { return p.Name == "metrics-2.txt" })]
		began := time.Now()
		f := second.file(t.Context())
		require.Equal(t, "x", string(f.text))
		require.Equal(t, 5*time.Second, time.Since(began))
		require.Equal(t, 5.0, f.Took)
		ctx, cancel := context.WithTimeout(t.Context(), time.Second)
		defer cancel()
		f = second.file(ctx)
		require.True(t, f.Missing)
		require.Equal(t, 6*time.Second, time.Since(began))
		// One that is asked for later has ten seconds from then on.
		o.Apart = time.Minute
		all = o.daemon()
		f = all[slices.IndexFunc(all, func(p Part) bool { return p.Name == "metrics-2.txt" })].file(t.Context())
		require.Equal(t, "x", string(f.text))
	})
}

// A part without a limit of its own has ten seconds.
func TestAPartHasTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		f := Part{Name: "never", Get: func(ctx context.Context, _ io.Writer) error { <-ctx.Done(); return ctx.Err() }}.file(t.Context())
		require.Equal(t, "it was not complete within 10s", f.Problem)
		require.Equal(t, 10.0, f.Took)
	})
}

// full takes so many writes.
type full struct{ left int }

func (w *full) Write(b []byte) (int, error) {
	if w.left--; w.left < 0 {
		return 0, errors.New("no space left")
	}
	return len(b), nil
}

// A disk that is full at any write of the archive, the last one included, makes an error of it.
func TestAnArchiveThatIsCutIsAnError(t *testing.T) {
	m := Manifest{Host: "here", Files: []File{{Name: "a", text: []byte("text")}}}
	w := &full{left: 1000}
	require.NoError(t, m.write(w))
	writes := 1000 - w.left
	require.Greater(t, writes, 1)
	for n := range writes {
		require.EqualError(t, m.write(&full{left: n}), "no space left", "after %d of %d writes", n, writes)
	}
}

// What is written beyond the limit is an error, and so is everything after the text was taken.
func TestBounded(t *testing.T) {
	b := &bounded{limit: 3}
	n, err := b.Write([]byte("abc"))
	require.Equal(t, 3, n)
	require.NoError(t, err)
	n, err = b.Write([]byte("d"))
	require.Zero(t, n)
	require.ErrorIs(t, err, errLong)
	text, truncated := b.take()
	require.Equal(t, "abc", string(text))
	require.True(t, truncated)
	b = &bounded{limit: 3}
	n, err = b.Write([]byte("abcd"))
	require.Equal(t, 3, n)
	require.ErrorIs(t, err, errLong)
}

// A credential in the reason why a part is missing, such as in a proxy's URL, is removed like any other.
func TestReasonsHaveNoCredentials(t *testing.T) {
	m, _ := made(t, Options{AskErr: errors.New("GET http://user:pass@proxy.example: refused")})
	require.Equal(t, "GET http://[removed]@proxy.example: refused", m.get("status.json").Problem)
}

// The summary names what is missing, each reason once, and nothing that is whole.
func TestSummary(t *testing.T) {
	m := Manifest{Files: []File{{Name: "a"}, {Name: "b", Problem: "x"}, {Name: "c", Problem: "y"}, {Name: "d", Problem: "x"}}}
	var b strings.Builder
	m.Summary(&b)
	require.Equal(t, "not in it, or not whole: b, d: x\nnot in it, or not whole: c: y\n", b.String())
}

// Files that are not there are left out; one that cannot be read says why; of a long one stands the beginning.
func TestFilesOfTheMachine(t *testing.T) {
	dir := t.TempDir()
	long := filepath.Join(dir, "long")
	require.NoError(t, os.WriteFile(long, bytes.Repeat([]byte("x"), 300<<10), 0o600))
	short := filepath.Join(dir, "short")
	require.NoError(t, os.WriteFile(short, []byte("a\nb\n\n"), 0o600))
	var b strings.Builder
	require.NoError(t, writeFiles(&b, []string{filepath.Join(dir, "none"), short, dir, long}))
	require.Equal(t, "==> "+short+" <==\na\nb\n==> "+dir+" <==\nread "+dir+": is a directory\n==> "+long+" <==\n"+strings.Repeat("x", 256<<10)+"\n", b.String())
	err := writeFiles(&b, []string{filepath.Join(dir, "none"), filepath.Join(dir, "other")})
	require.EqualError(t, err, "this system does not have "+filepath.Join(dir, "none")+" and the like")
	require.ErrorIs(t, writeFiles(&bounded{limit: 1}, []string{short}), errLong)
	all := cgroupFiles()
	require.True(t, slices.IsSorted(all))
	require.Len(t, slices.Compact(slices.Clone(all)), len(all), "each once")
	require.Contains(t, all, "/sys/fs/cgroup/system.slice/l4fwd.service/memory.max")
}
