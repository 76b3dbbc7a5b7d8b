package preface

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	proxyproto "github.com/pires/go-proxyproto"
	"github.com/stretchr/testify/require"
)

var (
	vpceTLV = proxyproto.TLV{Type: 0xEA, Value: []byte("\x01vpce-0123456789abcdef0")}
	// nlbProbe is what an NLB sends to check a target: LOCAL, TCP over IPv4, 84 bytes, which are a checksum and padding
	// where the addresses belong.
	nlbProbe = v2Signature + "\x20\x11\x00\x54\x03\x00\x04\xa9\xb8\x7e\x8f\x04\x00\x4a" + strings.Repeat("\x00", 74)
	v6       = proxyproto.HeaderProxyFromAddrs(2, tcp("[2001:db8::1]:40000"), tcp("[2001:db8::2]:443"))
	v4       = proxyproto.HeaderProxyFromAddrs(2, tcp("192.0.2.1:40000"), tcp("10.0.0.1:443"))
)

type header struct {
	name, bytes  string
	source, dest string // none: the header is the load balancer's own, or names no TCP client
	unnamed      bool   // it names none, and is not the load balancer's own
	vpce         string
}

var headers = []header{
	{name: "v1 IPv4", bytes: "PROXY TCP4 192.0.2.1 10.0.0.1 40000 443\r\n", source: "192.0.2.1:40000", dest: "10.0.0.1:443"},
	{name: "v1 IPv6", bytes: "PROXY TCP6 2001:db8::1 2001:db8::2 40000 443\r\n",
		source: "[2001:db8::1]:40000", dest: "[2001:db8::2]:443"},
	{name: "v1 mapped", bytes: "PROXY TCP6 ::ffff:192.0.2.1 2001:db8::2 1 2\r\n", source: "192.0.2.1:1", dest: "[2001:db8::2]:2"},
	{name: "v1 IPv6 client of an IPv4 listener, as nginx's stream module writes it", bytes: "PROXY TCP6 2001:db8::7 192.0.2.1 51512 443\r\n",
		source: "[2001:db8::7]:51512", dest: "192.0.2.1:443"},
	{name: "v1 IPv4 client of an IPv6 listener, as nginx's stream module writes it", bytes: "PROXY TCP6 192.0.2.7 2001:db8::1 51512 443\r\n",
		source: "192.0.2.7:51512", dest: "[2001:db8::1]:443"},
	{name: "v1 unknown", bytes: "PROXY UNKNOWN\r\n"},
	{name: "v1 unknown, longest", bytes: "PROXY UNKNOWN " + strings.Repeat("f", 91) + "\r\n"},
	{name: "v2 IPv4", bytes: mustFormat(v4), source: "192.0.2.1:40000", dest: "10.0.0.1:443"},
	{name: "v2 IPv6", bytes: mustFormat(v6), source: "[2001:db8::1]:40000", dest: "[2001:db8::2]:443"},
	{name: "v2 endpoint", bytes: mustFormat(v4, tlv(0x04, make([]byte, 9)), vpceTLV),
		source: "192.0.2.1:40000", dest: "10.0.0.1:443", vpce: "vpce-0123456789abcdef0"},
	{name: "v2 another Amazon TLV", bytes: mustFormat(v4, tlv(0xEA, []byte("\x02vpce-0"))),
		source: "192.0.2.1:40000", dest: "10.0.0.1:443"},
	{name: "v2 an endpoint too long to be one", bytes: mustFormat(v4, tlv(0xEA, []byte("\x01vpce-"+strings.Repeat("0", 60)))),
		source: "192.0.2.1:40000", dest: "10.0.0.1:443"},
	{name: "v2 longest", bytes: mustFormat(v4, tlv(0xE0, make([]byte, v2Max-v2Block4-3))),
		source: "192.0.2.1:40000", dest: "10.0.0.1:443"},
	{name: "v2 checksum", bytes: summed(mustFormat(v6, vpceTLV, tlv(0x03, make([]byte, 4)))),
		source: "[2001:db8::1]:40000", dest: "[2001:db8::2]:443", vpce: "vpce-0123456789abcdef0"},
	{name: "v2 unspecified", bytes: v2Signature + "\x21\x00\x00\x00", unnamed: true},
	{name: "v2 unspecified with an endpoint", bytes: v2Signature + "\x21\x00\x00\x1a\xea\x00\x17\x01vpce-0123456789abcdef0", unnamed: true,
		vpce: "vpce-0123456789abcdef0"},
	{name: "v2 UDP", bytes: v2Signature + "\x21\x12\x00\x0c" + strings.Repeat("a", 12), unnamed: true},
	{name: "v2 UDP over IPv6", bytes: v2Signature + "\x21\x22\x00\x24" + strings.Repeat("a", 36), unnamed: true},
	{name: "v2 Unix", bytes: v2Signature + "\x21\x31\x00\xd8" + strings.Repeat("a", 216), unnamed: true},
	{name: "v2 Unix with a TLV", bytes: v2Signature + "\x21\x31\x00\xdc" + strings.Repeat("a", 216) + "\xe0\x00\x01x", unnamed: true},
	{name: "v2 Unix datagram", bytes: v2Signature + "\x21\x32\x00\xd8" + strings.Repeat("a", 216), unnamed: true},
	{name: "NLB health check", bytes: nlbProbe},
	{name: "v2 local, nothing else", bytes: v2Signature + "\x20\x00\x00\x00"},
	{name: "v2 local, TCP without addresses", bytes: v2Signature + "\x20\x11\x00\x00"},
	{name: "v2 local with addresses", bytes: v2Signature + "\x20\x11\x00\x0c\x01\x02\x03\x04\x05\x06\x07\x08\x00\x01\x00\x02"},
	{name: "v2 local, part of an address", bytes: v2Signature + "\x20\x21\x00\x05\x01\x02\x03\x04\x05"},
}

// summed enters the checksum into a header that ends with its TLV.
func summed(h string) string {
	b := []byte(h)
	binary.BigEndian.PutUint32(b[len(b)-4:], checksum(b, len(b)-4))
	return string(b)
}

func TestHeaders(t *testing.T) {
	for _, h := range headers {
		t.Run(h.name, func(t *testing.T) {
			for _, mode := range []Mode{Optional, Required} {
				c := Config{Proxy: mode}
				got := checkSplits(t, c, []byte(h.bytes+"x"))
				require.Equal(t, Verdict{Skip: len(h.bytes)}, got.v)
				require.Equal(t, h.source == "" && !h.unnamed, got.r.Local)
				require.Equal(t, map[bool]int{true: 1, false: 2}[strings.HasPrefix(h.bytes, "PROXY")], got.r.Version)
				if h.source == "" {
					require.Zero(t, got.r.Source, "the connection's own addresses count")
					require.Zero(t, got.r.Dest)
				} else {
					require.Equal(t, netip.MustParseAddrPort(h.source), got.r.Source)
					require.Equal(t, netip.MustParseAddrPort(h.dest), got.r.Dest)
				}
				require.Equal(t, h.vpce, got.r.VPCE)
				require.Nil(t, got.r.TLVs)
				for i := range h.bytes {
					_, v := Parse(c, []byte(h.bytes[:i]))
					require.True(t, v.More, "after %d bytes", i)
				}
			}
		})
	}
}

// A header of the load balancer's own with nothing behind it is a health check: not worth an upstream connection, and
// neither its end nor its silence is a fault. What a client sends behind a header of its own is wanted at once.
func TestWhatAnIncompletePrefaceWas(t *testing.T) {
	more := func(closed, expired Reason) Verdict { return Verdict{More: true, Closed: closed, Expired: expired} }
	v1 := "PROXY TCP4 192.0.2.1 10.0.0.1 40000 443\r\n"
	both := Config{Proxy: Required, Hello: true}
	for _, c := range []struct {
		name string
		conf Config
		sent string
		want Verdict
	}{
		{"nothing", both, "", more(Probe, Probe)},
		{"nothing, and nobody in front", Config{Hello: true}, "", more(Probe, PrefaceTimeout)},
		{"part of a header", both, "PROXY TC", more(ProxyHeaderBad, PrefaceTimeout)},
		{"part of a health check", both, nlbProbe[:50], more(ProxyHeaderBad, PrefaceTimeout)},
		{"a health check", Config{Proxy: Required}, nlbProbe, more(Probe, Probe)},
		{"a health check, routes", both, nlbProbe, more(Probe, Probe)},
		{"a health check with a byte", both, nlbProbe + "\x16", more(HelloBad, PrefaceTimeout)},
		{"a health check with payload", Config{Proxy: Optional}, nlbProbe + "x", Verdict{Skip: len(nlbProbe)}},
		{"v1 unknown", Config{Proxy: Optional}, "PROXY UNKNOWN\r\n", more(Probe, Probe)},
		{"a client that is silent yet", Config{Proxy: Required}, v1, Verdict{Skip: len(v1)}},
		{"a client that is silent yet, routes", both, v1, more(Probe, PrefaceTimeout)},
		{"part of a hello", both, v1 + "\x16\x03\x01", more(HelloBad, PrefaceTimeout)},
	} {
		t.Run(c.name, func(t *testing.T) {
			require.Equal(t, c.want, checkSplits(t, c.conf, []byte(c.sent)).v)
		})
	}
}

func TestBadHeaders(t *testing.T) {
	v2 := func(s string) string { return v2Signature + s }
	for name, bytes := range map[string]string{
		"v1 garbage":             "PROXY garbage\r\n",
		"v1 too long":            "PROXY UNKNOWN " + strings.Repeat("f", 92) + "\r\n",
		"v1 without end":         "PROXY " + strings.Repeat("f", 101),
		"v1 without CR":          "PROXY TCP4 192.0.2.1 10.0.0.1 40000 443\n",
		"v1 family and address":  "PROXY TCP4 2001:db8::1 10.0.0.1 40000 443\r\n",
		"v1 port":                "PROXY TCP4 192.0.2.1 10.0.0.1 400000 443\r\n",
		"v1 UDP":                 "PROXY UDP4 192.0.2.1 10.0.0.1 40000 443\r\n",
		"v2 version":             v2("\x31"),
		"v2 command":             v2("\x22"),
		"v2 Unix, no addresses":  v2("\x21\x31\x00\xd7" + strings.Repeat("a", 215)),
		"v2 unspecified, no TLV": v2("\x21\x00\x00\x02\xea\x00"),
		"v2 unspecified, 0x03":   v2("\x21\x03\x00\x00"),
		"v2 unknown family":      v2("\x21\x41\x00\x0c" + strings.Repeat("a", 12)),
		"v2 local, unknown":      v2("\x20\x13\x00\x0c" + strings.Repeat("a", 12)),
		"v2 no addresses":        v2("\x21\x11\x00\x0b" + strings.Repeat("a", 11)),
		"v2 IPv6, no addresses":  v2("\x21\x21\x00\x0c" + strings.Repeat("a", 12)),
		"v2 oversize":            v2("\x21\x11\x10\x01"),
		"v2 local, oversize":     v2("\x20\x11\xff\xff"),
		"v2 TLV cut in its head": v2("\x21\x11\x00\x0e" + strings.Repeat("a", 12) + "\xea\x00"),
		"v2 TLV cut":             v2("\x21\x11\x00\x10" + strings.Repeat("a", 12) + "\xea\x00\x02\x01"),
		"v2 checksum":            mustFormat(v4, tlv(0x03, []byte("abcd"))),
		"v2 checksum, short":     mustFormat(v4, tlv(0x03, []byte("abc"))),
	} {
		t.Run(name, func(t *testing.T) {
			for _, mode := range []Mode{Optional, Required} {
				got := checkSplits(t, Config{Proxy: mode}, []byte(bytes))
				require.Equal(t, ProxyHeaderBad, got.v.Refuse)
				require.NotEmpty(t, got.v.Detail)
			}
		})
	}
}

func TestBytesThatAreNoHeader(t *testing.T) {
	for _, s := range []string{"GET / HTTP/1.1\r\n", "PROXYING\r\n", "\r\n\r\nhello", "P!", "\x16\x03\x01"} {
		require.Equal(t, ProxyHeaderMissing, checkSplits(t, Config{Proxy: Required}, []byte(s)).v.Refuse)
		require.Equal(t, Verdict{}, checkSplits(t, Config{Proxy: Optional}, []byte(s)).v)
		require.Equal(t, Verdict{}, checkSplits(t, Config{}, []byte(s)).v)
	}
	require.Equal(t, Verdict{}, checkSplits(t, Config{}, []byte(nlbProbe)).v, "payload, where no header is looked for")
	require.True(t, Config{Proxy: Optional}.Wanted())
	require.True(t, Config{Hello: true}.Wanted())
	require.False(t, Config{KeepTLVs: true}.Wanted())
}

// Only the load balancer's header counts: one that the client put behind it claims nothing.
func TestSecondHeaderIsPayload(t *testing.T) {
	first, second := mustFormat(v4), "PROXY TCP4 198.51.100.9 10.0.0.1 1 443\r\n"
	got := checkSplits(t, Config{Proxy: Optional}, []byte(first+second))
	require.Equal(t, Verdict{Skip: len(first)}, got.v)
	require.Equal(t, "192.0.2.1", got.r.Source.Addr().String())
	got = checkSplits(t, Config{Proxy: Required, Hello: true}, []byte(first+second))
	require.Equal(t, HelloBad, got.v.Refuse)
}
