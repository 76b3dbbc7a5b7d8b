package config

import (
	"math/rand/v2"
	"net/netip"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// goodValues are values of each key by its path, from the table of the interface.
func goodValues() map[string][]string {
	good := map[string][]string{}
	for _, c := range keyCases {
		good[c.path] = []string{c.good}
		if c.def != "" {
			good[c.path] = append(good[c.path], c.def)
		}
	}
	good["admin.address"] = []string{"127.0.0.1:9901", "unix:/run/a.sock", "off"}
	good["health.address"] = []string{":8080", "10.0.0.1:8081", "off"}
	good["dns.max_ttl"] = []string{"5m", "1m"}
	good["log.format"] = []string{"", "json", "console"}
	good["upstreams[].address"] = []string{"a.example:443", "[2001:db8::1]:443", "10.2.0.4:1"}
	good["listeners[].allow_sources"] = []string{"10.0.0.0/8", "192.0.2.7", "fd00::/8"}
	return good
}

// randomize gives each key one of its values; lists get up to three.
func randomize(t *testing.T, r *rand.Rand, keys []*key, good map[string][]string) {
	t.Helper()
	for _, k := range leaves(keys) {
		if k.short || k.isSections() || strings.HasSuffix(k.path, "name") || strings.HasSuffix(k.path, "].upstream") {
			continue
		}
		values := good[k.path]
		if !k.many {
			require.NoError(t, k.field.set(values[r.IntN(len(values))]), k.path)
			continue
		}
		for range r.IntN(4) {
			require.NoError(t, k.field.set(values[r.IntN(len(values))]), k.path)
		}
	}
}

// randomConfig has one to three upstreams and listeners, by name u0, u1 … and l0, l1 …
func randomConfig(t *testing.T, r *rand.Rand) Config {
	t.Helper()
	var c Config
	keys, good := c.keys(), goodValues()
	for _, list := range []string{"upstreams", "listeners"} {
		k := find(keys, list)
		for range 1 + r.IntN(3) {
			k.entries.grow()
		}
		for i := range k.entries.size() {
			entry := place(k.entries.entry(i), list+"[].", false)
			randomize(t, r, withoutEntries(entry), good)
			require.NoError(t, find(entry, "name").field.set(list[:1]+strconv.Itoa(i)))
		}
	}
	randomize(t, r, withoutEntries(keys), good)
	for i := range c.Listeners {
		in := &c.Listeners[i]
		in.Address, in.AcceptProxy = must(ParseListen, "127.0.0.1:"+strconv.Itoa(1000+i)), AcceptProxyRequired
		if r.IntN(2) == 0 {
			in.Routes = []Route{{SNI: []string{"*.a.example", "x" + strconv.Itoa(i)}, Upstream: "u0"}, {SNI: []string{"b.example"}, Upstream: "u0"}}
		} else {
			in.Upstream = "u0"
		}
	}
	for i := range c.Upstreams {
		c.Upstreams[i].Addresses, c.Upstreams[i].Backups = nil, nil // the same one twice is a fault
	}
	return c
}

// withoutEntries leaves the lists of sections out.
func withoutEntries(keys []*key) []*key {
	var all []*key
	for _, k := range keys {
		if !k.isSections() {
			all = append(all, k)
		}
	}
	return all
}

// Whatever a configuration is, it loads again as it is from what check prints of it.
func TestWhatIsWrittenLoadsAgain(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 150 {
		c := randomConfig(t, r)
		text, err := Render(c)
		require.NoError(t, err)
		l, said := try(t, "--config", write(t, string(text)))
		require.False(t, l.Faults.Bad(), "%s\n%s", said, text)
		require.Equal(t, c, l.Config, string(text))
		again, err := Render(l.Config)
		require.NoError(t, err)
		require.Equal(t, string(text), string(again))
	}
}

// A file that check printed can be read by anything that knows YAML: texts that look like something else have quotes.
func TestTextsStayTexts(t *testing.T) {
	l, said := try(t, "--config", write(t, "upstreams: [{name: 'true', address: 'a.example:443'}, {name: '1e3', address: 'b.example:443'}]\nlisteners: [{name: '8443', address: ':8443', routes: [{sni: ['*.a'], upstream: 'true'}, {sni: [b], upstream: '1e3'}]}]"))
	require.Empty(t, said)
	text, err := Render(l.Config)
	require.NoError(t, err)
	var plain struct {
		Upstreams []struct{ Name any }
		Listeners []struct {
			Name, Address any
			Routes        []struct{ SNI []any }
		}
		Loops any
		Admin struct {
			AllowRemote any `yaml:"allow_remote"`
		}
	}
	require.NoError(t, yaml.Unmarshal(text, &plain))
	require.Equal(t, "true", plain.Upstreams[0].Name)
	require.Equal(t, "1e3", plain.Upstreams[1].Name)
	require.Equal(t, "8443", plain.Listeners[0].Name)
	require.Equal(t, ":8443", plain.Listeners[0].Address)
	require.Equal(t, []any{"*.a"}, plain.Listeners[0].Routes[0].SNI)
	require.Equal(t, 0, plain.Loops)
	require.Equal(t, false, plain.Admin.AllowRemote)
}

func TestShorthandsAreNotWritten(t *testing.T) {
	l, _ := try(t, "--upstream=a.example:443", "--listen=:8443", "--warm=2")
	text, err := Render(l.Config)
	require.NoError(t, err)
	require.NotRegexp(t, `(?m)^(upstream|listen|warm):`, string(text))
	require.Contains(t, string(text), "connections: 2")
}

func TestAddressesAreWrittenAsAFileHasThem(t *testing.T) {
	for text, e := range map[string]Endpoint{
		"off": {}, "unix:/run/a": {Unix: "/run/a"}, ":8080": {Addr: netip.MustParseAddrPort("[::]:8080")}, "0.0.0.0:1": {Addr: netip.MustParseAddrPort("0.0.0.0:1")},
		"[::1]:2": {Addr: netip.MustParseAddrPort("[::1]:2")},
	} {
		require.Equal(t, text, e.String())
		back, err := ParseAdmin(text)
		require.NoError(t, err)
		require.Equal(t, e, back)
	}
	require.Equal(t, "tcp", Endpoint{Addr: netip.MustParseAddrPort("[::1]:2")}.Network())
	require.Equal(t, "[::1]:2", Endpoint{Addr: netip.MustParseAddrPort("[::1]:2")}.Address())
	require.Equal(t, "unix", Endpoint{Unix: "/a"}.Network())
	require.Equal(t, "/a", Endpoint{Unix: "/a"}.Address())
	require.Empty(t, HostPort{}.String())
	require.Equal(t, "10.0.0.1:443", ListenAddr{AddrPort: netip.MustParseAddrPort("10.0.0.1:443")}.String(), "one that was not read from a text")
	require.Empty(t, ListenAddr{}.String())
	require.False(t, HostPort{Host: "a.example"}.IP().IsValid())
	require.Equal(t, netip.MustParseAddr("10.0.0.1"), HostPort{Host: "10.0.0.1"}.IP())
}
