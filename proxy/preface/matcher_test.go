package preface

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestMatcher(t *testing.T) {
	routes := [][]string{
		0: {"dais24-aoai-demo.openai.azure.com", "Other.Example."},
		1: {"*.openai.azure.com"},
		2: {"late.openai.azure.com", "*.example", "other.example"},
		3: {"*.com", "a.b"},
	}
	m, err := NewMatcher(routes)
	require.NoError(t, err)
	for name, want := range map[string]int{
		"dais24-aoai-demo.openai.azure.com": 0,
		"other.example":                     0,
		"x.openai.azure.com":                1,
		"late.openai.azure.com":             1, // the wildcard comes first
		"y.example":                         2,
		"azure.com":                         3,
		"a.b":                               3,
		"openai.azure.com":                  -1, // a wildcard is not its own domain
		"x.y.openai.azure.com":              -1, // nor does it stand for two labels
		"example":                           -1,
		"x.a.b":                             -1,
		"":                                  -1,
		"*.example":                         2, // cannot be sent: a * is no letter of a host name
	} {
		got, ok := m.Match(name)
		require.Equal(t, want >= 0, ok, name)
		if ok {
			require.Equal(t, want, got, name)
		}
	}
	require.False(t, m.Reaches("late.openai.azure.com", 2))
	require.False(t, m.Reaches("other.example", 2))
	require.True(t, m.Reaches("*.example", 2))
	require.True(t, m.Reaches("a.b", 3))
	require.True(t, m.Reaches("other.example", 0))
}

// TestMatcherAgreesWithTheObviousOne compares with going through the patterns one by one.
func TestMatcherAgreesWithTheObviousOne(t *testing.T) {
	labels := []string{"a", "b", "c"}
	name := func(n int) string {
		var parts []string
		for range n {
			parts = append(parts, labels[rand.IntN(len(labels))])
		}
		return strings.Join(parts, ".")
	}
	for range 300 {
		routes := make([][]string, 1+rand.IntN(4))
		for i := range routes {
			for range 1 + rand.IntN(3) {
				p := name(1 + rand.IntN(3))
				if rand.IntN(2) == 0 {
					p = "*." + p
				}
				routes[i] = append(routes[i], p)
			}
		}
		m, err := NewMatcher(routes)
		require.NoError(t, err)
		for range 30 {
			n := name(1 + rand.IntN(4))
			want, found := obvious(routes, n)
			got, ok := m.Match(n)
			require.Equal(t, found, ok, "%v %s", routes, n)
			if ok {
				require.Equal(t, want, got, "%v %s", routes, n)
			}
		}
	}
}

func obvious(routes [][]string, name string) (int, bool) {
	for i, patterns := range routes {
		for _, p := range patterns {
			_, behind, _ := strings.Cut(name, ".")
			if p == name || strings.HasPrefix(p, "*.") && behind == p[2:] {
				return i, true
			}
		}
	}
	return 0, false
}

func TestBadPatterns(t *testing.T) {
	for pattern, want := range map[string]string{
		"":                        "is empty",
		".":                       "begins with a dot",
		"*":                       "no routes",
		"*.":                      "no routes",
		"*foo.com":                "whole first label",
		"foo.*.com":               "whole first label",
		"*.*.com":                 "whole first label",
		".example.com":            "*.example.com",
		"https://example.com":     "URL",
		"example.com/path":        "URL",
		"example.com:443":         "port",
		"10.0.0.1":                "IP address",
		"2001:db8::1":             "IP address",
		"[2001:db8::1]":           "IP address",
		"bücher.example":          "xn--",
		"a b.example":             "character",
		"a..example":              "empty label",
		"*..example":              "empty label",
		strings.Repeat("a", 64):   "63",
		strings.Repeat("a.", 128): "253",
	} {
		require.Contains(t, CheckPattern(pattern), want, pattern)
		_, err := NewMatcher([][]string{{"fine.example"}, {pattern}})
		require.ErrorContains(t, err, fmt.Sprintf("route 2: %q", pattern))
	}
	for _, fine := range []string{"a", "*.com", "xn--bcher-kva.example", "A.Example.", "*.a_b.example"} {
		require.Empty(t, CheckPattern(fine))
	}
}
