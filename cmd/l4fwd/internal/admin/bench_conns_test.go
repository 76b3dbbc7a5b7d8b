package admin

import (
	"encoding/json"
	"io"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy"
)

// many is n connections as a busy instance has them.
func many(n int) []proxy.Connection {
	leg := proxy.Leg{Known: true, RTT: 1.234, Retransmits: 3, InFlight: 2, Unsent: 77, Window: 65536, Silent: 12.345}
	all := make([]proxy.Connection, n)
	for i := range all {
		all[i] = proxy.Connection{
			ID: uint64(n - i), Listener: "aoai", Client: netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, byte(i >> 8), byte(i)}), uint16(i)),
			VPCE: "vpce-0123456789abcdef0", SNI: "dais24-aoai-demo.openai.azure.com", Upstream: "dais24", Address: netip.MustParseAddrPort("20.42.4.211:443"),
			State: "relaying", Stalls: "none", Age: 1234.567891, Idle: 3.141592, BytesUp: 12345, BytesDown: 678910, Attempts: 1, Connect: 12.345, FirstByte: 345.678,
			ClientLeg: leg, Leg: leg,
		}
	}
	return all
}

// A listing of 9,000 connections, without the loops: what the daemon does, and what the verb does with the answer.
func BenchmarkConnsOf9000(b *testing.B) {
	d := newFake()
	d.conns = many(9000)
	h, l := handlerOf(d)
	w := ask(h, "GET", "/api/v1/conns", "localhost")
	body := w.Body.Bytes()
	b.Run("daemon", func(b *testing.B) {
		for b.Loop() {
			h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/api/v1/conns?sort=rate", nil))
		}
		b.ReportMetric(float64(w.Body.Len()), "bytes")
	})
	b.Run("verb", func(b *testing.B) {
		for b.Loop() {
			var list ConnList
			require.NoError(b, json.Unmarshal(body, &list))
			WriteConns(io.Discard, list, 100)
		}
	})
	l.forget.Stop()
}
