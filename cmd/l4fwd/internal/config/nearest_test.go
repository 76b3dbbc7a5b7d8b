package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestWhatIsProbablyMeant(t *testing.T) {
	keys := []string{"address", "max_connections", "max_idle", "name", "routes", "upstream"}
	for word, want := range map[string]string{
		"adress": "address", "addresss": "address", "Address": "address", "nmae": "name", "rout": "routes", "max_conns": "max_connections", "maxconn": "max_connections",
		"max-connections": "max_connections", "max_connection": "max_connections", "upstreams": "upstream", "the_upstream": "upstream", "maxidle": "max_idle",
		"weight": "", "": "", "x": "", "connections": "", "max": "",
	} {
		require.Equal(t, want, Nearest(word, keys), word)
	}
	require.Equal(t, "uring", Nearest("io_uring", []string{"auto", "uring", "epoll", "portable"}))
	require.Empty(t, Nearest("anything", nil))
	require.Empty(t, Nearest("anything", []string{""}))
}

// slowDistance is the same by its definition, for short words.
func slowDistance(a, b string) int {
	switch {
	case a == "":
		return len(b)
	case b == "":
		return len(a)
	}
	cost := 1
	if a[0] == b[0] {
		cost = 0
	}
	d := min(slowDistance(a[1:], b)+1, slowDistance(a, b[1:])+1, slowDistance(a[1:], b[1:])+cost)
	if len(a) > 1 && len(b) > 1 && a[0] == b[1] && a[1] == b[0] {
		d = min(d, slowDistance(a[2:], b[2:])+1)
	}
	return d
}

func TestDistanceIsThatOfItsDefinition(t *testing.T) {
	words := []string{"", "a", "ab", "ba", "abc", "acb", "cab", "bca", "aabb", "abab", "loops", "lopos", "log"}
	for _, a := range words {
		for _, b := range words {
			require.Equal(t, slowDistance(a, b), distance(a, b), "%q %q", a, b)
			require.Equal(t, distance(a, b), distance(b, a), "%q %q", a, b)
		}
	}
	require.Equal(t, 0, distance("ABC", "abc"))
	require.Equal(t, 64, distance(strings.Repeat("x", 65), "x"), "long texts are not compared")
}
