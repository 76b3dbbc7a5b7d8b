package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestHostNames(t *testing.T) {
	for _, good := range []string{
		"a", "a.example", "a.example.", "A.Example", "a-b.example", "a_b.example", "_dns.example", "xn--bcher-kva.example", "1a.example", "1.a",
		strings.Repeat("x", 63) + ".example", strings.TrimSuffix(strings.Repeat("a.", 126), ".") + ".b", "localhost",
	} {
		require.Empty(t, badHostName(good), good)
	}
	for bad, want := range map[string]string{
		"": "the host is empty", ".": "the host is empty", "..": "the host has two dots in a row", ".a": "the host has two dots in a row", "a..b": "the host has two dots in a row",
		strings.Repeat("x", 64) + ".example": "a part of the host is longer than 63 characters",
		strings.Repeat("abcdefghi.", 26):     "the host is longer than 253 characters",
		"-a.example":                         "a part of the host begins or ends with a dash",
		"a-.example":                         "a part of the host begins or ends with a dash",
		"a.example-":                         "a part of the host begins or ends with a dash",
		"a b.example":                        "the host has a character ' '",
		"a*.example":                         "the host has a character '*'",
		"bücher.example":                     "the host has a character 'ü'",
		"a@b":                                "the host has a character '@'",
		"1.2.3":                              "the host is neither an IP address nor a DNS name",
		"1.2.3.4.5":                          "the host is neither an IP address nor a DNS name",
		"256.1.1.1":                          "the host is neither an IP address nor a DNS name",
		"a.1":                                "the host is neither an IP address nor a DNS name",
	} {
		require.Equal(t, want, badHostName(bad), bad)
	}
}

func TestPlaceholders(t *testing.T) {
	for host, want := range map[string]string{
		"a.example": "", "": "", "A.EXAMPLE": "", "Ab.example": "", "AB.example": "", "ABC.example": "ABC", "A-B-C.example": "A-B-C", "MY_HOST.example": "MY_HOST",
		"ABC1.example": "", "1.2.3.4": "", "x.REGION.example": "REGION", "your-name.example": "your-name", "Your_Name.example": "Your_Name", "yourname.example": "",
		"not-your-name.example": "", "<a>.example": "<a>", "a.<b>.example": "<b>", "<a": "<a", "{a}.example": "{a}", "${A}.example": "${A}", "$A.example": "$A.example",
		"HOST": "HOST", "NAME": "NAME", "SERVER": "", "PORT.b": "PORT",
	} {
		require.Equal(t, want, placeholderIn(host), host)
	}
}

// Whatever is taken as an address is written as one that is the same.
func TestAddressesAreReadAsTheyAreWritten(t *testing.T) {
	for _, text := range []string{"a.example:443", "10.0.0.1:1", "[2001:db8::1]:65535", "[fe80::1%eth0]:443", "localhost:80"} {
		a, err := ParseHostPort(text)
		require.NoError(t, err, text)
		require.Equal(t, text, a.String())
	}
	for text, want := range map[string]string{"[::ffff:10.0.0.1]:80": "10.0.0.1:80", "[2001:DB8:0::1]:80": "[2001:db8::1]:80", "a.example:0443": "a.example:443"} {
		a, err := ParseHostPort(text)
		require.NoError(t, err, text)
		require.Equal(t, want, a.String())
	}
	for text, want := range map[string]string{"10.0.0.2": "10.0.0.2:53", "[fd00::1]": "[fd00::1]:53", "fd00::1": "[fd00::1]:53", "::ffff:10.0.0.1": "10.0.0.1:53"} {
		a, err := parseResolver(text)
		require.NoError(t, err, text)
		require.Equal(t, want, a.String())
	}
}
