package config

import (
	"net/netip"
	"strconv"
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
		require.Equal(t, netip.MustParseAddrPort(want), got.AddrPort, in)
		require.Equal(t, in, got.String(), "a listener is named as it was written")
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
		got, err := ParseHostPort(in)
		require.NoError(t, err, in)
		require.Equal(t, HostPort{want.host, want.port}, got)
		again, err := ParseHostPort(got.String())
		require.NoError(t, err, in)
		require.Equal(t, got, again)
	}
	bad := map[string]string{
		"":                              "the address is empty; write HOST:PORT",
		"example.com":                   `"example.com" has no port; write example.com:443`,
		"example.com:":                  `"example.com:" is not HOST:PORT: the port "" is not a number`,
		":443":                          `":443": the host is empty`,
		"2001:db8::1":                   `"2001:db8::1" has no port; write [2001:db8::1]:443`,
		"2001:db8::1:443x":              `an IPv6 address needs brackets`,
		"::1:443":                       `"::1:443" has no port; write [::1]:443`,
		"fe80::1%eth0:443":              `write [fe80::1%eth0]:443`,
		"::1":                           `write [::1]:443`,
		"[fe80::1]:443":                 `a link-local address needs its interface: [fe80::1%eth0]:443`,
		"[ff02::1]:443":                 `is no destination`,
		"0.0.0.0:443":                   `0.0.0.0 is no destination`,
		"1.2.3:443":                     `the host is neither an IP address nor a DNS name`,
		"exa mple.com:443":              `the host has a character ' '`,
		"-a.example:443":                `begins or ends with a dash`,
		"a..example:443":                `two dots in a row`,
		"https://x.openai.azure.com/":   `is a URL; write x.openai.azure.com:443`,
		"https://x.openai.azure.com":    `is a URL; write x.openai.azure.com:443`,
		"http://x.example/v1?a=b":       `is a URL; write x.example:80`,
		"https://x.example:8443/openai": `is a URL; write x.example:8443`,
		"x.example/v1":                  `is a URL; write x.example:443`,
		"//":                            `is not HOST:PORT; write HOST:PORT without scheme and path`,
	}
	for in, want := range bad {
		_, err := ParseHostPort(in)
		require.ErrorContains(t, err, want, in)
	}
}

func TestResolverAndAdminAddresses(t *testing.T) {
	for in, want := range map[string]string{"10.0.0.2": "10.0.0.2:53", "10.0.0.2:5353": "10.0.0.2:5353", "fd00::53": "[fd00::53]:53", "[fd00::53]": "[fd00::53]:53", "[fd00::53]:54": "[fd00::53]:54"} {
		got, err := parseResolver(in)
		require.NoError(t, err, in)
		require.Equal(t, want, got.String())
	}
	for _, in := range []string{"", "dns.example", "0.0.0.0:53", "0.0.0.0", "::", "[::]", "::ffff:0.0.0.0", "224.0.0.1", "10.0.0.2:0", "10.0.0.2:x"} {
		_, err := parseResolver(in)
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

func FuzzValues(f *testing.F) {
	for _, s := range []string{":443", "example.com:443", "[::1]:443", "https://x/", "unix:/a", "10.0.0.2", "%", "[]:1", "[:1"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, k := range leaves(new(Config).keys()) {
			err := k.field.check(s)
			if err != nil {
				var fl *Fault
				require.ErrorAs(t, err, &fl, k.path)
				require.NotEmpty(t, fl.What)
				require.NotEmpty(t, fl.Allowed, "%s %q", k.path, s)
				continue
			}
			require.NoError(t, k.field.set(s))
			texts := k.field.texts()
			require.NoError(t, k.field.check(texts[0]), "%s: what is written can be read: %q", k.path, texts[0])
		}
	})
}

// leaves are the keys that have values, those in lists of sections too.
func leaves(keys []*key) []*key {
	var all []*key
	for _, k := range keys {
		if k.keys == nil {
			all = append(all, k)
		}
		all = append(all, leaves(k.keys)...)
	}
	return all
}

// Somebody who pastes a command of the documents gets a fault that names what to replace, not a name that never resolves.
func TestPlaceholdersAreReported(t *testing.T) {
	for in, part := range map[string]string{
		"YOUR-RESOURCE.openai.azure.com:443":      "YOUR-RESOURCE",
		"your-resource.openai.azure.com:443":      "your-resource",
		"your_name.openai.azure.com:443":          "your_name",
		"NAME.openai.azure.com:443":               "NAME",
		"MY-RESOURCE.openai.azure.com":            "MY-RESOURCE",
		"https://NAME.openai.azure.com/openai":    "NAME",
		"<name>.openai.azure.com:443":             "<name>",
		"<your resource>.openai.azure.com:443":    "<your resource>",
		"{resource}.openai.azure.com:443":         "{resource}",
		"${RESOURCE}.openai.azure.com:443":        "${RESOURCE}",
		"$RESOURCE.openai.azure.com:443":          "$RESOURCE.openai.azure.com",
		"HOST:443":                                "HOST",
		"demo.REGION.cognitiveservices.azure.com": "REGION",
	} {
		_, err := ParseHostPort(in)
		require.ErrorContains(t, err, strconv.Quote(in)+" has a placeholder, "+part+"; write the name of your own resource for it, in small letters", in)
	}
	for _, in := range []string{"EXAMPLE.COM:443", "a1.example:443", "DAIS24.openai.azure.com:443", "eu.Example.com:443", "yours.example:1", "[FE80::1%eth0]:1", "ABCD::1:443"} {
		if _, err := ParseHostPort(in); err != nil {
			require.NotContains(t, err.Error(), "placeholder", in)
		}
	}
}
