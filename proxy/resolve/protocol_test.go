package resolve

import (
	"fmt"
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

var www = []string{"www.test. 20 A 192.0.2.1"}

func TestEDNS0IsAnnounced(t *testing.T) {
	t.Parallel()
	z := rrs(t, www...)
	sizes := make(chan uint16, 10)
	s := serve(t, func(network string, q *dns.Msg) *dns.Msg {
		if opt := q.IsEdns0(); opt != nil {
			sizes <- opt.UDPSize()
		}
		return z.answer(network, q)
	})
	_, l := watch(t, asking(s), "www.test")
	require.NoError(t, l.next(t).Err)
	require.Equal(t, uint16(1232), <-sizes)
	require.Equal(t, uint16(1232), <-sizes)
}

func TestServerWithoutEDNS0IsAskedAgainWithout(t *testing.T) {
	t.Parallel()
	z := rrs(t, www...)
	for _, c := range []struct {
		name string
		no   func(q *dns.Msg) *dns.Msg
	}{
		{"FORMERR", func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeFormatError) }},
		{"NOTIMP", func(q *dns.Msg) *dns.Msg { return new(dns.Msg).SetRcode(q, dns.RcodeNotImplemented) }},
		{"header only", func(q *dns.Msg) *dns.Msg {
			m := new(dns.Msg).SetRcode(q, dns.RcodeFormatError)
			m.Question = nil
			return m
		}},
		{"BADVERS", func(q *dns.Msg) *dns.Msg {
			m := new(dns.Msg).SetReply(q)
			m.SetEdns0(1232, false)
			m.Rcode = dns.RcodeBadVers
			return m
		}},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, func(network string, q *dns.Msg) *dns.Msg {
				if q.IsEdns0() != nil {
					return c.no(q)
				}
				return z.answer(network, q)
			})
			n, l := watch(t, asking(s), "www.test")
			require.NoError(t, l.next(t).Err)
			require.Equal(t, addrs("192.0.2.1"), n.Addrs())
			require.Equal(t, 2, s.count("udp A "))
			require.Zero(t, s.count("tcp"))
		})
	}
}

func TestPathThatDropsEDNS0IsPassedInTheSecondRound(t *testing.T) {
	t.Parallel()
	z := rrs(t, www...)
	s := serve(t, func(network string, q *dns.Msg) *dns.Msg {
		if q.IsEdns0() != nil {
			return nil
		}
		return z.answer(network, q)
	})
	_, l := watch(t, impatient(s), "www.test")
	require.NoError(t, l.next(t).Err)
}

func TestAnswerThatDoesNotFitIsAskedForOverTCP(t *testing.T) {
	t.Parallel()
	z := aliasChain(t, 8)
	for name, udp := range map[string]func(*dns.Msg, dns.ResponseWriter){
		"TC bit, empty": func(q *dns.Msg, w dns.ResponseWriter) {
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			_ = w.WriteMsg(m)
		},
		"TC bit, part of the answer": func(q *dns.Msg, w dns.ResponseWriter) {
			m := z.answer("", q)
			m.Answer, m.Truncated = m.Answer[:2], true
			_ = w.WriteMsg(m)
		},
		"TC bit, cut within a record": func(q *dns.Msg, w dns.ResponseWriter) {
			m := z.answer("", q)
			m.Truncated = true
			_, _ = w.Write(packed(t, m, 60))
		},
		"no TC bit, cut within a record": func(q *dns.Msg, w dns.ResponseWriter) {
			_, _ = w.Write(packed(t, z.answer("", q), 100))
		},
		"larger than any buffer": func(q *dns.Msg, w dns.ResponseWriter) {
			m := new(dns.Msg).SetReply(q)
			for range 600 {
				m.Answer = append(m.Answer, rrs(t, "other.test. 20 A 192.0.2.9")...)
			}
			_, _ = w.Write(packed(t, m, 0))
		},
	} {
		t.Run(name, func(t *testing.T) {
			s := serveRaw(t, func(network string, q *dns.Msg, w dns.ResponseWriter) {
				if network == "udp" {
					udp(q, w)
				} else {
					_ = w.WriteMsg(z.answer(network, q))
				}
			})
			n, l := watch(t, asking(s), "c0.test")
			require.NoError(t, l.next(t).Err)
			require.Equal(t, addrs("192.0.2.1"), n.Addrs())
			require.Equal(t, 1, s.count("udp A "))
			require.Equal(t, 1, s.count("tcp A "))
		})
	}
}

// packed returns the wire form of m, cut after so many bytes unless 0.
func packed(t testing.TB, m *dns.Msg, cut int) []byte {
	m.Compress = true
	b, err := m.Pack()
	require.NoError(t, err)
	if cut > 0 && len(b) > cut {
		b = b[:cut]
	}
	return b
}

func TestTCPThatFailsAfterTruncationIsToldAsSuch(t *testing.T) {
	// Not parallel: another test must not get the TCP port.
	// UDP only: the TCP port of this number is closed.
	pc, tcp := listenBoth(t)
	tcp.Close()
	s := &server{addr: netip.MustParseAddrPort(pc.LocalAddr().String())}
	srv := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) {
		m := new(dns.Msg).SetReply(q)
		m.Truncated = true
		_ = w.WriteMsg(m)
	})}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.ActivateAndServe() }()
	t.Cleanup(func() { pc.Close(); <-done })

	_, l := watch(t, asking(s), "www.test")
	got := l.next(t)
	require.Equal(t, Truncated, got.Result)
	require.EqualError(t, got.Err, fmt.Sprintf("resolve www.test: %v: answer does not fit into UDP, and over TCP: connection refused", s.addr))
}

func TestTCPConnectionClosedIsANetworkError(t *testing.T) {
	t.Parallel()
	s := serveRaw(t, func(_ string, _ *dns.Msg, w dns.ResponseWriter) { w.Close() })
	r := New(Options{})
	defer r.Close()
	_, _, err := r.ask(t.Context(), &config{servers: []netip.AddrPort{s.addr}, attempts: 1, timeout: time.Second, tcp: true}, 0, "www.test.", dns.TypeA)
	require.EqualError(t, err, s.addr.String()+": connection closed without an answer")
	require.Equal(t, 1, s.count("tcp A "))
	require.Zero(t, s.count("udp"), "use-vc: no UDP at all")
}

func TestAnswersToOtherQuestionsAreWaitedThrough(t *testing.T) {
	t.Parallel()
	z := rrs(t, www...)
	s := serveRaw(t, func(network string, q *dns.Msg, w dns.ResponseWriter) {
		forged := func(change func(*dns.Msg)) {
			m := rrs(t, "www.test. 20 A 192.0.2.66").answer(network, q)
			change(m)
			_ = w.WriteMsg(m)
		}
		forged(func(m *dns.Msg) { m.Id++ })
		forged(func(m *dns.Msg) { m.Question[0].Name = "ww.test." })
		forged(func(m *dns.Msg) { m.Question[0].Qtype = dns.TypeTXT })
		forged(func(m *dns.Msg) { m.Question[0].Qclass = dns.ClassCHAOS })
		forged(func(m *dns.Msg) { m.Question = append(m.Question, m.Question[0]) })
		forged(func(m *dns.Msg) { m.Question = nil })
		forged(func(m *dns.Msg) { m.Response = false })
		forged(func(m *dns.Msg) { m.Opcode = dns.OpcodeNotify })
		_, _ = w.Write([]byte{1, 2, 3})
		_, _ = w.Write(nil)

		// Somebody else, from another port. The socket is connected: never seen.
		c, err := net.Dial("udp", w.RemoteAddr().String())
		if err == nil {
			_, _ = c.Write(packed(t, rrs(t, "www.test. 20 A 192.0.2.66").answer(network, q), 0))
			c.Close()
		}
		time.Sleep(20 * time.Millisecond)
		m := z.answer(network, q)
		m.Question[0].Name = "wWw.TeSt." // RFC 4343: any case
		_ = w.WriteMsg(m)
	})
	n, l := watch(t, asking(s), "www.test")
	require.NoError(t, l.next(t).Err)
	require.Equal(t, addrs("192.0.2.1"), n.Addrs())
	require.Equal(t, 1, s.count("udp A "))
}

func TestServersAreTriedInOrder(t *testing.T) {
	t.Parallel()
	good := rrs(t, www...)
	referring := func(_ string, q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Ns = rrs(t, "test. 20 NS ns.test.")
		return m
	}
	for _, c := range []struct {
		name string
		h    handler
		says string // with this handler in the first server and nothing behind the second
		want Result
	}{
		{"SERVFAIL", rcode(dns.RcodeServerFailure), "%s: server failure (SERVFAIL); %s: connection refused", ServFail},
		{"REFUSED", rcode(dns.RcodeRefused), "%s: refuses to answer (REFUSED); %s: connection refused", Refused},
		{"timeout", silent, "%s: no answer within 300ms; %s: connection refused", Network},
		{"FORMERR for good", rcode(dns.RcodeFormatError), "%s: answers with FORMERR; %s: connection refused", BadAnswer},
		{"referral", referring, "%s: refers to other servers instead of asking them (no recursion); %s: connection refused", BadAnswer},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			first, second, third := serve(t, c.h), serve(t, good.answer), serve(t, good.answer)
			_, l := watch(t, impatient(first, second, third), "www.test")
			got := l.next(t)
			require.NoError(t, got.Err)
			require.Equal(t, second.addr, got.Server)
			require.NotZero(t, first.count("udp A "))
			require.Zero(t, third.count(""))

			_, l = watch(t, impatient(first, nobody), "www.test")
			got = l.next(t)
			require.Equal(t, c.want, got.Result)
			require.EqualError(t, got.Err, "resolve www.test: "+fmt.Sprintf(c.says, first.addr, nobody.addr))
		})
	}
}

// nobody is a server that is not there. No port that was free a moment ago, which the
// test beside this one may get.
var nobody = &server{addr: netip.MustParseAddrPort("127.0.0.1:1")}

func TestSilentServersAreNamedTogether(t *testing.T) {
	t.Parallel()
	a, b := serve(t, silent), serve(t, silent)
	_, l := watch(t, impatient(a, b), "dais24.test")
	require.EqualError(t, l.next(t).Err, fmt.Sprintf("resolve dais24.test: %v and %v: no answer within 300ms", a.addr, b.addr))
	require.Equal(t, 2, a.count("udp A "), "two rounds")
	require.Equal(t, 2, b.count("udp A "))
}

func TestServerThatAnsweredIsAskedForTheRestOfTheChain(t *testing.T) {
	t.Parallel()
	dead, alive := serve(t, silent), serve(t, aliasChain(t, 8).oneStep)
	_, l := watch(t, impatient(dead, alive), "c0.test")
	require.NoError(t, l.next(t).Err)
	require.Equal(t, 1, dead.count("udp A "))
	require.Equal(t, 9, alive.count("udp A "))
}

func TestReasonOfTheServerIsTold(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ string, q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetRcode(q, dns.RcodeServerFailure)
		if q.IsEdns0() != nil { // the second round asks without
			m.SetEdns0(1232, false)
			m.IsEdns0().Option = append(m.IsEdns0().Option, &dns.EDNS0_EDE{InfoCode: dns.ExtendedErrorCodeDNSBogus, ExtraText: "\x1b[31m"})
		}
		return m
	})
	_, l := watch(t, asking(s), "www.test")
	require.EqualError(t, l.next(t).Err, fmt.Sprintf("resolve www.test: %v: server failure (SERVFAIL, DNSSEC Bogus)", s.addr))
}

func TestIPv6ServerIsAsked(t *testing.T) {
	t.Parallel()
	pc, err := net.ListenPacket("udp6", "[::1]:0")
	if err != nil {
		t.Skip("no IPv6:", err)
	}
	z := rrs(t, www...)
	srv := &dns.Server{PacketConn: pc, Handler: dns.HandlerFunc(func(w dns.ResponseWriter, q *dns.Msg) { _ = w.WriteMsg(z.answer("udp", q)) })}
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.ActivateAndServe() }()
	t.Cleanup(func() { pc.Close(); <-done })

	addr := netip.MustParseAddrPort(pc.LocalAddr().String())
	_, l := watch(t, asking(&server{addr: addr}), "www.test")
	require.NoError(t, l.next(t).Err)

	// A zone needs a link: only that it gets as far as the network is checked.
	zoned := netip.AddrPortFrom(netip.MustParseAddr("fe80::1%nolink0"), 53)
	_, l = watch(t, asking(&server{addr: zoned}), "www.test")
	got := l.next(t)
	require.Contains(t, []Result{Network, Timeout}, got.Result)
	require.ErrorContains(t, got.Err, "resolve www.test: [fe80::1%nolink0]:53: ")
}
