package preface

import (
	"bytes"
	"net/netip"
	"strings"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"
)

func TestAppendHeader(t *testing.T) {
	four, four2 := netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("10.0.0.1:443")
	six, six2 := netip.MustParseAddrPort("[2001:db8::1]:40000"), netip.MustParseAddrPort("[2001:db8::2]:443")
	var none netip.AddrPort
	for name, c := range map[string]struct {
		from, to netip.AddrPort
		v1       string
		v2       string // from and to as the library reads it; empty: LOCAL
	}{
		"IPv4":      {four, four2, "PROXY TCP4 192.0.2.1 10.0.0.1 40000 443\r\n", "192.0.2.1:40000 10.0.0.1:443"},
		"IPv6":      {six, six2, "PROXY TCP6 2001:db8::1 2001:db8::2 40000 443\r\n", "[2001:db8::1]:40000 [2001:db8::2]:443"},
		"to IPv6":   {four, six2, "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 40000 443\r\n", "192.0.2.1:40000 [2001:db8::2]:443"},
		"to IPv4":   {six, four2, "PROXY TCP6 2001:db8::1 ::ffff:10.0.0.1 40000 443\r\n", "[2001:db8::1]:40000 10.0.0.1:443"},
		"mapped":    {netip.MustParseAddrPort("[::ffff:192.0.2.1]:40000"), four2, "PROXY TCP4 192.0.2.1 10.0.0.1 40000 443\r\n", "192.0.2.1:40000 10.0.0.1:443"},
		"zone":      {netip.MustParseAddrPort("[fe80::1%eth0]:1"), six2, "PROXY TCP6 fe80::1 2001:db8::2 1 443\r\n", "[fe80::1]:1 [2001:db8::2]:443"},
		"no to":     {four, none, "PROXY TCP4 192.0.2.1 0.0.0.0 40000 0\r\n", "192.0.2.1:40000 0.0.0.0:0"},
		"no to, v6": {six, none, "PROXY TCP6 2001:db8::1 :: 40000 0\r\n", "[2001:db8::1]:40000 [::]:0"},
		"unknown":   {none, four2, "PROXY UNKNOWN\r\n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			b, err := AppendHeader([]byte("before"), 1, c.from, c.to, []byte("no TLVs in version 1"))
			require.NoError(t, err)
			require.Equal(t, "before"+c.v1, string(b))

			raw, err := proxyproto.JoinTLVs([]proxyproto.TLV{vpceTLV})
			require.NoError(t, err)
			b, err = AppendHeader([]byte("before"), 2, c.from, c.to, raw)
			require.NoError(t, err)
			b = bytes.TrimPrefix(b, []byte("before"))
			h, err := readHeader(b)
			require.NoError(t, err)
			tlvs, err := h.TLVs()
			require.NoError(t, err)
			require.Equal(t, []proxyproto.TLV{vpceTLV}, tlvs)
			if require.Equal(t, c.v2 == "", h.Command.IsLocal()); c.v2 != "" {
				require.Equal(t, c.v2, h.SourceAddr.String()+" "+h.DestinationAddr.String())
			}
		})
	}
}

// The TLVs of the load balancer reach the upstream; its checksum is computed anew, since the header has changed.
func TestReceivedTLVsArePassedOn(t *testing.T) {
	unique := proxyproto.TLV{Type: 0x05, Value: []byte("unique")}
	sum := proxyproto.TLV{Type: 0x03, Value: make([]byte, 4)}
	in := summed(mustFormat(v4, vpceTLV, tlv(0x04, []byte("pad")), unique, sum))
	r, v := Parse(Config{Proxy: Required, KeepTLVs: true}, []byte(in))
	require.Equal(t, None, v.Refuse)
	out, err := AppendHeader(nil, 2, r.Source, netip.MustParseAddrPort("[2001:db8::9]:443"), r.TLVs)
	require.NoError(t, err)
	again, v := Parse(Config{Proxy: Required, KeepTLVs: true}, out)
	require.Equal(t, Verdict{Skip: len(out)}, v, "a checksum that matches")
	require.Equal(t, r.Source, again.Source)
	require.Equal(t, r.VPCE, again.VPCE)
	h, err := readHeader(out)
	require.NoError(t, err)
	tlvs, err := h.TLVs()
	require.NoError(t, err)
	require.Equal(t, []proxyproto.TLV{vpceTLV, unique}, tlvs[:2])
	require.Equal(t, proxyproto.PP2Type(0x03), tlvs[2].Type)
	require.Len(t, tlvs, 3)

	twice := append(bytes.Clone(r.TLVs), r.TLVs[len(r.TLVs)-7:]...)
	same, err := AppendHeader(nil, 2, r.Source, netip.MustParseAddrPort("[2001:db8::9]:443"), twice)
	require.NoError(t, err)
	require.Equal(t, out, same, "one checksum, of the whole header")
}

func TestAppendHeaderFaults(t *testing.T) {
	a := netip.MustParseAddrPort("192.0.2.1:1")
	for want, tlvs := range map[string]string{
		"truncated TLV":      "\xea\x00\x02a",
		"malformed checksum": "\x03\x00\x03abc",
		"more than 64 KiB":   strings.Repeat("\xe0\x7f\xff"+strings.Repeat("x", 0x7fff), 2),
	} {
		b, err := AppendHeader([]byte("before"), 2, a, a, []byte(tlvs))
		require.ErrorContains(t, err, want)
		require.Equal(t, "before", string(b))
	}
	b, err := AppendHeader([]byte("before"), 3, a, a, nil)
	require.ErrorContains(t, err, "version 3")
	require.Equal(t, "before", string(b))
}
