package preface

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// A record may have more than the ClientHello: what belongs to it decides, and the rest need not have come.
func TestTheRestOfTheRecordIsNotWaitedFor(t *testing.T) {
	m := message(sni("www.example.com"))
	b := record(append(m, make([]byte, 100)...))
	for _, sent := range []int{recordHead + len(m), recordHead + len(m) + 50, len(b)} {
		got := checkSplits(t, Config{Hello: true}, b[:sent])
		require.Equal(t, None, got.v.Refuse)
		require.False(t, got.v.More)
		require.Equal(t, "www.example.com", got.r.SNI)
	}
	_, v := Parse(Config{Hello: true}, b[:recordHead+len(m)-1])
	require.True(t, v.More)
}

// The same of the last of several records.
func TestTheRestOfTheLastRecordIsNotWaitedFor(t *testing.T) {
	m := message(sni("www.example.com"))
	first, second := m[:20], m[20:]
	b := append(record(first), record(append(second, make([]byte, 100)...))...)
	all := 2*recordHead + len(m)
	got := checkSplits(t, Config{Hello: true}, b[:all])
	require.False(t, got.v.More)
	require.Equal(t, "www.example.com", got.r.SNI)
	_, v := Parse(Config{Hello: true}, b[:all-1])
	require.True(t, v.More)
}

// Two bytes of a message are enough to see that it is larger than a ClientHello may be: nothing more is waited for.
func TestAHelloThatIsTooLongIsRefusedAtItsSecondByte(t *testing.T) {
	_, v := Parse(Config{Hello: true}, []byte("\x16\x03\x01\x00\x40\x01\x01"))
	require.Equal(t, HelloBad, v.Refuse)
	_, v = Parse(Config{Hello: true}, []byte("\x16\x03\x01\x00\x40\x01\x00"))
	require.True(t, v.More)
}

// Only what begins like a request is called one.
func TestOnlyARequestIsCalledHTTP(t *testing.T) {
	const http = "no TLS but HTTP: the client's address should begin with https"
	for b, want := range map[string]string{
		"GET / HTTP/1.1": http, "HEAD /": http, "POST /": http, "PUT /x": http, "DELETE": http, "CONNECT": http, "OPTIONS": http, "PATCH /": http, "PRI * HT": http,
		"GET": "no TLS", "EHLO a": "no TLS", "USER a": "no TLS", "*1\r\n$4": "no TLS", "GETX": "no TLS",
	} {
		require.Equal(t, want, hint([]byte(b)), "%q", b)
	}
}

func TestFaultsOfNamesAreNamed(t *testing.T) {
	for name, want := range map[string]string{
		"b\x80.example": "is not ASCII: an international name is written as in DNS, xn--…",
		"b\x7f.example": "has a character that no host name has",
		"":              "is empty",
		".":             "is empty",
		"a..b":          "has an empty label",
		"a.b.":          "",
	} {
		_, fault := normalize(name)
		require.Equal(t, want, fault, "%q", name)
	}
}

// A name of another kind is skipped, but an empty one is malformed whatever its kind.
func TestEmptyNamesAreMalformed(t *testing.T) {
	for list, want := range map[string]Reason{
		"\x00\x03\x07\x00\x00":                       HelloBad,
		"\x00\x03\x00\x00\x00":                       HelloBad,
		"\x00\x09\x07\x00\x00\x00\x00\x03abc":        HelloBad,
		"\x00\x0a\x07\x00\x01x\x00\x00\x03abc":       None,
		"\x00\x0b\x00\x00\x05a.com\x07\x00\x00":      HelloBad,
		"\x00\x0c\x00\x00\x05a.com\x07\x00\x01x":     None,
		"\x00\x10\x00\x00\x05a.com\x00\x00\x05b.com": HelloBad,
	} {
		got := checkSplits(t, Config{Hello: true}, record(message(extension{0, list})))
		require.Equal(t, want, got.v.Refuse, "%q", list)
	}
}

// A TLV that is longer than what is left is malformed, also where the bytes within it would read as TLVs.
func TestNoTLVIsFoundWithinACutOne(t *testing.T) {
	for _, raw := range []string{"", "\xea", "\xea\x00", "\xea\x00\x05\x00\x00", "\xea\xff\xff"} {
		_, n := nextTLV([]byte(raw))
		require.Zero(t, n, "%q", raw)
	}
	tlv, n := nextTLV([]byte("\xea\x00\x02abc"))
	require.Equal(t, 5, n)
	require.Equal(t, "ab", string(tlv.Value))
	got := checkSplits(t, Config{Proxy: Required}, []byte(v2Signature+"\x21\x00\x00\x05\xea\x00\x05\x00\x00"))
	require.Equal(t, ProxyHeaderBad, got.v.Refuse)
}

func TestModesAndReasonsAreSpelled(t *testing.T) {
	for m, want := range map[Mode]string{Off: "off", Optional: "optional", Required: "required"} {
		require.Equal(t, want, m.String())
		var got Mode
		require.NoError(t, got.UnmarshalText([]byte(want)))
		require.Equal(t, m, got)
	}
	m := Required
	require.Error(t, m.UnmarshalText([]byte("on")))
	require.Equal(t, Required, m)
	for r, want := range map[Reason]string{
		None: "", ProxyHeaderBad: "proxy_header_bad", ProxyHeaderMissing: "proxy_header_missing", HelloBad: "hello_bad",
		SNIMissing: "sni_missing", PrefaceTimeout: "preface_timeout", Probe: "probe", Probe + 1: "internal",
	} {
		require.Equal(t, want, r.String())
	}
}

// A parser says from how many bytes on another look is worth while: a client that sends byte by byte costs no more than its bytes.
func TestHowManyBytesAreWorthALook(t *testing.T) {
	hello := record(message(sni("www.example.com")))
	header := "PROXY TCP4 192.0.2.1 10.0.0.1 40000 443\r\n"
	for _, c := range []struct {
		conf Config
		sent string
		need int
	}{
		{Config{Hello: true}, "", 1},
		{Config{Hello: true}, string(hello[:3]), 4},
		{Config{Hello: true}, string(hello[:5]), 6},
		{Config{Hello: true}, string(hello[:7]), 8},
		{Config{Hello: true}, string(hello[:9]), len(hello)},
		{Config{Proxy: Required, Hello: true}, header, len(header) + 1},
		{Config{Proxy: Required, Hello: true}, header + string(hello[:20]), len(header) + len(hello)},
		{Config{Proxy: Required}, header[:9], 10},
		{Config{Proxy: Required}, v2Signature + "\x21\x11\x00", 16},
		{Config{Proxy: Required}, v2Signature + "\x21\x11\x00\x20", 16 + 32},
	} {
		p := Parser{Config: c.conf}
		require.True(t, p.Parse([]byte(c.sent)).More, "%q", c.sent)
		require.Equal(t, c.need, p.need, "%q", c.sent)
	}
}

func TestMappedPrefixesAtTheirLimit(t *testing.T) {
	all, err := ParseSource("::ffff:0:0/96")
	require.NoError(t, err)
	require.Equal(t, "0.0.0.0/0", all.String())
	wider, err := ParseSource("::fffe:0:0/95")
	require.NoError(t, err)
	require.Equal(t, "::fffe:0:0/95", wider.String())
	one, err := ParseSource("::ffff:10.0.0.1")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.1/32", one.String(), "check prints what is in force")
	require.Error(t, CheckEndpoint("0123456789abcdef0"), "without its beginning")
	require.Error(t, CheckEndpoint("01234567"))
}

func TestOnlyAHeaderIsCalledOne(t *testing.T) {
	for b, want := range map[string]bool{"\rabcdef": false, "PRI * ": false, "PROXY ": true, "PROXY": true, "\r\n\r\n\x00\r": true, "PROX": false, "\r\n\r\n": false} {
		require.Equal(t, want, hint([]byte(b)) == "no TLS but a PROXY header, which accept_proxy would have to allow (or a second one)", "%q", b)
	}
}
