package main

import (
	"bytes"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/kernels/plan"
)

func TestKernelPackageIsThatOfTheSeries(t *testing.T) {
	want := machine{"6.1", "arm64"}.kernelPackage()
	for name, matches := range map[string]bool{
		"linux-image-6.1.0-56-cloud-arm64-unsigned":          true,
		"linux-image-6.1.0-56-cloud-amd64-unsigned":          false,
		"linux-image-6.1.0-56-cloud-arm64":                   false, // exists for x86-64 only
		"linux-image-6.12.117+deb12-cloud-arm64-unsigned":    false,
		"linux-image-6.1.0-56-rt-arm64-unsigned":             false,
		"linux-image-6.1.0-56-cloud-arm64-unsigned-dbg":      false,
		"linux-image-cloud-arm64":                            false,
		"linux-image-6.1-cloud-arm64-unsigned":               false,
		"linux-image-6.1.0-0.deb11.26-cloud-arm64-unsigned":  true,
		"linux-image-6.1.0-56-cloud-arm64-unsigned.disabled": false,
	} {
		assert.Equal(t, matches, want.MatchString(name), name)
	}
}

func TestNewestVersionIsByNumber(t *testing.T) {
	assert.Positive(t, byVersion("linux-image-6.12.117+deb12-cloud", "linux-image-6.12.99+deb12-cloud"))
	assert.Negative(t, byVersion("linux-image-6.1.0-9-cloud", "linux-image-6.1.0-10-cloud"))
}

func TestConsoleLinesSurviveTheKernelsOwn(t *testing.T) {
	for _, e := range []plan.Event{
		{Step: 3, Kind: plan.Begin, Text: "name"},
		{Step: 3, Kind: plan.Output, Text: "a < b | c > d"},
		{Step: 3, Kind: plan.End, Code: -1, Took: 1500e6},
		{Step: plan.Guest, Kind: plan.Output, Text: "kernel: odd"},
	} {
		got, ok := plan.Parse("[ 1.5] cut short" + e.String() + "\r\n")
		assert.True(t, ok)
		assert.Equal(t, e, got)
	}
	for _, line := range []string{"[    1.0] Linux version 6.1\r\n", "", "3|no mark", "\x1ex|", "\x1e3>1\n"} {
		_, ok := plan.Parse(line)
		assert.False(t, ok, "%q", line)
	}
}

// The kernel takes nothing that is not aligned and makes no directories by itself.
func TestArchiveIsWhatTheKernelUnpacks(t *testing.T) {
	var b bytes.Buffer
	a := newArchive(&b)
	a.bytes("/a/b/file", "12345")
	a.device("dev/console", 5, 1)
	require.NoError(t, a.close())
	var names []string
	for rest := b.String(); rest != ""; {
		require.True(t, strings.HasPrefix(rest, "070701"), "%.20q", rest)
		size, length := hex(rest[54:62]), hex(rest[94:102])
		names = append(names, rest[110:110+length-1])
		at := aligned(110 + length)
		if names[len(names)-1] == "a/b/file" {
			assert.Equal(t, "12345", rest[at:at+size])
		}
		rest = rest[aligned(at+size):]
	}
	assert.Equal(t, []string{"a", "a/b", "a/b/file", "dev", "dev/console", trailer}, names)
}

func aligned(n int) int { return (n + 3) &^ 3 }

func hex(s string) (n int) {
	for _, c := range s {
		n = n*16 + strings.IndexRune("0123456789ABCDEF", c)
	}
	return n
}
