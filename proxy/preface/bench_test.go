package preface

import (
	"crypto/tls"
	"fmt"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

func BenchmarkParse(b *testing.B) {
	hello := goHello(b, &tls.Config{ServerName: "dais24-aoai-demo.openai.azure.com"})
	nlb := summed(mustFormat(v4, vpceTLV, tlv(0x04, make([]byte, 60)), tlv(0x03, make([]byte, 4))))
	for _, c := range []struct {
		name string
		conf Config
		sent []byte
	}{
		{"nothing wanted", Config{}, hello},
		{"no header, optional", Config{Proxy: Optional}, hello},
		{"v1", Config{Proxy: Required}, []byte("PROXY TCP4 192.0.2.1 10.0.0.1 40000 443\r\n")},
		{"v2 of an NLB", Config{Proxy: Required}, []byte(nlb)},
		{"hello", Config{Hello: true}, hello},
		{"hello in 4 records", Config{Hello: true}, refragment(hello, len(hello)/4)},
		{"v2 of an NLB and hello", Config{Proxy: Required, Hello: true, KeepTLVs: true}, append([]byte(nlb), hello...)},
	} {
		b.Run(c.name, func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, v := Parse(c.conf, c.sent); v.More || v.Refuse != None {
					b.Fatal(v)
				}
			}
		})
	}
}

func BenchmarkAppendHeader(b *testing.B) {
	from, to := netip.MustParseAddrPort("192.0.2.1:40000"), netip.MustParseAddrPort("10.0.0.1:443")
	buf := make([]byte, 0, 256)
	for _, version := range []int{1, 2} {
		b.Run(fmt.Sprintf("v%d", version), func(b *testing.B) {
			b.ReportAllocs()
			for b.Loop() {
				if _, err := AppendHeader(buf, version, from, to, nil); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

func BenchmarkAdmits(b *testing.B) {
	var all []netip.Prefix
	for i := range 1000 {
		all = append(all, netip.PrefixFrom(netip.AddrFrom4([4]byte{10, byte(i >> 8), byte(i), 0}), 24))
	}
	s, a := NewSources(all), netip.MustParseAddr("10.1.77.3")
	b.ReportAllocs()
	for b.Loop() {
		if !s.Admits(a) {
			b.Fatal(a)
		}
	}
}

func BenchmarkMatch(b *testing.B) {
	var routes [][]string
	for i := range 1000 {
		routes = append(routes, []string{fmt.Sprintf("*.svc%d.example.com", i)})
	}
	m, err := NewMatcher(routes)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		if r, ok := m.Match("a.svc999.example.com"); !ok || r != 999 {
			b.Fatal(r, ok)
		}
	}
}

// What a listener without a preface, or with a plain hello, pays in memory for each connection.
func TestAllocations(t *testing.T) {
	hello := goHello(t, &tls.Config{ServerName: "www.example.com"})
	for want, c := range map[float64]Config{0: {Proxy: Optional}, 1: {Proxy: Optional, Hello: true}} {
		require.Equal(t, want, testing.AllocsPerRun(100, func() { Parse(c, hello) }), "%+v", c)
	}
}
