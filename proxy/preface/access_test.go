package preface

import (
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func sources(t *testing.T, entries ...string) *Sources {
	t.Helper()
	var all []netip.Prefix
	for _, e := range entries {
		p, err := ParseSource(e)
		require.NoError(t, err)
		all = append(all, p)
	}
	return NewSources(all)
}

func TestSources(t *testing.T) {
	s := sources(t, "10.1.0.0/16", "10.0.0.0/8", "192.0.2.7", "::ffff:198.51.100.0/120", "2001:db8::/32", "2001:db8:1::/48", "fe80::1")
	for addr, want := range map[string]bool{
		"10.1.2.3": true, "10.255.255.255": true, "11.0.0.0": false, "9.255.255.255": false,
		"192.0.2.7": true, "192.0.2.8": false, "::ffff:10.1.2.3": true, "198.51.100.200": true, "198.51.101.0": false,
		"2001:db8::1": true, "2001:db8:1::1": true, "2001:db9::": false, "fe80::1%eth0": true, "::": false, "0.0.0.0": false,
	} {
		require.Equal(t, want, s.Admits(netip.MustParseAddr(addr)), addr)
	}
	require.False(t, s.Admits(netip.Addr{}))
	require.True(t, NewSources(nil).Admits(netip.MustParseAddr("192.0.2.1")))
	require.False(t, sources(t, "::/0").Admits(netip.MustParseAddr("192.0.2.1")))
	require.True(t, sources(t, "0.0.0.0/0").Admits(netip.MustParseAddr("::ffff:192.0.2.1")))
}

func TestSourcesAgreeWithTheObviousSet(t *testing.T) {
	random := func() netip.Addr {
		return netip.AddrFrom4([4]byte{10, byte(rand.IntN(4)), byte(rand.IntN(4)), byte(rand.IntN(256))})
	}
	for range 300 {
		var all []netip.Prefix
		for range 1 + rand.IntN(8) {
			all = append(all, netip.PrefixFrom(random(), 14+rand.IntN(19)).Masked())
		}
		s := NewSources(all)
		for range 50 {
			a, want := random(), false
			for _, p := range all {
				want = want || p.Contains(a)
			}
			require.Equal(t, want, s.Admits(a), "%v %v", all, a)
		}
	}
}

func TestBadSources(t *testing.T) {
	for entry, want := range map[string]string{
		"10.0.0.1/8": "the network is 10.0.0.0/8", "10.0.0.0/33": "neither", "example.com": "neither", "": "neither", "fe80::1%eth0": "zone",
	} {
		_, err := ParseSource(entry)
		require.ErrorContains(t, err, want, entry)
	}
}

func TestEndpoints(t *testing.T) {
	e, err := NewEndpoints([]string{"vpce-0123456789abcdef0", "vpce-12345678"})
	require.NoError(t, err)
	require.True(t, e.Admits("vpce-12345678"))
	require.False(t, e.Admits("vpce-87654321"))
	require.False(t, e.Admits(""))
	all, err := NewEndpoints(nil)
	require.NoError(t, err)
	require.True(t, all.Admits(""))
	_, err = NewEndpoints([]string{"vpce-svc-0123456789abcdef0", "vpce-12345678", "vpce-xyz"})
	require.ErrorContains(t, err, "endpoint service")
	require.ErrorContains(t, err, `"vpce-xyz" is no VPC endpoint id`)
}
