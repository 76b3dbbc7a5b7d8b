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

// asking is a question to one server, whatever the hosts file of this machine has.
func asking(name string, server netip.AddrPort, timeout time.Duration) probe.DNSRequest {
	return probe.DNSRequest{Name: name, Server: server, Servers: []netip.AddrPort{server}, Timeout: timeout, Hosts: "/nonexistent"}
}

func TestDNS(t *testing.T) {
	server := nameserver(t, func(m *dns.Msg) {
		m.Answer = append(m.Answer, record(t, m.Question[0].Name+" 541 IN CNAME front.example."))
		switch m.Question[0].Qtype {
		case dns.TypeA:
			m.Answer = append(m.Answer, record(t, "front.example. 9 IN A 192.0.2.7"))
		case dns.TypeAAAA:
			m.Answer = append(m.Answer, record(t, "front.example. 60 IN AAAA 2001:db8::7"))
		}
	})
	r, err := probe.DNS(t.Context(), asking("model.example", server, 0))
	require.NoError(t, err)
	require.Equal(t, []probe.DNSRecord{{Addr: netip.MustParseAddr("192.0.2.7"), TTL: 9 * time.Second}, {Addr: netip.MustParseAddr("2001:db8::7"), TTL: time.Minute}}, r.Records)
	require.Equal(t, []probe.DNSAlias{{Name: "model.example", Target: "front.example", TTL: 541 * time.Second}}, r.Aliases)
	require.Equal(t, "ok", r.Result)
	require.NotZero(t, r.Took)
}

func TestDNSThatFails(t *testing.T) {
	gone := nameserver(t, func(m *dns.Msg) { m.Rcode = dns.RcodeNameError })
	r, err := probe.DNS(t.Context(), asking("model.example", gone, 0))
	require.ErrorContains(t, err, "look up model.example: ")
	require.ErrorContains(t, err, "the name does not exist (NXDOMAIN)")
	require.Equal(t, "nxdomain", r.Result)

	broken := nameserver(t, func(m *dns.Msg) { m.Rcode = dns.RcodeServerFailure })
	r, err = probe.DNS(t.Context(), asking("model.example", broken, 0))
	require.Error(t, err)
	require.Equal(t, "servfail", r.Result)

	silent := nameserver(t, func(m *dns.Msg) { m.Opcode = dns.OpcodeStatus })
	r, err = probe.DNS(t.Context(), asking("model.example", silent, 100*time.Millisecond))
	require.ErrorContains(t, err, "no answer within 100ms")
	require.Equal(t, "timeout", r.Result)
	begun := time.Now()
	_, err = probe.DNS(within(t, 100*time.Millisecond), asking("model.example", silent, time.Minute))
	require.Error(t, err)
	require.Less(t, time.Since(begun), 10*time.Second, "it ends with its context")
}

// A server that is not there is not one that keeps silent.
func TestDNSWithoutAServer(t *testing.T) {
	pc, err := net.ListenPacket("udp", "127.0.0.1:0")
	require.NoError(t, err)
	nobody := pc.LocalAddr().(*net.UDPAddr).AddrPort()
	require.NoError(t, pc.Close())
	r, err := probe.DNS(t.Context(), asking("model.example", nobody, time.Second))
	require.ErrorContains(t, err, "connection refused")
	require.Equal(t, "network", r.Result)
	require.Equal(t, []netip.AddrPort{nobody}, probe.Resolvers([]netip.AddrPort{nobody}))
}
