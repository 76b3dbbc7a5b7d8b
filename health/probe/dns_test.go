package probe_test

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/health/probe"
)

// nameserver answers as f says, until the test ends.
func nameserver(t *testing.T, f func(*dns.Msg)) netip.AddrPort {
	t.Helper()
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	s := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.RecursionAvailable = true
		f(m)
		if m.Opcode == dns.OpcodeQuery {
			_ = w.WriteMsg(m) // the asker may be gone
		}
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = s.ActivateAndServe() }()
	t.Cleanup(func() { _ = s.Shutdown(); <-done })
	return pc.LocalAddr().(*net.UDPAddr).AddrPort()
}

func record(t *testing.T, text string) dns.RR {
	rr, err := dns.NewRR(text)
	require.NoError(t, err)
	return rr
}

func TestDNS(t *testing.T) {
	server := nameserver(t, func(m *dns.Msg) {
		m.Answer = append(m.Answer, record(t, m.Question[0].Name+" 60 IN CNAME front.example."))
		switch m.Question[0].Qtype {
		case dns.TypeA:
			m.Answer = append(m.Answer, record(t, "front.example. 60 IN A 192.0.2.7"))
		case dns.TypeAAAA:
			m.Answer = append(m.Answer, record(t, "front.example. 60 IN AAAA 2001:db8::7"))
		}
	})
	r, err := probe.DNS(t.Context(), "model.example", server)
	require.NoError(t, err)
	require.ElementsMatch(t, []netip.Addr{netip.MustParseAddr("192.0.2.7"), netip.MustParseAddr("2001:db8::7")}, r.Addrs)
	require.Equal(t, "front.example", r.Canonical)
	require.NotZero(t, r.Took)
}

func TestDNSThatFails(t *testing.T) {
	gone := nameserver(t, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError })
	_, err := probe.DNS(t.Context(), "model.example.", gone)
	require.EqualError(t, err, "look up model.example.: the name does not exist, or has no address")

	broken := nameserver(t, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure })
	_, err = probe.DNS(t.Context(), "model.example.", broken)
	require.ErrorContains(t, err, "look up model.example.: ")

	silent := nameserver(t, func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus })
	begun := time.Now()
	_, err = probe.DNS(within(t, 300*time.Millisecond), "model.example.", silent)
	require.ErrorContains(t, err, "look up model.example.: no answer in ")
	require.Less(t, time.Since(begun), 5*time.Second)
}

// A name may have one family only, or an address without an alias.
func TestDNSWithoutAnAlias(t *testing.T) {
	server := nameserver(t, func(m *dns.Msg) {
		if m.Question[0].Qtype == dns.TypeA {
			m.Answer = append(m.Answer, record(t, "model.example. 60 IN A 192.0.2.7"))
		}
	})
	r, err := probe.DNS(t.Context(), "model.example.", server)
	require.NoError(t, err)
	require.Equal(t, []netip.Addr{netip.MustParseAddr("192.0.2.7")}, r.Addrs)
	require.Equal(t, "model.example", r.Canonical)
}

// A server that is not there is named by what happened, not by its address.
func TestDNSWithoutAServer(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	require.NoError(t, pc.Close())
	_, err = probe.DNS(within(t, 2*time.Second), "model.example.", nobody)
	require.ErrorContains(t, err, "look up model.example.: ")
}
