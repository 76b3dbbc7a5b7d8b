package proxy

import (
	"bufio"
	"context"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// reloaded gives s changed options.
func reloaded(s *Server, change func(*Options)) error {
	o := s.policy.table.Load().opts
	o.Listeners = append([]Listener(nil), o.Listeners...)
	o.Upstreams = append([]Upstream(nil), o.Upstreams...)
	change(&o)
	return s.Reload(context.Background(), o)
}

// echoes checks that a connection is alive.
func echoes(t *testing.T, c net.Conn) {
	t.Helper()
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second))) // the greeting's has passed after a long story
	_, err := c.Write([]byte("still here\n"))
	require.NoError(t, err)
	line, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	require.Equal(t, "still here\n", line)
}

func TestReloadMovesNewConnectionsOnly(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		one, two := greeter(t, "127.0.0.1:0", "one"), greeter(t, "127.0.0.1:0", "two")
		s := start(t, engine, "127.0.0.1", one.Port(), nil)
		c, name := greet(t, s)
		defer c.Close()
		require.Equal(t, "one\n", name)
		at := s.Addrs()[0]

		require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[0].Port = two.Port() }))
		require.Equal(t, at, s.Addrs()[0])
		c2, name := greet(t, s)
		defer c2.Close()
		require.Equal(t, "two\n", name)
		echoes(t, c)
		require.EqualValues(t, 2, s.Stats().Active[[2]string{"in", "up"}])

		require.NoError(t, reloaded(s, func(o *Options) {
			o.Listeners = []Listener{{Name: "new", Addr: netip.MustParseAddrPort("127.0.0.1:0"), Upstream: "other"}}
			o.Upstreams = []Upstream{{Name: "other", Host: "127.0.0.1", Port: one.Port()}}
		}))
		_, err := net.Dial("tcp", at.String())
		require.ErrorIs(t, err, syscall.ECONNREFUSED)
		c3, name := greet(t, s)
		defer c3.Close()
		require.Equal(t, "one\n", name)
		echoes(t, c)
		echoes(t, c2)
		st, status := s.Stats(), s.Status()
		require.EqualValues(t, 2, st.Accepted["in"], "counters of what is gone remain")
		require.EqualValues(t, 2, st.Active[[2]string{"in", "up"}])
		require.EqualValues(t, 1, st.Active[[2]string{"new", "other"}])
		require.NotContains(t, st.Addresses, [2]string{"up", "usable"})
		require.Len(t, status.Listeners, 1)
		require.Len(t, status.Upstreams, 1)
		require.Equal(t, s.Addrs()[0], status.Listeners[0].Addr)

		c.Close()
		c2.Close()
		require.Eventually(t, func() bool {
			st := s.Stats()
			return st.Active[[2]string{"in", "up"}] == 0 && st.Ended[[3]string{"in", "up", "client_closed"}] == 2
		}, 5*time.Second, 5*time.Millisecond)
	})
}

func TestReloadKeepsUnchangedUpstreams(t *testing.T) {
	one := greeter(t, "127.0.0.1:0", "one")
	s := start(t, "epoll", "127.0.0.1", one.Port(), func(o *Options) {
		o.Upstreams = append(o.Upstreams, Upstream{Name: "second", Host: "127.0.0.1", Port: 1})
	})
	c, _ := greet(t, s)
	defer c.Close()
	before := s.policy.table.Load().targets
	require.NoError(t, reloaded(s, func(o *Options) {
		o.Upstreams[0], o.Upstreams[1] = o.Upstreams[1], o.Upstreams[0]
		o.Upstreams[0].Attempts = 7
		o.IdleTimeout = time.Minute
	}))
	after := s.policy.table.Load().targets
	require.Same(t, before[0], after[1])
	require.NotSame(t, before[1], after[0])
	require.EqualValues(t, 1, after[1].set.Addresses()[0].Active(), "what uses the address is still counted")
}

func TestFaultyReloadChangesNothing(t *testing.T) {
	ns := startNameserver(t)
	ns.say(dns.RcodeNameError, false)
	one := greeter(t, "127.0.0.1:0", "one")
	core, lines := observer.New(zap.InfoLevel)
	s := start(t, "epoll", "127.0.0.1", one.Port(), func(o *Options) { o.DNS.Servers, o.Log = []netip.AddrPort{ns.addr}, zap.New(core) })
	taken := greeter(t, "127.0.0.1:0", "taken")
	before := s.policy.table.Load()
	shown := s.shownNames()

	err := reloaded(s, func(o *Options) {
		o.Upstreams[0].Port = taken.Port()
		o.Upstreams = append(o.Upstreams, Upstream{Name: "new", Host: "127.0.0.1", Port: taken.Port()})
		o.Listeners[0].Upstream = "new"
		o.Listeners = append(o.Listeners, Listener{Name: "taken", Addr: taken, Routes: []Route{{SNI: []string{"a.example"}, Upstream: "up"}}})
	})
	var which *ListenError
	require.ErrorAs(t, err, &which)
	require.Equal(t, "taken", which.Listener)
	require.Equal(t, shown, s.shownNames(), "no series of names that were never in use")

	require.Error(t, reloaded(s, func(o *Options) {
		o.AcceptRate = 1 << 30
		o.Upstreams[0].Port = taken.Port()
	}), "a limit that cannot be put into force")
	require.Same(t, before, s.policy.table.Load())
	require.ErrorContains(t, reloaded(s, func(o *Options) { o.Listeners[0].Upstream = "nobody" }), `no upstream "nobody"`)

	ctx, cancel := context.WithTimeout(context.Background(), 300*time.Millisecond)
	defer cancel()
	o := before.opts
	o.Upstreams = []Upstream{{Name: "up", Host: testName, Port: 1}}
	require.ErrorContains(t, s.Reload(ctx, o), "NXDOMAIN", "a name without an address")
	require.NotZero(t, s.Stats().Lookups[[2]string{testName, "nxdomain"}])
	require.Zero(t, lines.FilterMessageSnippet("dns").Len(), "no client is refused for a name that is not in use: %v", lines.All())

	require.Same(t, before, s.policy.table.Load())
	c, name := greet(t, s)
	c.Close()
	require.Equal(t, "one\n", name)

	s.StopAccepting()
	require.Error(t, s.Reload(context.Background(), before.opts))
}

// shownNames are the listeners, upstreams and pairs of both that have series in the metrics.
func (s *Server) shownNames() (names []string) {
	st := s.Stats()
	for name := range st.Accepted {
		names = append(names, name)
	}
	for name := range st.Connect {
		names = append(names, name)
	}
	for pair := range st.Active {
		names = append(names, pair[0]+">"+pair[1])
	}
	slices.Sort(names)
	return names
}

// A name that is new has addresses before a client depends on them.
func TestReloadWaitsForNames(t *testing.T) {
	ns := startNameserver(t)
	ns.say(dns.RcodeSuccess, true) // mute
	one, two := greeter(t, "127.0.0.1:0", "one"), greeter(t, "127.0.0.1:0", "two")
	s := start(t, "epoll", "127.0.0.1", one.Port(), func(o *Options) { o.DNS.Servers = []netip.AddrPort{ns.addr} })
	done := make(chan error, 1)
	go func() {
		done <- reloaded(s, func(o *Options) { o.Upstreams[0].Host, o.Upstreams[0].Port = testName, two.Port() })
	}()
	for range 20 {
		c, name := greet(t, s)
		c.Close()
		require.Equal(t, "one\n", name)
	}
	ns.say(dns.RcodeSuccess, false, "127.0.0.1")
	require.NoError(t, <-done)
	c, name := greet(t, s)
	c.Close()
	require.Equal(t, "two\n", name)
	require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[0].Attempts = 1 }), "the same name again needs no lookup")
}

// 200 reloads under traffic: no connection is refused or ends by it.
func TestReloadStorm(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		one, two := greeter(t, "127.0.0.1:0", "one"), greeter(t, "127.0.0.1:0", "two")
		free := listen(t, "127.0.0.1:0")
		fixed := free.Addr().(*net.TCPAddr).AddrPort()
		free.Close()
		s := start(t, engine, "127.0.0.1", one.Port(), func(o *Options) { o.Listeners[0].Addr = fixed })
		long, _ := greet(t, s)
		defer long.Close()
		stop := make(chan struct{})
		var greeted atomic.Int64
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for {
					select {
					case <-stop:
						return
					default:
					}
					c, err := net.Dial("tcp", fixed.String())
					if err != nil {
						t.Errorf("dial: %v", err)
						return
					}
					line, err := bufio.NewReader(c).ReadString('\n')
					c.Close()
					if err != nil || line != "one\n" && line != "two\n" {
						t.Errorf("greeted with %q: %v", line, err)
						return
					}
					greeted.Add(1)
				}
			})
		}
		for i := 0; (i < 200 || greeted.Load() < 20) && !t.Failed(); i++ {
			require.NoError(t, reloaded(s, func(o *Options) {
				o.Listeners = []Listener{{Name: []string{"in", "also"}[i%2], Addr: fixed, Upstream: "up"}}
				o.Upstreams[0].Port = []uint16{one.Port(), two.Port()}[i/3%2]
				o.MaxConnections = 1000 + i
			}))
		}
		close(stop)
		wg.Wait()
		echoes(t, long)
		long.Close()
		require.NoError(t, s.relay.Wait(t.Context()))
		require.Zero(t, s.Stats().Active[[2]string{"in", "up"}]+s.Stats().Active[[2]string{"also", "up"}])
	})
}

// A reload that waited in vain for a name said "cut short: context deadline exceeded" where the upstream has backups, or had only
// the backup's fault; a start with DNS down named only the dead backup.
func TestTheFailedLookupIsNamed(t *testing.T) {
	ns := startNameserver(t)
	one := greeter(t, "127.0.0.1:0", "one")
	s := start(t, engines()[0], "127.0.0.1", one.Port(), func(o *Options) {
		o.DNS.Servers = []netip.AddrPort{ns.addr}
		o.DNS.Timeout = 50 * time.Millisecond
	})
	waits := func(backup string) error {
		ctx, cancel := context.WithTimeout(t.Context(), 400*time.Millisecond)
		defer cancel()
		o := s.policy.table.Load().opts
		o.Upstreams = []Upstream{{Name: "up", Host: testName, Port: one.Port(), Backups: []HostPort{{backup, one.Port()}}}}
		return s.Reload(ctx, o)
	}
	for _, backup := range []string{"127.0.0.1", "backup.test"} {
		ns.say(dns.RcodeServerFailure, false)
		require.ErrorContains(t, waits(backup), `upstream "up" has no address: resolve model.test.: `)
		ns.say(dns.RcodeSuccess, true)
		require.ErrorContains(t, waits(backup), `upstream "up" has no address: resolve model.test.: `)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o := s.policy.table.Load().opts
	o.Upstreams = []Upstream{{Name: "up", Host: testName, Port: one.Port()}}
	require.ErrorContains(t, s.Reload(ctx, o), "reload: cut short while model.test. is being looked up")

	d := start(t, engines()[0], testName, one.Port(), func(o *Options) {
		o.DNS.Servers = []netip.AddrPort{ns.addr}
		o.DNS.Timeout = 50 * time.Millisecond
		o.Upstreams[0].Backups = []HostPort{{"127.0.0.1", 1}}
		o.Upstreams[0].Check = Check{Type: CheckTCP, Interval: 50 * time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 1}
	})
	require.Eventually(t, func() bool {
		err := d.UpstreamsReady()
		return err != nil && strings.Contains(err.Error(), "resolve model.test.: ") && strings.Contains(err.Error(), "127.0.0.1:1 check_failed")
	}, 10*time.Second, 5*time.Millisecond)
}
