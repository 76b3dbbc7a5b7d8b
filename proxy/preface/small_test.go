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
