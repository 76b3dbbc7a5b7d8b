package config

import (
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// between are faults and warnings between keys, by what a file says below. FILE stands for its name; a line counts from 1.
var between = map[string]string{
	"listeners: [{address: ':443', upstream: b}]\nupstreams: [{name: a, address: 'a.example:443'}]\n":                                                       `FILE:1: listeners[0].upstream: there is no upstream "b"; did you mean a? names known: a`,
	"upstreams: [{name: a, address: 'a.example:443'}]\ndns: {min_ttl: 10s, max_ttl: 5s}\n":                                                                  "FILE:2: dns.min_ttl: 10s is longer than dns.max_ttl, 5s; write a shorter one",
	"upstream: a.example:443\ndns: {min_ttl: 5m, max_ttl: 5m}\n":                                                                                            "",
	"upstream: a.example:443\nkeepalive: {interval: 1500ms}\n":                                                                                              "FILE:2: keepalive.interval: 1.5s is not in whole seconds; the kernel knows no finer ones",
	"upstream: a.example:443\nkeepalive: {idle: 240s}\n":                                                                                                    "",
	"upstream: a.example:443\nkeepalive: {idle: 241s}\n":                                                                                                    "warning: FILE:2: keepalive.idle: 4m1s is longer than 240s; Azure's load balancer forgets a connection after 4 min without a packet and an AWS NLB after 350 s, so idle connections may die unnoticed",
	"upstream: a.example:443\nadmin: {address: '10.0.0.1:9901'}\n":                                                                                          "FILE:2: admin.address: 10.0.0.1:9901 is reachable from other machines, and whoever reaches it can drain the daemon and read its memory; use 127.0.0.1:9901 or unix:PATH, or set admin.allow_remote to true",
	"upstream: a.example:443\nadmin: {address: '10.0.0.1:9901', allow_remote: true}\n":                                                                      "",
	"upstream: a.example:443\nadmin: {address: 'unix:/run/a'}\n":                                                                                            "",
	"upstream: a.example:443\nadmin: {address: off}\n":                                                                                                      "",
	"upstream: a.example:443\nadmin: {address: '127.0.0.1:8080'}\n":                                                                                         "FILE:2: admin.address: 127.0.0.1:8080 is taken by health.address already; give each its own port",
	"upstream: a.example:443\nadmin: {address: '127.0.0.1:0'}\nhealth: {address: ':0'}\nlisten: [':0']\n":                                                   "",
	"upstream: a.example:443\nlisten: [':443', '127.0.0.1:443']\n":                                                                                          "",
	"upstream: a.example:443\nlisten: ['127.0.0.1:443', '127.0.0.1:443']\n":                                                                                 "FILE:2: listen[1]: 127.0.0.1:443 is taken by listen[0] already; give each its own port",
	"upstream: a.example:443\nlisten: ['0.0.0.0:443', ':443']\n":                                                                                            "FILE:2: listen[1]: [::]:443 is taken by listen[0] already; give each its own port",
	"upstream: a.example:443\nhealth: {address: '127.0.0.1:443'}\n":                                                                                         "FILE:2: health.address: 127.0.0.1:443 is taken by listen already; give each its own port",
	"upstream: a.example:443\nlisten: [':8080']\n":                                                                                                          "FILE:2: listen[0]: [::]:8080 is taken by health.address already; give each its own port",
	"upstream: localhost:443\n":                                                                                                                             `FILE:1: upstream: "localhost:443" is this daemon's own listen, which would have it forward to itself; name the server behind it`,
	"upstream: '[::1]:443'\n":                                                                                                                               `FILE:1: upstream: "[::1]:443" is this daemon's own listen, which would have it forward to itself; name the server behind it`,
	"upstream: localhost:8080\n":                                                                                                                            `FILE:1: upstream: "localhost:8080" is this daemon's own health.address, which would have it forward to itself; name the server behind it`,
	"upstream: localhost:9902\n":                                                                                                                            "",
	"upstream: 192.0.2.1:443\n":                                                                                                                             "",
	"upstreams: [{address: 'a.example:443', backups: ['b.example:1', 'b.example:1']}]\n":                                                                    `FILE:1: upstreams[0].backups[1]: "b.example:1" is upstreams[0].backups[0] already; name another server, or remove it`,
	"upstreams: [{address: '10.0.0.1:443', backups: ['[::ffff:10.0.0.1]:443']}]\n":                                                                          `FILE:1: upstreams[0].backups[0]: "10.0.0.1:443" is upstreams[0].address already; name another server, or remove it`,
	"upstreams: [{address: '10.0.0.1:443', check: {type: tls}}]\n":                                                                                          "warning: FILE:1: upstreams[0].check.type: the certificate must be valid for the IP address 10.0.0.1; name the upstream by its DNS name, or use tcp if the certificate has only that",
	"upstreams: [{address: 'a.example:443', admission: off}]\n":                                                                                             "",
	"upstreams: [{address: 'a.example:443', admission: start}]\n":                                                                                           "",
	"upstreams: [{address: 'a.example:1'}, {address: 'a.example:2'}]\nlisteners: [{address: ':443', upstream: a.example}]\n":                                `FILE:1: upstreams[1].name: "a.example" is also the name of upstreams[0]; give each its own name`,
	"upstream: a.example:443\nlisteners: [{name: x, address: ':1'}, {name: x, address: ':2'}]\n":                                                            `FILE:2: listeners[1].name: "x" is also the name of listeners[0]; give each its own name`,
	"upstream: a.example:443\nlisteners: [{address: '127.0.0.1:0'}, {address: '127.0.0.1:0'}]\n":                                                            `FILE:2: listeners[1].name: "127.0.0.1:0" is also the name of listeners[0]; give each its own name`,
	"upstream: a.example:443\nlisteners: [{address: ':443', allow_vpce: [vpce-0123456789abcdef0]}]\n":                                                       "FILE:2: listeners[0].allow_vpce: nobody could enter: only a PROXY header tells the endpoint; set accept_proxy to required",
	"upstream: a.example:443\nlisteners: [{address: ':443', upstream: a.example, routes: [{sni: [x.example], upstream: a.example}]}]\n":                     "FILE:2: listeners[0].upstream: stands beside routes, which refuse what they do not list; remove one of the two",
	"upstream: a.example:443\nlisteners: [{address: ':443', routes: [{sni: [], upstream: a.example}]}]\n":                                                   "FILE:2: listeners[0].routes[0].sni: the list is empty, so the route serves nobody; name at least one host",
	"upstream: a.example:443\nlisteners: [{address: ':443', routes: [{sni: [x.example], upstream: a.example}, {sni: [x.example], upstream: a.example}]}]\n": "warning: FILE:2: listeners[0].routes[1].sni: x.example has no effect: an earlier route takes it; remove it, or put the route first",
	"upstream: a.example:443\nlisteners: [{address: ':443', routes: []}]\n":                                                                                 "",
	"upstream: a.example:443\nreload: watch\n":                                                                                                              "",
}

func TestFaultsBetweenKeys(t *testing.T) {
	for text, want := range between {
		path := write(t, text)
		_, said := try(t, "--config", path)
		if want != "" {
			want = strings.ReplaceAll(want, "FILE", path) + "\n"
		}
		require.Equal(t, want, said, text)
	}
}

// A name that may be hidden by another fault is not said to be missing.
func TestNamesThatAFaultHidesAreNotSaidToBeMissing(t *testing.T) {
	for text, reported := range map[string]bool{
		"upstreams: [{name: a, address: 'a.example:443', balance: x}]\n":        true, // its name is known
		"upstreams: [{address: 'a.example:443', balance: x}]\n":                 false,
		"upstreams: [{name: 'a b', address: 'a.example:443'}]\n":                false,
		"upstreams: [5, {name: a, address: 'a.example:443'}]\n":                 false,
		"upstreams: {name: a}\n":                                                false,
		"upstreams: [{name: a, address: 'a.example:443'}]\nloops: many\n":       true,
		"upstreams: [{name: a, address: 'a.example:443', chek: {type: tls}}]\n": true,
	} {
		_, said := try(t, "--config", write(t, text+"listeners: [{address: ':443', upstream: elsewhere}]\n"))
		require.Equal(t, reported, strings.Contains(said, `there is no upstream "elsewhere"`), "%s\n%s", text, said)
	}
}

// slowOverlap is the rule by which two addresses of one port exclude each other.
func slowOverlap(a, b binding) bool {
	x, y := a.addr.Addr(), b.addr.Addr()
	switch {
	case x == y, x.IsUnspecified() && y.IsUnspecified():
		return true
	case !service(a) && !service(b):
		return false
	case x.IsUnspecified():
		return x.Is6() || y.Is4()
	case y.IsUnspecified():
		return y.Is6() || x.Is4()
	}
	return false
}

// What is found by looking addresses up is what comparing each with each finds.
func TestTakenAddressesAreFoundAsByComparingAll(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 4))
	addrs := []string{"0.0.0.0", "::", "127.0.0.1", "10.0.0.1", "::1", "2001:db8::1"}
	for range 2000 {
		var earlier []binding
		seen := &taken{exact: map[netip.Addr]binding{}}
		for i := range 1 + r.IntN(6) {
			key := "listeners"
			if i > 3 { // the services come last
				key = "health.address"
			}
			b := binding{key, netip.AddrPortFrom(netip.MustParseAddr(addrs[r.IntN(len(addrs))]), 443)}
			want := false
			for _, a := range earlier {
				want = want || slowOverlap(a, b)
			}
			_, got := seen.by(b)
			require.Equal(t, want, got, "%v after %v", b, earlier)
			seen.add(b)
			earlier = append(earlier, b)
		}
	}
}

func TestOwnAddresses(t *testing.T) {
	require.True(t, ownAddress(netip.MustParseAddr("127.0.0.1")))
	require.True(t, ownAddress(netip.MustParseAddr("127.9.9.9")))
	require.True(t, ownAddress(netip.MustParseAddr("::1")))
	require.False(t, ownAddress(netip.MustParseAddr("192.0.2.1")), "of documentation, and nobody's")
}
