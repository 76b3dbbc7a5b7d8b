package proxy

import (
	"fmt"
	"io"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

const soon = 10 * time.Second

// isWarm waits until as many connections to the upstream are ready as are wanted.
func isWarm(t *testing.T, s *Server) {
	t.Helper()
	require.Eventually(t, func() bool {
		w := s.Status().Upstreams[0].Warm
		return w != nil && w.Ready == int64(w.Wanted)
	}, soon, 5*time.Millisecond, "warm: %+v", s.Status().Upstreams[0].Warm)
}

func used(s *Server, result string) uint64 { return s.Stats().WarmUsed[[2]string{"up", result}] }

func warm(n int) func(*Options) { return func(o *Options) { o.Upstreams[0].Warm.Connections = n } }

func TestWarmConnectionsAreUsedAndCounted(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		s := start(t, engine, "127.0.0.1", greeter(t, "127.0.0.1:0", "one").Port(), warm(4))
		isWarm(t, s)
		require.EqualValues(t, 4, s.Stats().Warm["up"])
		before := s.Stats().Connect["up"].Count
		require.EqualValues(t, 4, before)
		var open []net.Conn
		for range 3 {
			isWarm(t, s)
			c, name := greet(t, s)
			require.Equal(t, "one\n", name)
			echoes(t, c)
			open = append(open, c)
		}
		isWarm(t, s)
		require.EqualValues(t, 3, used(s, "hit"))
		require.Zero(t, used(s, "miss"))
		require.Zero(t, used(s, "stale"))
		require.EqualValues(t, 7, s.Stats().Connect["up"].Count, "each connection counts once, when it is made")
		st := s.Status().Upstreams[0]
		require.EqualValues(t, 3, st.Active)
		require.EqualValues(t, 3, st.Addresses[0].Active, "those that wait are none of the clients'")
		require.Positive(t, st.Addresses[0].Connect, "how long a warm connect took")
		for _, c := range open {
			c.Close()
		}
		set := s.targets()[0].set
		s.StopAccepting()
		require.NoError(t, s.Wait(t.Context()))
		require.Zero(t, s.Stats().Warm["up"])
		require.Zero(t, set.Addresses()[0].Active(), "uses of the address balance")
	})
}

// An upstream that ends what waits, and what it is asked on those connections, is reached all the same.
func TestStaleWarmConnectionsAreReplaced(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		ln, err := net.Listen("tcp", "127.0.0.1:0")
		require.NoError(t, err)
		var wg sync.WaitGroup
		var mu sync.Mutex
		seen := 0
		wg.Go(func() {
			for {
				c, err := ln.Accept()
				if err != nil {
					return
				}
				mu.Lock()
				seen++
				first := seen <= 2 // both of the pool
				mu.Unlock()
				wg.Go(func() {
					defer c.Close()
					b := make([]byte, 5)
					if _, err := io.ReadFull(c, b); err != nil {
						return
					}
					if first {
						_ = c.(*net.TCPConn).SetLinger(0)
						return
					}
					_, _ = c.Write(b)
					_, _ = io.Copy(c, c)
				})
			}
		})
		t.Cleanup(func() { ln.Close(); wg.Wait() })
		s := start(t, engine, "127.0.0.1", ln.Addr().(*net.TCPAddr).AddrPort().Port(), func(o *Options) {
			o.Upstreams[0].Warm.Connections, o.Upstreams[0].Attempts = 2, 1
		})
		isWarm(t, s)
		c, err := net.Dial("tcp", s.Addrs()[0].String())
		require.NoError(t, err)
		defer c.Close()
		_ = c.SetDeadline(time.Now().Add(soon))
		echoes(t, c)
		require.EqualValues(t, 1, used(s, "hit"))
		require.EqualValues(t, 1, used(s, "stale"))
		require.EqualValues(t, 1, s.Stats().Active[[2]string{"in", "up"}])
		require.EqualValues(t, 1, s.Status().Upstreams[0].Active)
		c.Close()
		require.NoError(t, s.relay.Wait(t.Context()))
		s.StopAccepting()
		require.Zero(t, s.targets()[0].set.Addresses()[0].Active(), "uses of the address balance")
		require.Zero(t, s.targets()[0].counters.open.Load(), "places of max_connections")
	})
}

// The name moves: what waits at the old address is closed, and clients are not sent there.
func TestWarmConnectionsFollowTheName(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		ns, s := startMoving(t, engine, func(o *Options) {
			o.Upstreams[0].Warm.Connections = 4
		})
		isWarm(t, s)
		old := s.targets()[0].set.Addresses()[0]
		ns.say(dns.RcodeSuccess, false, "127.0.0.2")
		require.Eventually(t, func() bool { return old.Active() == 0 }, soon, 5*time.Millisecond)
		isWarm(t, s)
		c, name := greet(t, s)
		defer c.Close()
		require.Equal(t, "two\n", name)
		require.EqualValues(t, 1, used(s, "hit"))
	})
}

// Where the balance chooses an address that nothing waits at, what waits at an equal one serves.
func TestWarmConnectionsToAnEqualAddressServe(t *testing.T) {
	one := greeter(t, "127.0.0.1:0", "one")
	greeter(t, fmt.Sprintf("127.0.0.2:%d", one.Port()), "two")
	ns := startNameserver(t)
	ns.say(dns.RcodeSuccess, false, "127.0.0.1", "127.0.0.2")
	s := start(t, engines()[0], testName, one.Port(), func(o *Options) {
		o.DNS.Servers = []netip.AddrPort{ns.addr}
		o.Loops = 1
		o.Upstreams[0].Warm.Connections = 1
	})
	for i := range 10 {
		isWarm(t, s)
		c, _ := greet(t, s)
		defer c.Close()
		require.EqualValues(t, i+1, used(s, "hit"))
	}
	isWarm(t, s) // an attempt under way counts as a use
	for _, a := range s.Status().Upstreams[0].Addresses {
		require.EqualValues(t, 5, a.Active, "of %s: the connections are shared as without a pool", a.Addr)
	}
}

func TestReloadChangesWarmConnections(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		one := greeter(t, "127.0.0.1:0", "one")
		s := start(t, engine, "127.0.0.1", one.Port(), nil)
		require.Nil(t, s.Status().Upstreams[0].Warm)
		require.NotContains(t, s.Stats().Warm, "up")
		require.NoError(t, reloaded(s, warm(4)))
		isWarm(t, s)
		first := s.targets()[0]
		c, _ := greet(t, s)
		defer c.Close()
		isWarm(t, s)
		require.NoError(t, reloaded(s, func(o *Options) { o.MaxConnections = 100 }))
		require.Same(t, first, s.targets()[0])
		require.EqualValues(t, 4, s.Stats().Warm["up"], "what did not change keeps its connections")
		require.NoError(t, reloaded(s, warm(0)))
		require.Eventually(t, func() bool { return first.set.Addresses()[0].Active() == 1 }, soon, 5*time.Millisecond)
		echoes(t, c)
		require.NoError(t, reloaded(s, func(o *Options) { // an upstream that nobody is sent to
			warm(4)(o)
			o.Upstreams = append(o.Upstreams, Upstream{Name: "other", Host: "127.0.0.1", Port: one.Port()})
			o.Listeners[0].Upstream = "other"
		}))
		require.Zero(t, s.Stats().Warm["up"])
		require.Zero(t, s.Stats().Connect["other"].Count)
	})
}

// A drain begins: what waits is closed, for good, and clients wait for theirs.
func TestCloseWarm(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		s := start(t, engine, "127.0.0.1", greeter(t, "127.0.0.1:0", "one").Port(), warm(4))
		isWarm(t, s)
		c, _ := greet(t, s)
		defer c.Close()
		s.CloseWarm()
		require.Zero(t, s.Stats().Warm["up"])
		require.NoError(t, reloaded(s, warm(3)))
		require.Zero(t, s.Stats().Warm["up"])
		echoes(t, c)
		_, name := greet(t, s)
		require.Equal(t, "one\n", name)
		require.EqualValues(t, 1, used(s, "hit"))
	})
}

// As many as asked for, but one for each loop.
func TestHowManyAreKeptWarm(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		for asked, want := range map[int]int{1: 2, 2: 2, 5: 5} {
			if engine == "portable" { // which has no loops
				want = asked
			}
			s := start(t, engine, "127.0.0.1", greeter(t, "127.0.0.1:0", "one").Port(), warm(asked))
			isWarm(t, s)
			require.Equal(t, want, s.Status().Upstreams[0].Warm.Wanted)
			s.Close(relay.Operator)
		}
	})
}

// What waits at an address that is out is not given to a client, were it the one that the balance chose.
func TestWhichWarmConnectionAClientGets(t *testing.T) {
	s := start(t, "portable", "127.0.0.1", 1, func(o *Options) {
		warm(1)(o)
		o.Upstreams[0].Outlier = Outlier{Failures: 1, Ejection: time.Hour, MaxEjectedPercent: 100}
	})
	tg := s.targets()[0]
	s.CloseWarm()
	tg.set.Update([]netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:2"), netip.MustParseAddrPort("127.0.0.2:2")}, nil)
	all := tg.set.Addresses()
	one, two := all[0].Tag.(*endpoints).of(tg.warm.traffic), all[1].Tag.(*endpoints).of(tg.warm.traffic)
	f := &relay.Flow{Listener: &relay.Listener{Name: "in", Tag: s.policy.table.Load().rules[0].counters}}
	require.Equal(t, relay.None, s.policy.Accepted(f))
	chosen := all[0].Tag.(*endpoints).of(s.policy.ruleOf(f).traffic(tg))
	require.Nil(t, tg.warm.Choose(f, chosen, nil))
	require.Same(t, chosen, tg.warm.Choose(f, chosen, []*relay.Endpoint{two, one}))
	other := tg.warm.Choose(f, chosen, []*relay.Endpoint{two})
	require.Equal(t, two.Addr, other.Addr)
	require.NotSame(t, two, other, "the client's own, which counts its bytes")
	tg.set.Failed(all[0], time.Now())
	require.False(t, tg.set.Usable(all[0], time.Now()), "it is ejected")
	require.Nil(t, tg.warm.Choose(f, chosen, []*relay.Endpoint{one}))
}

// An upstream that is down: the pool rests, says why, and comes back.
func TestWarmConnectionsRest(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		free, err := net.Listen("tcp", "127.0.0.9:0")
		require.NoError(t, err)
		at := free.Addr().(*net.TCPAddr).AddrPort()
		free.Close()
		s := start(t, engine, "127.0.0.9", at.Port(), warm(2))
		require.Eventually(t, func() bool {
			w := s.Status().Upstreams[0].Warm
			return w.Ready == 0 && w.Why == at.String()+": connect_refused"
		}, soon, 5*time.Millisecond)
		require.Positive(t, s.Stats().Dials[[2]string{"up", relay.ConnectRefused.String()}])
		greeter(t, at.String(), "back")
		isWarm(t, s)
		c, name := greet(t, s)
		defer c.Close()
		require.Equal(t, "back\n", name)
		require.Empty(t, s.Status().Upstreams[0].Warm.Why)
		require.Positive(t, s.Stats().WarmRests["up"])
		s.Close(relay.Operator) // before the greeter, which waits for its connections
	})
}

// That connections can't be kept warm is logged once, after some failures in a row, and its end once.
func TestALongRestOfAWarmPoolIsLoggedOnce(t *testing.T) {
	core, lines := observer.New(zap.InfoLevel)
	up := greeter(t, "127.0.0.1:0", "one")
	s := start(t, engines()[0], "127.0.0.1", up.Port(), func(o *Options) {
		o.Log = zap.New(core)
		o.Upstreams[0].Warm = Warm{Connections: 1, MaxIdle: time.Hour}
	})
	isWarm(t, s)
	w := s.targets()[0].warm
	for _, d := range []time.Duration{restsLong / 2, restsLong, 2 * restsLong, 0, 0, restsLong / 2} {
		if d > 0 {
			w.note("connect_refused")
		}
		w.rest(0, d)
	}
	const fault, end = "connections to the upstream can't be kept warm", "connections to the upstream are kept warm again"
	require.Eventually(t, func() bool { return lines.FilterMessageSnippet(end).Len() == 1 }, soon, time.Millisecond)
	require.Equal(t, 1, lines.FilterMessageSnippet(fault).Len())
	require.Equal(t, map[string]any{"upstream": "up", "why": "connect_refused"}, lines.FilterMessageSnippet(fault).All()[0].ContextMap())
	require.EqualValues(t, 4, s.Stats().WarmRests["up"])
	require.Equal(t, "connect_refused", w.lastFault(), "what went wrong since they were good")
	require.Empty(t, s.Status().Upstreams[0].Warm.Why, "all that are wanted are ready")
}

// A name that no upstream has any more is not looked up any more.
func TestARemovedNameIsForgotten(t *testing.T) {
	ns := startNameserver(t)
	ns.say(dns.RcodeSuccess, false, "127.0.0.1")
	up := greeter(t, "127.0.0.1:0", "one")
	s := start(t, engines()[0], testName, up.Port(), func(o *Options) { o.DNS.Servers = []netip.AddrPort{ns.addr} })
	require.Eventually(t, func() bool { return len(s.resolver.Save()) == 1 }, soon, time.Millisecond)
	require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[0].Host = "127.0.0.1" }))
	require.Eventually(t, func() bool { return len(s.resolver.Save()) == 0 }, soon, time.Millisecond)
}
