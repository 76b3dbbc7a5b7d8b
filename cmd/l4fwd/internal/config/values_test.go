package config

import (
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func TestSizes(t *testing.T) {
	for text, want := range map[string]int64{
		"0": 0, "1": 1, "1500": 1500, "1KiB": 1 << 10, "512MiB": 512 << 20, "2GiB": 2 << 30, "1TiB": 1 << 40, "1 GiB": 1 << 30, "1024GiB": 1 << 40,
	} {
		n, err := parseSize(text)
		require.NoError(t, err, text)
		require.Equal(t, want, n, text)
		again, err := parseSize(formatSize(n))
		require.NoError(t, err, text)
		require.Equal(t, n, again, text)
	}
	for n, want := range map[int64]string{0: "0", 1: "1", 1023: "1023", 1 << 10: "1KiB", 1<<20 + 1: "1048577", 3 << 20: "3MiB", 1 << 40: "1TiB"} {
		require.Equal(t, want, formatSize(n))
	}
	for text, want := range map[string]string{
		"": `"" is not a size`, "5MB": `"5MB" is not a size`, "MiB": `"MiB" is not a size`, "1.5GiB": `"1.5GiB" is not a size`, "-1": "-1 is out of range",
		"2TiB": "2TiB is out of range", "1099511627777": "1099511627777 is out of range", "9223372036854775807GiB": "is out of range", "1e9": `"1e9" is not a size`,
	} {
		_, err := parseSize(text)
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "write a number of bytes up to 1TiB, or one with a unit, like 512MiB", text)
	}
}

func TestNames(t *testing.T) {
	for _, name := range []string{"a", "aoai-1", "[::1]:443", "*:443", "fe80::1%eth0", strings.Repeat("x", 253)} {
		got, err := parseName(name)
		require.NoError(t, err, name)
		require.Equal(t, name, got)
	}
	for name, want := range map[string]string{
		"": "the name is empty", "a b": `the name "a b" has a character ' '`, "a/b": "has a character '/'", "ä": "has a character 'ä'",
		`a"b`: `has a character '"'`, strings.Repeat("x", 254): "the name is 254 characters long",
	} {
		_, err := parseName(name)
		require.ErrorContains(t, err, want, name)
		require.ErrorContains(t, err, "; use letters, digits and . _ - : * [ ] %, at most 253 of them")
	}
}

func TestRangesOfClients(t *testing.T) {
	for text, want := range map[string]string{"10.0.0.0/8": "10.0.0.0/8", "192.0.2.7": "192.0.2.7", "192.0.2.7/32": "192.0.2.7", "fd00::/8": "fd00::/8", "::1": "::1", "0.0.0.0/0": "0.0.0.0/0"} {
		p, err := parseCIDR(text)
		require.NoError(t, err, text)
		require.Equal(t, want, formatCIDR(p), text)
	}
	for _, text := range []string{"", "office", "10.0.0.1/8", "10.0.0.0/33", "10.0.0.0/8/8"} {
		_, err := parseCIDR(text)
		require.Error(t, err, text)
		require.Equal(t, "write a CIDR or an address", asFault(err).Allowed)
	}
}

func TestSourceAddresses(t *testing.T) {
	for _, text := range []string{"10.0.0.9", "2001:db8::9", "127.0.0.1", "fe80::1%eth0"} {
		a, err := parseSource(text)
		require.NoError(t, err, text)
		require.Equal(t, text, a.String())
	}
	for text, want := range map[string]string{
		"eth0": `"eth0" is no IP address`, "10.0.0.9:1": "is no IP address", "0.0.0.0": "0.0.0.0 is no address to connect from", "::": ":: is no address to connect from",
		"224.0.0.1": "224.0.0.1 is no address to connect from",
	} {
		_, err := parseSource(text)
		require.ErrorContains(t, err, want, text)
	}
}

func TestPathsOfChecks(t *testing.T) {
	for _, path := range []string{"/", "/openai/v1/models", "/a?b=c&d=%20", "/" + strings.Repeat("x", maxPath-1)} {
		got, err := parsePath(path)
		require.NoError(t, err, path)
		require.Equal(t, path, got)
	}
	for path, want := range map[string]string{
		"": `"" does not begin with a slash`, "openai": "does not begin with a slash", "https://a.example/": "does not begin with a slash",
		"/a b": "has a character ' '", "/a\r\nHost: x": `has a character '\r'`, "/ä": "has a character", "/a#b": "has a fragment (#)",
		"/" + strings.Repeat("x", maxPath): "the path is 2049 characters long",
	} {
		_, err := parsePath(path)
		require.ErrorContains(t, err, want, path)
	}
}

func TestPools(t *testing.T) {
	for _, text := range []string{"", "tag:a=b", "tag-key:a", "eipalloc-00000000000000001,eipalloc-00000000000000002"} {
		p, err := parsePool(text)
		require.NoError(t, err, text)
		require.Equal(t, text, p.String())
		require.Equal(t, text != "", EIP{Pool: p}.Wanted())
	}
	for _, text := range []string{"a=b", "tag:a", "eipalloc-1", "tag:a=*", "eipalloc-00000000000000001,eipalloc-00000000000000001", "tag:" + strings.Repeat("x", 129) + "=a"} {
		_, err := parsePool(text)
		require.Error(t, err, text)
		require.NotEmpty(t, asFault(err).Allowed, text)
		require.NotContains(t, asFault(err).What, ";", text)
	}
}

func TestWhatBecomesOfRemovedAddresses(t *testing.T) {
	for text, want := range map[string]Removed{
		"keep": {}, "close_after 5m": {true, 5 * time.Minute}, "close_after: 5m": {true, 5 * time.Minute}, "close_after 0s": {true, 0}, "close_after 720h": {true, 720 * time.Hour},
	} {
		got, err := parseRemoved(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got)
		again, err := parseRemoved(got.String())
		require.NoError(t, err, text)
		require.Equal(t, want, again, "it is written as it can be read")
	}
	for text, want := range map[string]string{
		"": `"" is not a choice`, "close": `"close" is not a choice`, "close_after": `"close_after" is not a choice`, "close_after 5": "the number 5 has no unit",
		"close_after -1s": "-1s is out of range", "close_after 721h": "721h is out of range", "close_after soon": `"soon" is not a duration`,
	} {
		_, err := parseRemoved(text)
		require.ErrorContains(t, err, want, text)
	}
}

// A choice of a key is one of its texts, to the letter.
func TestChoicesAreExact(t *testing.T) {
	parse := parseChoice([]Balance{LeastConn, RoundRobin, First})
	for _, good := range []Balance{LeastConn, RoundRobin, First} {
		got, err := parse(string(good))
		require.NoError(t, err)
		require.Equal(t, good, got)
	}
	for _, bad := range []string{"", "LEAST_CONN", "least_conn ", "least-conn", "random"} {
		got, err := parse(bad)
		require.Error(t, err, bad)
		require.Empty(t, got, "nothing that could be taken for a choice")
	}
	require.Equal(t, `"", json, console`, listChoices([]string{"", "json", "console"}))
}

func TestListsOfFlagsAndVariables(t *testing.T) {
	for text, want := range map[string][]string{
		"": nil, ",": nil, "a": {"a"}, "a,b": {"a", "b"}, " a , b\t": {"a", "b"}, ",a,,b,": {"a", "b"}, "a b": {"a b"},
	} {
		require.Equal(t, want, split(text), text)
	}
}

func TestDurationsInARange(t *testing.T) {
	for text, want := range map[string]time.Duration{"1s": time.Second, "1m30s": 90 * time.Second, "1h": time.Hour, "1000ms": time.Second, "+5s": 5 * time.Second} {
		d, err := durationIn(text, "1s", "1h")
		require.NoError(t, err, text)
		require.Equal(t, want, d)
	}
	for text, want := range map[string]string{
		"999ms": "999ms is out of range", "1h1ns": "1h0m0.000000001s is out of range", "-5s": "-5s is negative", "": `"" is not a duration`, "0": "the number 0 has no unit",
		"5": "the number 5 has no unit", "2d": `"2d": there is no unit d; write 48h`, "99999999d": "is not a duration", "9999999h": "9999999h is out of range",
	} {
		_, err := durationIn(text, "1s", "1h")
		require.ErrorContains(t, err, want, text)
		require.ErrorContains(t, err, "a duration from 1s to 1h", text)
	}
	_, err := durationIn("0", "0s", "1h")
	require.EqualError(t, err, "the number 0 has no unit; write 0s; a duration from 0s to 1h")
}
