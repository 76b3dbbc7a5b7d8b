package resolve

import (
	"fmt"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// aliasChain makes a chain of n CNAMEs from c0.test. to an A record. The third alias
// has the smallest TTL, 11 s.
func aliasChain(t testing.TB, n int) zone {
	var z zone
	for i := range n {
		ttl := 60
		if i == 2 {
			ttl = 11
		}
		z = append(z, rrs(t, fmt.Sprintf("c%d.test. %d CNAME C%d.Test.", i, ttl, i+1))...)
	}
	return append(z, rrs(t, fmt.Sprintf("c%d.test. 40 A 192.0.2.1", n))...)
}

// oneStep answers like a server that doesn't follow aliases.
func (z zone) oneStep(network string, q *dns.Msg) *dns.Msg {
	m := z.answer(network, q)
	m.Ns = nil
	if len(m.Answer) > 1 {
		m.Answer, m.Rcode = m.Answer[:1], dns.RcodeSuccess
	}
	return m
}

func TestAliasChainIsFollowed(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name    string
		aliases int
		h       func(zone) handler
		queries int
	}{
		{"in one answer", 8, func(z zone) handler { return z.answer }, 1},
		{"of the greatest length", maxAliases, func(z zone) handler { return z.answer }, 1},
		{"one step an answer", 8, func(z zone) handler { return z.oneStep }, 9},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.h(aliasChain(t, c.aliases)))
			n, l := watch(t, asking(s), "c0.test")
			got := l.next(t)
			require.NoError(t, got.Err)
			require.Equal(t, addrs("192.0.2.1"), n.Addrs())
			require.Equal(t, 11*time.Second, got.TTL, "the smallest of the chain")
			require.Equal(t, c.queries, s.count("udp A "))
			st := n.Stats()
			require.Equal(t, c.aliases, st.Aliases)
			require.Equal(t, fmt.Sprintf("c%d.test", c.aliases), st.Canonical)
		})
	}
}

func TestAliasChainOutOfOrderIsFollowed(t *testing.T) {
	t.Parallel()
	z := aliasChain(t, 8)
	s := serve(t, func(network string, q *dns.Msg) *dns.Msg {
		m := z.answer(network, q)
		for i, j := 0, len(m.Answer)-1; i < j; i, j = i+1, j-1 {
			m.Answer[i], m.Answer[j] = m.Answer[j], m.Answer[i]
		}
		return m
	})
	n, l := watch(t, asking(s), "c0.test")
	require.NoError(t, l.next(t).Err)
	require.Equal(t, addrs("192.0.2.1"), n.Addrs())
}

func TestBadAliasChainEnds(t *testing.T) {
	t.Parallel()
	loop := rrs(t, "a.test. 60 CNAME b.test.", "b.test. 60 CNAME c.test.", "c.test. 60 CNAME B.test.")
	for _, c := range []struct {
		name, ask string
		h         handler
		says      string
		queries   int
	}{
		{"loop in one answer", "a.test", loop.answer, "alias chain comes back to b.test", 1},
		{"loop over answers", "a.test", loop.oneStep, "alias chain comes back to b.test", 3},
		{"own name", "a.test", rrs(t, "a.test. 60 CNAME A.test.").answer, "alias chain comes back to a.test", 1},
		{"too long in one answer", "c0.test", aliasChain(t, maxAliases+1).answer, "alias chain has more than 16 names", 1},
		{"too long over answers", "c0.test", aliasChain(t, maxAliases+1).oneStep, "alias chain has more than 16 names", 17},
		{"root", "a.test", rrs(t, "a.test. 60 CNAME .").answer, "alias chain ends at the root", 1},
	} {
		t.Run(c.name, func(t *testing.T) {
			s := serve(t, c.h)
			_, l := watch(t, asking(s), c.ask)
			got := l.next(t)
			require.Equal(t, BadAnswer, got.Result)
			require.EqualError(t, got.Err, fmt.Sprintf("resolve %s: %v: %s", c.ask, s.addr, c.says))
			require.Equal(t, c.queries, s.count("udp A "))
		})
	}
}

func TestAliasWithoutTargetIsToldByTheTarget(t *testing.T) {
	t.Parallel()
	s := serve(t, rrs(t, "a.test. 60 CNAME b.test.").answer)
	_, l := watch(t, asking(s), "a.test")
	got := l.next(t)
	require.Equal(t, NXDomain, got.Result)
	require.EqualError(t, got.Err, fmt.Sprintf("resolve a.test: %v: its alias b.test does not exist (NXDOMAIN)", s.addr))
}

// For AAAA of an Azure name a server answers with the whole alias chain and an SOA:
// this says all, asking for the target would be a question for nothing every 10 s.
func TestAliasWithSOAIsNotAskedFor(t *testing.T) {
	t.Parallel()
	z := aliasChain(t, 3)
	s := serve(t, z.answer)
	_, l := watch(t, asking(s), "c0.test")
	require.NoError(t, l.next(t).Err)
	require.Equal(t, 1, s.count("udp AAAA "))

	// The SOA of another zone says nothing about the target.
	s = serve(t, func(network string, q *dns.Msg) *dns.Msg {
		m := z.oneStep(network, q)
		other := soa(7)
		other.Header().Name = "example."
		m.Ns = []dns.RR{other}
		return m
	})
	n, l := watch(t, asking(s), "c0.test")
	require.NoError(t, l.next(t).Err)
	require.Equal(t, addrs("192.0.2.1"), n.Addrs())
}

func TestAddressesOfOtherNamesAreIgnored(t *testing.T) {
	t.Parallel()
	s := serve(t, func(_ string, q *dns.Msg) *dns.Msg {
		m := new(dns.Msg).SetReply(q)
		m.Answer = rrs(t, "evil.test. 60 A 192.0.2.66", "www.test. 60 CH A 192.0.2.67", "www.test. 60 A 192.0.2.1")
		m.Extra = rrs(t, "www.test. 60 A 192.0.2.68")
		if q.Question[0].Qtype == dns.TypeAAAA {
			m.Answer = rrs(t, "www.test. 60 A 192.0.2.69") // not what was asked for
		}
		return m
	})
	n, l := watch(t, asking(s), "www.test")
	require.NoError(t, l.next(t).Err)
	require.Equal(t, addrs("192.0.2.1"), n.Addrs())
}

func TestTTLIsClamped(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		ttl  uint32
		want time.Duration
	}{
		{0, 5 * time.Second},
		{4, 5 * time.Second},
		{6, 6 * time.Second},
		{86400, 5 * time.Minute},
		{1 << 31, 5 * time.Second}, // RFC 2181 8: as 0
	} {
		s := serve(t, rrs(t, fmt.Sprintf("www.test. %d A 192.0.2.1", c.ttl)).answer)
		_, l := watch(t, asking(s), "www.test")
		require.Equal(t, c.want, l.next(t).TTL, c.ttl)
	}
}
