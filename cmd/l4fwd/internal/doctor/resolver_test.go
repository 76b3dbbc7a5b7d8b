package doctor_test

import (
	"net"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// resolver runs a DNS server over UDP and TCP until the test ends, and returns its address.
func resolver(t *testing.T, h dns.HandlerFunc) string {
	t.Helper()
	return resolverAt(t, "127.0.0.1:0", h)
}

// resolverAt is resolver at an address.
func resolverAt(t *testing.T, address string, h dns.HandlerFunc) string {
	t.Helper()
	for {
		pc, err := net.ListenPacket("udp", address)
		require.NoError(t, err)
		l, err := net.Listen("tcp", pc.LocalAddr().String())
		if err != nil { // somebody else has that port of TCP
			pc.Close()
			continue
		}
		for _, s := range []*dns.Server{{PacketConn: pc, Handler: h}, {Listener: l, Handler: h}} {
			up, done := make(chan struct{}), make(chan struct{})
			s.NotifyStartedFunc = func() { close(up) }
			go func() { defer close(done); _ = s.ActivateAndServe() }()
			<-up
			t.Cleanup(func() { _ = s.Shutdown(); <-done })
		}
		return pc.LocalAddr().String()
	}
}

// zone answers from records as they stand in a zone file. A name without any does not exist.
func zone(t *testing.T, records ...string) dns.HandlerFunc {
	t.Helper()
	var all []dns.RR
	for _, text := range records {
		rr, err := dns.NewRR(text)
		require.NoError(t, err)
		all = append(all, rr)
	}
	return func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		name, known := q.Question[0].Name, false
		for range len(all) + 1 { // each alias leads on
			next := ""
			for _, rr := range all {
				if !strings.EqualFold(rr.Header().Name, name) {
					continue
				}
				known = true
				if alias, ok := rr.(*dns.CNAME); ok {
					next = alias.Target
				}
				if next != "" || rr.Header().Rrtype == q.Question[0].Qtype {
					m.Answer = append(m.Answer, rr)
				}
			}
			if name = next; name == "" {
				break
			}
		}
		if !known {
			m.Rcode = dns.RcodeNameError
		}
		_ = w.WriteMsg(m) // the asker may be gone
	}
}

// late answers as h does, after a time.
func late(by time.Duration, h dns.HandlerFunc) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) {
		time.Sleep(by)
		h(w, q)
	}
}

// failing answers with a code.
func failing(rcode int) dns.HandlerFunc {
	return func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(new(dns.Msg).SetRcode(q, rcode)) }
}

// silent takes questions and answers none.
func silent(dns.ResponseWriter, *dns.Msg) {}
