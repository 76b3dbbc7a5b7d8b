package preface

import (
	"crypto/tls"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/cryptobyte"
)

type extension struct {
	kind uint16
	data string
}

// sni is a server_name extension with names of type host.
func sni(names ...string) extension {
	var b cryptobyte.Builder
	b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
		for _, name := range names {
			b.AddUint8(nameTypeHost)
			b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(name)) })
		}
	})
	return extension{extServerName, string(b.BytesOrPanic())}
}

// message is a ClientHello message with the extensions.
func message(extensions ...extension) []byte {
	var b cryptobyte.Builder
	b.AddUint8(clientHello)
	b.AddUint24LengthPrefixed(func(b *cryptobyte.Builder) {
		b.AddUint16(0x0303)
		b.AddBytes(make([]byte, 32))
		b.AddUint8LengthPrefixed(func(*cryptobyte.Builder) {})
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint16(0x1301) })
		b.AddUint8LengthPrefixed(func(b *cryptobyte.Builder) { b.AddUint8(0) })
		b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) {
			for _, e := range extensions {
				b.AddUint16(e.kind)
				b.AddUint16LengthPrefixed(func(b *cryptobyte.Builder) { b.AddBytes([]byte(e.data)) })
			}
		})
	})
	return b.BytesOrPanic()
}

// record wraps up to 16 KiB in one record.
func record(m []byte) []byte {
	return append([]byte{recordHandshake, 3, 1, byte(len(m) >> 8), byte(len(m))}, m...)
}

func TestHelloInManyRecordsBehindAHeader(t *testing.T) {
	one := goHello(t, &tls.Config{ServerName: "www.example.com"})
	c := Config{Proxy: Required, Hello: true}
	for _, n := range []int{1, 2, 3, 5, 100, 512} {
		b := append([]byte(nlbProbe), refragment(one, n)...)
		checkWhole(t, c, b, len(b), len(nlbProbe), "www.example.com")
		later := append(b, "early data, which is nobody's business"...)
		checkWhole(t, c, later, len(b), len(nlbProbe), "www.example.com")
	}
}

// A ClientHello of 20 KiB, as large session tickets make it, was refused.
func TestLargestHello(t *testing.T) {
	hello := func(total int) []byte { // total: with the heads of four records, as 64 KiB need
		empty := len(message(sni("www.example.com"), extension{21, ""}))
		return record(message(sni("www.example.com"), extension{21, strings.Repeat("\x00", total-4*recordHead-empty)}))
	}
	fill := func(total int) []byte {
		b := refragment(hello(total), recordMax)
		require.Len(t, b, total)
		return b
	}
	for _, total := range []int{60 << 10, MaxBytes - 1, MaxBytes} {
		b := fill(total)
		checkWhole(t, Config{Hello: true}, b, len(b), 0, "www.example.com")
	}
	b := fill(MaxBytes)
	for name, b := range map[string][]byte{
		"by a byte":                     fill(MaxBytes + 1),
		"by a record's head":            refragment(hello(MaxBytes-1), 16000),
		"behind a header":               append([]byte("PROXY TCP4 192.0.2.1 10.0.0.1 40000 443\r\n"), b...),
		"by what it says of its length": []byte("\x16\x03\x01\x00\x10\x01\x01\x00\x00"),
		"by less than that":             []byte("\x16\x03\x01\x00\x10\x01\x00\xff\xfd"),
	} {
		got := checkSplits(t, Config{Proxy: Optional, Hello: true}, b[:min(len(b), MaxBytes)])
		require.Equal(t, HelloBad, got.v.Refuse, name)
		require.Equal(t, tooLong, got.v.Detail, name)
	}
}

func TestHostNames(t *testing.T) {
	for name, c := range map[string]struct {
		extensions []extension
		want       string
		refuse     Reason
	}{
		"plain":              {[]extension{sni("www.example.com")}, "www.example.com", None},
		"upper case":         {[]extension{sni("WWW.Example.COM")}, "www.example.com", None},
		"trailing dot":       {[]extension{sni("www.example.com.")}, "www.example.com", None},
		"underscore":         {[]extension{sni("my_host.example")}, "my_host.example", None},
		"no extension":       {nil, "", SNIMissing},
		"other extensions":   {[]extension{{16, "x"}, {0xfafa, ""}}, "", SNIMissing},
		"unknown name type":  {[]extension{{0, "\x00\x04\x07\x00\x01x"}}, "", SNIMissing},
		"and a host":         {[]extension{{0, "\x00\x08\x07\x00\x01x\x00\x00\x01a"}}, "a", None},
		"two names":          {[]extension{sni("a.example", "b.example")}, "", HelloBad},
		"two extensions":     {[]extension{sni("a.example"), sni("b.example")}, "", HelloBad},
		"any double":         {[]extension{{16, ""}, sni("a.example"), {16, ""}}, "", HelloBad},
		"empty name":         {[]extension{sni("")}, "", HelloBad},
		"empty list":         {[]extension{sni()}, "", SNIMissing},
		"empty extension":    {[]extension{{0, ""}}, "", SNIMissing},
		"list cut":           {[]extension{{0, "\x00\x04\x00\x00\x05a"}}, "", HelloBad},
		"behind the list":    {[]extension{{0, "\x00\x04\x00\x00\x01ab"}}, "", HelloBad},
		"only a dot":         {[]extension{sni(".")}, "", HelloBad},
		"two dots":           {[]extension{sni("a..b")}, "", HelloBad},
		"NUL":                {[]extension{sni("a\x00.example")}, "", HelloBad},
		"a line for the log": {[]extension{sni("a\n.example")}, "", HelloBad},
		"not ASCII":          {[]extension{sni("bücher.example")}, "", HelloBad},
		"long label":         {[]extension{sni(strings.Repeat("a", 64) + ".example")}, "", HelloBad},
		"long name":          {[]extension{sni(strings.Repeat("a.", 127))}, strings.Repeat("a.", 126) + "a", None},
		"longer name":        {[]extension{sni(strings.Repeat("a.", 127) + "b")}, "", HelloBad},
	} {
		t.Run(name, func(t *testing.T) {
			got := checkSplits(t, Config{Hello: true}, record(message(c.extensions...)))
			require.Equal(t, c.refuse, got.v.Refuse)
			require.Equal(t, c.want, got.r.SNI)
		})
	}
}

func TestHelloFromBeforeExtensions(t *testing.T) {
	m := message()
	m = m[:len(m)-2]
	m[3] -= 2
	require.Equal(t, SNIMissing, checkSplits(t, Config{Hello: true}, record(m)).v.Refuse)
}

func TestManyExtensions(t *testing.T) {
	var many []extension
	for i := range maxExtensions {
		many = append(many, extension{uint16(1000 + i), ""})
	}
	require.Equal(t, SNIMissing, checkSplits(t, Config{Hello: true}, record(message(many...))).v.Refuse)
	many = append(many, sni("a.example"))
	require.Equal(t, HelloBad, checkSplits(t, Config{Hello: true}, record(message(many...))).v.Refuse)
}

func TestBadHellos(t *testing.T) {
	whole := record(message(sni("www.example.com")))
	change := func(at int, to byte) string {
		b := append([]byte{}, whole...)
		b[at] = to
		return string(b)
	}
	for _, c := range []struct{ bytes, detail string }{
		{"GET / HTTP/1.1\r\n", "HTTP"},
		{"PRI * HTTP/2.0\r\n", "HTTP"},
		{"SSH-2.0-OpenSSH_9.2\r\n", "SSH"},
		{"\x80\x2e\x01\x00\x02", "SSL 2.0"},
		{"\x15\x03\x01\x00\x02\x02\x28", "alert"},
		{"PROXY TCP4 192.0.2.1 10.0.0.1 40000 443\r\n", "accept_proxy"},
		{nlbProbe, "accept_proxy"},
		{"\x00\x00\x00", "no TLS"},
		{change(1, 2), "unknown version"},
		{change(5, 2), "does not begin with a ClientHello"},
		{"\x16\x03\x01\x00\x00\x16", "impossible length"},
		{"\x16\x03\x01\x40\x01", "impossible length"},
		{"\x16\x03\x01\x00\x01\x01\x14\x03\x01\x00\x01\x01", "amid the ClientHello"},
		{change(5+4+34, 33), "malformed"},  // session id
		{change(5+4+34+2, 1), "malformed"}, // cipher suites, odd
		{change(5+4+34+5, 0), "malformed"}, // no compression method
		{change(5+4+34+8, 1), "malformed"}, // extensions end early
		{change(5+3, whole[8]-1), "malformed"},
	} {
		t.Run(fmt.Sprintf("%.12q", c.bytes), func(t *testing.T) {
			got := checkSplits(t, Config{Hello: true}, []byte(c.bytes))
			require.Equal(t, HelloBad, got.v.Refuse)
			require.Contains(t, got.v.Detail, c.detail)
		})
	}
}

// A client that sends a byte at a time, each in a record of its own, costs a bounded multiple of its bytes.
func TestSlowClientIsCheap(t *testing.T) {
	b := refragment(record(message(sni("www.example.com"), extension{21, strings.Repeat("x", 2000)})), 1)
	p := Parser{Config: Config{Hello: true}}
	for i := range b {
		require.True(t, p.Parse(b[:i]).More)
		require.GreaterOrEqual(t, p.hello.next, i-2*(recordHead+1), "does not walk the records from the beginning again")
	}
	require.Equal(t, None, p.Parse(b).Refuse)
}
