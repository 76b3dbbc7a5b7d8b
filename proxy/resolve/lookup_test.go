package resolve

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

func TestBothFamiliesAreAskedAndIPv4IsFirst(t *testing.T) {
	t.Parallel()
	s := serve(t, rrs(t,
		"www.test. 30 AAAA 2001:db8::1",
		"www.test. 20 A 192.0.2.2",
		"www.test. 20 A 192.0.2.1",
	).answer)
	n, l := watch(t, asking(s), "www.test")
	got := l.next(t)

	require.NoError(t, got.Err)
	require.NoError(t, got.Partial)
	require.Equal(t, addrs("192.0.2.2", "192.0.2.1", "2001:db8::1"), n.Addrs())
	require.Equal(t, n.Addrs(), got.Addrs)
	require.Equal(t, got.Addrs, got.Added)
	require.True(t, got.Changed)
	require.Equal(t, 20*time.Second, got.TTL)
	require.InDelta(t, 19, got.Next.Seconds(), 1)
	require.Equal(t, s.addr, got.Server)

	st := n.Stats()
	require.WithinDuration(t, time.Now(), st.Answered, 5*time.Second)
	require.WithinDuration(t, time.Now().Add(19*time.Second), st.Next, 5*time.Second)
	require.Equal(t, map[Result]uint64{OK: 1}, st.Lookups)
	require.Equal(t, s.addr, st.Server)
	require.Empty(t, st.LastError)
}

func TestUnusableAndDoubleAddressesAreDropped(t *testing.T) {
	t.Parallel()
	s := serve(t, rrs(t,
		"www.test. 20 A 0.0.0.0",
		"www.test. 20 A 224.0.0.1",
		"www.test. 20 A 255.255.255.255",
		"www.test. 20 A 192.0.2.1",
		"www.test. 20 A 192.0.2.1",
		"www.test. 20 AAAA ::",
		"www.test. 20 AAAA ff02::1",
		"www.test. 20 AAAA fe80::1",
		"www.test. 20 AAAA ::ffff:192.0.2.1",
		"www.test. 20 AAAA ::ffff:192.0.2.9",
	).answer)
	n, l := watch(t, asking(s), "www.test")
	l.next(t)
	require.Equal(t, addrs("192.0.2.1", "192.0.2.9"), n.Addrs())
}

func TestAnswerWithoutUsableAddressIsNoData(t *testing.T) {
	t.Parallel()
	s := serve(t, rrs(t, "www.test. 20 A 0.0.0.0").answer)
	n, l := watch(t, asking(s), "www.test")
	got := l.next(t)
	require.Equal(t, NoData, got.Result)
	require.Equal(t, fmt.Sprintf("resolve www.test: %v: the name has only unusable addresses, such as 0.0.0.0; the name has no AAAA records", s.addr), got.Err.Error())
	require.Nil(t, n.Addrs())
}

func TestHugeAnswerIsBoundedToTheSameSetHoweverRotated(t *testing.T) {
	t.Parallel()
	var z zone
	for i := range 2000 { // 32 KB: over TCP
		z = append(z, rrs(t, fmt.Sprintf("www.test. 20 A 10.9.%d.%d", i/250, i%250))...)
	}
	turn := 0
	s := serve(t, func(network string, q *dns.Msg) *dns.Msg {
		m := z.answer(network, q)
		if network == "udp" {
			m.Truncate(dns.MinMsgSize)
			return m
		}
		if q.Question[0].Qtype == dns.TypeA {
			turn++
			m.Answer = append(m.Answer[100*turn:], m.Answer[:100*turn]...)
		}
		return m
	})
	n, l := watch(t, asking(s), "www.test")
	require.Len(t, l.next(t).Addrs, MaxAddrs)
	n.Refresh()
	got := l.next(t)
	require.False(t, got.Changed)
	require.Equal(t, addrs("10.9.0.0")[0], sorted(n.Addrs())[0])
	require.Equal(t, addrs("10.9.0.63")[0], sorted(n.Addrs())[MaxAddrs-1])
}

// A server that never answers AAAA is a common fault of old middleboxes.
func TestSilenceForAAAADelaysAByTheGraceOnly(t *testing.T) {
	t.Parallel()
	z := rrs(t, "www.test. 300 A 192.0.2.1")
	s := serve(t, func(network string, q *dns.Msg) *dns.Msg {
		if q.Question[0].Qtype == dns.TypeAAAA {
			return nil
		}
		return z.answer(network, q)
	})
	n, l := watch(t, impatient(s, s, s), "www.test") // else 3 servers in 2 rounds: 1.8 s
	got := l.next(t)
	require.Equal(t, OK, got.Result)
	require.EqualError(t, got.Partial, "resolve www.test: type AAAA: no answer 300ms after that for A")
	require.Less(t, got.Took, 900*time.Millisecond)
	require.Equal(t, addrs("192.0.2.1"), n.Addrs())
	require.LessOrEqual(t, got.Next, partialRetry, "the missing family is looked for before the TTL ends")
}

func TestFamilyThatFailsKeepsItsLastGoodAddresses(t *testing.T) {
	t.Parallel()
	for _, failing := range []uint16{dns.TypeA, dns.TypeAAAA} {
		t.Run(dns.TypeToString[failing], func(t *testing.T) {
			z := rrs(t, "www.test. 20 A 192.0.2.1", "www.test. 20 AAAA 2001:db8::1")
			var sw switchable
			sw.set(z.answer)
			s := serve(t, sw.answer)
			n, l := watch(t, asking(s), "www.test")
			require.Len(t, l.next(t).Addrs, 2)

			sw.set(func(network string, q *dns.Msg) *dns.Msg {
				if q.Question[0].Qtype == failing {
					return rcode(dns.RcodeServerFailure)(network, q)
				}
				return z.answer(network, q)
			})
			n.Refresh()
			got := l.next(t)
			require.Equal(t, OK, got.Result)
			require.ErrorContains(t, got.Partial, "server failure (SERVFAIL)")
			require.Len(t, n.Addrs(), 2)
			require.False(t, got.Changed)

			// Answered with nothing is another matter.
			sw.set(func(network string, q *dns.Msg) *dns.Msg {
				if q.Question[0].Qtype == failing {
					m := new(dns.Msg).SetReply(q)
					m.Ns = append(m.Ns, soa(7))
					return m
				}
				return z.answer(network, q)
			})
			n.Refresh()
			got = l.next(t)
			require.NoError(t, got.Partial)
			require.Len(t, n.Addrs(), 1)
			require.Len(t, got.Removed, 1)
		})
	}
}

// RFC 4074 4.2: load balancers that say NXDOMAIN for AAAA of a name that has A.
func TestNXDomainForAAAADoesNotHideA(t *testing.T) {
	t.Parallel()
	z := rrs(t, "www.test. 20 A 192.0.2.1")
	s := serve(t, func(network string, q *dns.Msg) *dns.Msg {
		if q.Question[0].Qtype == dns.TypeAAAA {
			return rcode(dns.RcodeNameError)(network, q)
		}
		time.Sleep(50 * time.Millisecond)
		return z.answer(network, q)
	})
	n, l := watch(t, asking(s), "www.test")
	require.NoError(t, l.next(t).Err)
	require.Equal(t, addrs("192.0.2.1"), n.Addrs())
}

func TestIPv6OnlyNameIsFoundHoweverSlow(t *testing.T) {
	t.Parallel()
	z := rrs(t, "www.test. 20 AAAA 2001:db8::1")
	s := serve(t, func(network string, q *dns.Msg) *dns.Msg {
		if q.Question[0].Qtype == dns.TypeAAAA {
			time.Sleep(1200 * time.Millisecond)
		}
		return z.answer(network, q)
	})
	o := asking(s)
	o.Timeout = 4 * time.Second
	n, l := watch(t, o, "www.test")
	require.NoError(t, l.next(t).Err)
	require.Equal(t, addrs("2001:db8::1"), n.Addrs())
}

func TestNoAddressEverTakesTheLastGoodAnswerAway(t *testing.T) {
	t.Parallel()
	bad := map[string]struct {
		h    handler
		want Result
		says string
	}{
		"nxdomain": {zone{}.answer, NXDomain, "resolve www.test: %v: the name does not exist (NXDOMAIN)"},
		"no data":  {rrs(t, "www.test. 20 TXT x").answer, NoData, "resolve www.test: %v: the name has no A records; the name has no AAAA records"},
		"servfail": {rcode(dns.RcodeServerFailure), ServFail, "resolve www.test: %v: server failure (SERVFAIL)"},
		"refused":  {rcode(dns.RcodeRefused), Refused, "resolve www.test: %v: refuses to answer (REFUSED)"},
		"notauth":  {rcode(dns.RcodeNotAuth), BadAnswer, "resolve www.test: %v: answers with NOTAUTH"},
		"silence":  {silent, Timeout, "resolve www.test: %v: no answer within 300ms"},
	}
	for name, c := range bad {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var sw switchable
			sw.set(rrs(t, "www.test. 20 A 192.0.2.1").answer)
			s := serve(t, sw.answer)
			n, l := watch(t, impatient(s), "www.test")
			require.True(t, l.next(t).Changed)
			answered := n.Stats().Answered

			sw.set(c.h)
			n.Refresh()
			got := l.next(t)
			require.Equal(t, c.want, got.Result)
			require.EqualError(t, got.Err, fmt.Sprintf(c.says, s.addr))
			require.Equal(t, addrs("192.0.2.1"), got.Addrs)
			require.False(t, got.Changed)
			require.Zero(t, got.TTL)

			st := n.Stats()
			require.Equal(t, answered, st.Answered)
			require.Equal(t, got.Err.Error(), st.LastError)
			require.Equal(t, map[Result]uint64{OK: 1, c.want: 1}, st.Lookups)
			require.Equal(t, 1, st.Failures)
			require.Equal(t, addrs("192.0.2.1"), st.Addrs)
		})
	}
}

func TestHostsFileGoesFirstAndIsReadAgain(t *testing.T) {
	t.Parallel()
	s := serve(t, rrs(t, "www.test. 20 A 192.0.2.1").answer)
	o := asking(s)
	o.MinTTL = 100 * time.Millisecond
	o.Hosts = filepath.Join(t.TempDir(), "hosts")
	write(t, o.Hosts, "10.0.0.1 WWW.test\nfd00::1 x www.test\n")
	n, l := watch(t, o, "www.test")
	got := l.next(t)
	require.Equal(t, addrs("10.0.0.1", "fd00::1"), n.Addrs())
	require.False(t, got.Server.IsValid())
	require.Equal(t, o.MinTTL, got.TTL)
	require.Zero(t, s.count(""))

	write(t, o.Hosts, "10.0.0.2 www.test\n")
	require.Eventually(t, func() bool { return len(n.Addrs()) == 1 && n.Addrs()[0] == addrs("10.0.0.2")[0] }, 5*time.Second, 10*time.Millisecond)
	write(t, o.Hosts, "10.0.0.2 other\n")
	require.Eventually(t, func() bool { return n.Addrs()[0] == addrs("192.0.2.1")[0] }, 5*time.Second, 10*time.Millisecond)
	write(t, o.Hosts, "0.0.0.0 www.test\n") // how people block names
	n.Refresh()
	l.until(t, NoData)
	require.Equal(t, addrs("192.0.2.1"), n.Addrs())
}

func TestLocalhostNeverGoesToAServer(t *testing.T) {
	t.Parallel()
	s := serve(t, zone{}.answer)
	for _, name := range []string{"localhost", "LocalHost.", "db.localhost"} {
		n, l := watch(t, asking(s), name)
		require.NoError(t, l.next(t).Err)
		require.Equal(t, addrs("127.0.0.1", "::1"), n.Addrs())
	}
	require.Zero(t, s.count(""))
}
