package config

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestListenAddresses(t *testing.T) {
	good := map[string]string{
		":443": "[::]:443", "*:443": "[::]:443", "0.0.0.0:443": "0.0.0.0:443", "[::1]:0": "[::1]:0",
		"127.0.0.1:8443": "127.0.0.1:8443", "localhost:1": "127.0.0.1:1", "[::ffff:10.0.0.1]:2": "10.0.0.1:2", "[fe80::1%eth0]:3": "[fe80::1%eth0]:3",
	}
	for in, want := range good {
		got, err := ParseListen(in)
		require.NoError(t, err, in)
		require.Equal(t, netip.MustParseAddrPort(want), got, in)
	}
	bad := map[string]string{
		"":                `"" is not an address: there is no port`,
		"443":             `"443" has no colon; write :443`,
		"::1:443":         `"::1:443" is not an address: an IPv6 address needs brackets`,
		"[::1:443":        `"[::1:443" is not an address: the bracket is not closed`,
		":65536":          `":65536" is not an address: the port "65536" is not a number from 0 to 65535`,
		":https":          `":https" is not an address: the port "https" is not a number`,
		"[fe80::1]:28443": `"[fe80::1]:28443" has no interface; a link-local address needs its interface: [fe80::1%eth0]:28443`,
		"[ff02::1]:443":   `ff02::1 is a multicast address; write IP:PORT`,
		"224.0.0.1:443":   `224.0.0.1 is a multicast address`,
		"example.com:443": `"example.com:443" is not an address: "example.com" is no IP address`,
	}
	for in, want := range bad {
		_, err := ParseListen(in)
		require.ErrorContains(t, err, want, in)
	}
}

func TestUpstreamAddresses(t *testing.T) {
	good := map[string]struct {
		host string
		port uint16
	}{
		"example.com:443":      {"example.com", 443},
		"example.com.:443":     {"example.com.", 443},
		"a_b.example:1":        {"a_b.example", 1},
		"localhost:65535":      {"localhost", 65535},
		"10.2.0.4:443":         {"10.2.0.4", 443},
		"[2001:db8::1]:443":    {"2001:db8::1", 443},
		"[::ffff:10.0.0.1]:80": {"10.0.0.1", 80},
	}
	for in, want := range good {
		host, port, err := ParseHostPort(in)
		require.NoError(t, err, in)
		require.Equal(t, want.host, host)
		require.Equal(t, want.port, port)
	}
	bad := map[string]string{
		"":                                   "the address is empty; write HOST:PORT",
		"example.com":                        `"example.com" has no port; write example.com:443`,
		"example.com:":                       `"example.com:" is not HOST:PORT: the port "" is not a number`,
		":443":                               `":443": the host is empty`,
		"2001:db8::1":                        `"2001:db8::1" has no port; write [2001:db8::1]:443`,
		"2001:db8::1:443x":                   `an IPv6 address needs brackets`,
		"::1:443":                            `"::1:443" has no port; write [::1]:443`,
		"fe80::1%eth0:443":                   `write [fe80::1%eth0]:443`,
		"::1":                                `write [::1]:443`,
		"[fe80::1]:443":                      `a link-local address needs its interface: [fe80::1%eth0]:443`,
		"[ff02::1]:443":                      `is no destination`,
		"YOUR-RESOURCE.openai.azure.com:443": `is the example of the README; write the name of your resource for YOUR-RESOURCE`,
		"your-resource.openai.azure.com:443": `is the example of the README`,
		"0.0.0.0:443":                        `0.0.0.0 is no destination`,
		"1.2.3:443":                          `the host is neither an IP address nor a DNS name`,
		"exa mple.com:443":                   `the host has a character ' '`,
		"-a.example:443":                     `begins or ends with a dash`,
		"a..example:443":                     `two dots in a row`,
		"https://x.openai.azure.com/":        `is a URL; write x.openai.azure.com:443`,
		"https://x.openai.azure.com":         `is a URL; write x.openai.azure.com:443`,
		"http://x.example/v1?a=b":            `is a URL; write x.example:80`,
		"https://x.example:8443/openai":      `is a URL; write x.example:8443`,
		"x.example/v1":                       `is a URL; write x.example:443`,
		"//":                                 `is not HOST:PORT; write HOST:PORT without scheme and path`,
	}
	for in, want := range bad {
		_, _, err := ParseHostPort(in)
		require.ErrorContains(t, err, want, in)
	}
}

func TestResolverAndAdminAddresses(t *testing.T) {
	for in, want := range map[string]string{"10.0.0.2": "10.0.0.2:53", "10.0.0.2:5353": "10.0.0.2:5353", "fd00::53": "[fd00::53]:53", "[fd00::53]": "[fd00::53]:53", "[fd00::53]:54": "[fd00::53]:54"} {
		got, err := ParseResolver(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got.String())
	}
	for _, in := range []string{"", "dns.example", "0.0.0.0:53", "10.0.0.2:0", "10.0.0.2:x"} {
		_, err := ParseResolver(in)
		require.Error(t, err, in)
	}
	e, err := ParseAdmin("unix:/run/l4fwd/admin.sock")
	require.NoError(t, err)
	require.Equal(t, Endpoint{Unix: "/run/l4fwd/admin.sock"}, e)
	require.True(t, e.Local())
	e, err = ParseAdmin("off")
	require.NoError(t, err)
	require.True(t, e.Off())
	for _, in := range []string{"unix:", "unix:@abstract", "unix:/" + string(make([]byte, 200)), "localhost", "example.com:1"} {
		_, err := ParseAdmin(in)
		require.Error(t, err, in)
	}
	for in, local := range map[string]bool{"127.0.0.1:1": true, "[::1]:1": true, "localhost:1": true, "127.8.8.8:1": true, ":1": false, "0.0.0.0:1": false, "10.0.0.1:1": false} {
		e, err := ParseAdmin(in)
		require.NoError(t, err)
		require.Equal(t, local, e.Local(), in)
	}
}

func FuzzAddresses(f *testing.F) {
	for _, s := range []string{":443", "example.com:443", "[::1]:443", "https://x/", "unix:/a", "10.0.0.2", "%", "[]:1", "[:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for kind, check := range kinds {
			if err := check(s); err != nil {
				var fl *Fault
				require.ErrorAs(t, err, &fl, kind)
				require.NotEmpty(t, fl.What)
				require.NotEmpty(t, fl.Allowed, "%s %q", kind, s)
			}
		}
	})
}
