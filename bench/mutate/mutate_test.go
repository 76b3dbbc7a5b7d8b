package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// sample is a package whose test notices some faults and not others.
var sample = map[string]string{
	"go.mod": "module sample\n\ngo 1.26\n",
	"code.go": `package sample

const limit = 3

func Below(n int) bool {
	if n < 0 {
		return false
	}
	return n < limit
}

func unused(n int) int { return n + 1 }
`,
	"code_test.go": `package sample

import "testing"

func TestBelow(t *testing.T) {
	if !Below(2) || Below(3) || Below(-1) {
		t.Fail()
	}
}

func TestNothing(t *testing.T) {}
`,
}

func testSample(t *testing.T, accepted acceptedList, match string) *report {
	t.Helper()
	dir := t.TempDir()
	for name, text := range sample {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), []byte(text), 0o644))
	}
	t.Chdir(dir)
	r, err := testPackage(options{workers: 1, match: match}, ".", accepted)
	require.NoError(t, err)
	return r
}

func TestFaultsAreNoticedOrNot(t *testing.T) {
	if testing.Short() {
		t.Skip("it builds a test for each fault")
	}
	r := testSample(t, acceptedList{"sample": {"Below: boundary shifted: n < 0 => n <= 0", "Gone: x => y"}}, "")
	became := map[string]outcome{}
	for _, f := range r.tried {
		became[f.name()] = f.outcome
	}
	require.Equal(t, map[string]outcome{
		"limit: constant scaled: 3 => (3 * 4)":              killed,
		"Below: guard removed: n < 0 => false && (n < 0)":   killed,
		"Below: condition negated: n < 0 => n >= 0":         killed,
		"Below: constant scaled: 0 => 1":                    survived,
		"Below: return altered: false => true":              killed,
		"Below: return altered: n < limit => !(n < limit)":  killed,
		"Below: condition negated: n < limit => n >= limit": killed,
		"Below: boundary shifted: n < limit => n <= limit":  killed,
	}, became)
	require.Equal(t, 1, r.accepted)
	require.Equal(t, []string{"Gone: x => y"}, r.stale)
	require.Len(t, r.unreached, 3, "what no test runs is told apart")
	require.InDelta(t, 100*7/8.0, r.rate(), 0.01)
	require.Equal(t, []string{"TestBelow"}, r.tried[0].tests)
}

func TestAcceptedWithoutReasonIsRefused(t *testing.T) {
	path := filepath.Join(t.TempDir(), "accepted.txt")
	for text, refused := range map[string]bool{
		"eip claim: guard removed: a => b # it changes nothing": false,
		"eip claim: guard removed: a => b":                      true,
		"eip claim: guard removed: a => b # ":                   true,
		"# a remark":                                            false,
	} {
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o644))
		_, err := readAccepted(path)
		require.Equal(t, refused, err != nil, text)
	}
}
