package resolve

import (
	"context"
	"errors"
	"net/netip"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/require"
)

// testbed is a resolver with a network of one function, for use in a synctest bubble.
type testbed struct {
	*Resolver
	t       *testing.T
	start   time.Time
	mu      sync.Mutex
	lookups []Lookup
	at      []time.Duration // when the lookups ended
	sets    [][]netip.Addr  // what notify was told
}

// newTestbed makes one whose jitter is the given part of the possible.
func newTestbed(t *testing.T, jitter float64, h handler) *testbed {
	b := &testbed{t: t, start: time.Now()}
	b.Resolver = New(Options{
		Servers: []netip.AddrPort{netip.MustParseAddrPort("192.0.2.53:53")},
		Hosts:   filepath.Join(t.TempDir(), "none"),
		OnLookup: func(l Lookup) {
			b.mu.Lock()
			defer b.mu.Unlock()
			b.lookups, b.at = append(b.lookups, l), append(b.at, time.Since(b.start))
		},
	})
	b.random = func() float64 { return jitter }
	b.exchange = func(ctx context.Context, network string, _ netip.AddrPort, q *dns.Msg) (*dns.Msg, error) {
		if m := h(network, q); m != nil {
			return m, nil
		}
		<-ctx.Done()
		return nil, ctx.Err()
	}
	return b
}

func (b *testbed) watch(name string) *Name {
	n, err := b.Watch(name, func(as []netip.Addr) {
		b.mu.Lock()
		defer b.mu.Unlock()
		b.sets = append(b.sets, as)
	})
	require.NoError(b.t, err)
	return n
}

// seconds returns when the lookups ended so far.
func (b *testbed) seconds() []float64 {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	s := make([]float64, len(b.at))
	for i, d := range b.at {
		s[i] = d.Seconds()
	}
	return s
}

// told returns what notify and OnLookup heard so far.
func (b *testbed) told() ([][]netip.Addr, []Lookup) {
	synctest.Wait()
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.sets), slices.Clone(b.lookups)
}

func (b *testbed) toldSets() [][]netip.Addr {
	sets, _ := b.told()
	return sets
}

func TestAnswerIsRefreshedBeforeItsTTLEnds(t *testing.T) {
	for jitter, want := range map[float64][]float64{0: {0, 10, 20, 30}, 1: {0, 9, 18, 27}} {
		synctest.Test(t, func(t *testing.T) {
			b := newTestbed(t, jitter, rrs(t, "www.test. 10 A 192.0.2.1").answer)
			defer b.Close()
			n := b.watch("www.test")
			synctest.Wait()
			require.Equal(t, b.start, n.Stats().Answered)
			require.Equal(t, b.start.Add(time.Duration(want[1])*time.Second), n.Stats().Next)
			time.Sleep(35 * time.Second)
			require.Equal(t, want, b.seconds())
			require.Len(t, b.toldSets(), 1, "told of changes only")
		})
	}
}

func TestJitterIsWithinItsBounds(t *testing.T) {
	r := New(Options{})
	defer r.Close()
	for range 1000 {
		require.InDelta(t, 95, r.next(outcome{ttl: 100 * time.Second}, 0, true).Seconds(), 5)
		require.InDelta(t, 0.75, r.next(outcome{result: Timeout}, 1, true).Seconds(), 0.25)
	}
}

func TestBeforeTheFirstAnswerRetriesAreFast(t *testing.T) {
	for name, h := range map[string]handler{"nxdomain": zone{}.answer, "servfail": rcode(dns.RcodeServerFailure)} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sw switchable
				sw.set(h)
				b := newTestbed(t, 0, sw.answer)
				defer b.Close()
				n := b.watch("www.test")
				time.Sleep(20 * time.Second)
				require.Equal(t, []float64{0, 0.25, 0.75, 1.75, 3.75, 7.75, 12.75, 17.75}, b.seconds())
				require.Nil(t, n.Addrs())
				require.True(t, n.Stats().Answered.IsZero())
				require.Equal(t, 8, n.Stats().Failures)

				sw.set(rrs(t, "www.test. 10 A 192.0.2.1").answer)
				time.Sleep(3 * time.Second)
				require.Equal(t, addrs("192.0.2.1"), n.Addrs())
				require.Zero(t, n.Stats().Failures)
			})
		})
	}
}

func TestAfterAGoodAnswerRetriesBackOff(t *testing.T) {
	soaOf := func(seconds uint32) handler {
		return func(network string, q *dns.Msg) *dns.Msg {
			m := new(dns.Msg).SetRcode(q, dns.RcodeNameError)
			m.Ns = []dns.RR{soa(seconds)}
			return m
		}
	}
	for name, c := range map[string]struct {
		h    handler
		want []float64
	}{
		"failure":                    {rcode(dns.RcodeServerFailure), []float64{0, 10, 11, 13, 17, 25, 41, 71, 101}},
		"silence":                    {silent, []float64{0, 14, 19, 25, 33, 45, 65, 99, 133}}, // each takes 2 rounds of 2 s
		"nxdomain, no SOA":           {rcode(dns.RcodeNameError), []float64{0, 10, 15, 25, 45, 75, 105, 135, 165}},
		"nxdomain, SOA of a minute":  {soaOf(60), []float64{0, 10, 15, 25, 45, 75, 105, 135, 165}},
		"nxdomain, SOA of 7 seconds": {soaOf(7), []float64{0, 10, 15, 22, 29, 36, 43, 50, 57}},
		"nxdomain, SOA of 0":         {soaOf(0), []float64{0, 10, 15, 20, 25, 30, 35, 40, 45}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				var sw switchable
				sw.set(rrs(t, "www.test. 10 A 192.0.2.1").answer)
				b := newTestbed(t, 0, sw.answer)
				defer b.Close()
				n := b.watch("www.test")
				synctest.Wait()
				sw.set(c.h)
				time.Sleep(3 * time.Hour)
				require.Equal(t, c.want, b.seconds()[:len(c.want)])
				require.Equal(t, addrs("192.0.2.1"), n.Addrs(), "for ever")
				require.Len(t, b.toldSets(), 1)

				sw.set(rrs(t, "www.test. 10 A 192.0.2.2").answer)
				time.Sleep(40 * time.Second)
				require.Equal(t, addrs("192.0.2.2"), n.Addrs())
				require.Equal(t, [][]netip.Addr{addrs("192.0.2.1"), addrs("192.0.2.2")}, b.toldSets())
				require.Zero(t, n.Stats().Failures)
			})
		})
	}
}

func TestRefreshIsCoalescedAndAtMostOneASecond(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestbed(t, 0, rrs(t, "www.test. 100 A 192.0.2.1").answer)
		defer b.Close()
		n := b.watch("www.test")
		time.Sleep(50 * time.Second)
		for range 100 {
			n.Refresh()
		}
		require.Equal(t, []float64{0, 50}, b.seconds(), "at once")
		time.Sleep(50 * time.Millisecond) // so that no Refresh falls together with a lookup
		for range 40 {                    // 4 s of a client that tries ten times a second
			time.Sleep(100 * time.Millisecond)
			n.Refresh()
		}
		time.Sleep(10 * time.Second)
		require.Equal(t, []float64{0, 50, 51, 52, 53, 54, 55}, b.seconds())
		require.Equal(t, b.start.Add(155*time.Second), n.Stats().Next)
	})
}

func TestRefreshDoesNotDelayAnEarlierLookup(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestbed(t, 0, rcode(dns.RcodeServerFailure))
		defer b.Close()
		n := b.watch("www.test")
		synctest.Wait()
		n.Refresh()
		time.Sleep(time.Second)
		require.Equal(t, []float64{0, 0.25, 0.75}, b.seconds())
	})
}

func TestRefreshWhileALookupRunsLeadsToOneMore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		z := rrs(t, "www.test. 100 A 192.0.2.1")
		b := newTestbed(t, 0, func(network string, q *dns.Msg) *dns.Msg {
			time.Sleep(1500 * time.Millisecond)
			return z.answer(network, q)
		})
		defer b.Close()
		n := b.watch("www.test")
		time.Sleep(time.Second)
		n.Refresh()
		n.Refresh()
		time.Sleep(20 * time.Second)
		require.Equal(t, []float64{1.5, 4}, b.seconds())
	})
}

func TestChangesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sw switchable
		sw.set(rrs(t, "www.test. 10 A 192.0.2.1", "www.test. 10 A 192.0.2.2").answer)
		b := newTestbed(t, 0, sw.answer)
		defer b.Close()
		n := b.watch("www.test")
		synctest.Wait()
		first := n.Addrs()

		sw.set(rrs(t, "www.test. 10 A 192.0.2.2", "www.test. 10 A 192.0.2.1").answer)
		time.Sleep(10500 * time.Millisecond)
		synctest.Wait()
		require.Equal(t, addrs("192.0.2.1", "192.0.2.2"), n.Addrs(), "another order is no change")

		sw.set(rrs(t, "www.test. 10 A 192.0.2.3", "www.test. 10 A 192.0.2.1").answer)
		time.Sleep(10500 * time.Millisecond)
		synctest.Wait()
		_, ls := b.told()
		l := ls[2]
		require.True(t, l.Changed)
		require.Equal(t, addrs("192.0.2.3"), l.Added)
		require.Equal(t, addrs("192.0.2.2"), l.Removed)
		require.Equal(t, addrs("192.0.2.1", "192.0.2.2"), first, "a snapshot stays as it was")
		require.Equal(t, [][]netip.Addr{first, addrs("192.0.2.3", "192.0.2.1")}, b.toldSets())
	})
}

func TestSecondWatchStartsWithTheAnswerOfTheFirst(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var sw switchable
		sw.set(rrs(t, "www.test. 10 A 192.0.2.1").answer)
		b := newTestbed(t, 0, sw.answer)
		defer b.Close()
		old := b.watch("www.test")
		synctest.Wait()
		sw.set(silent)
		next := b.watch("WWW.test")
		require.Equal(t, addrs("192.0.2.1"), next.Addrs(), "at once")
		require.Equal(t, b.start, next.Stats().Answered)
		old.Close()
		old.Close()
		time.Sleep(time.Hour)
		require.Equal(t, addrs("192.0.2.1"), next.Addrs())
		require.Equal(t, addrs("192.0.2.1"), old.Addrs(), "closed, still readable")
		require.Len(t, b.toldSets(), 2, "each was told once")
		require.Len(t, b.names, 1)
	})
}

func TestIPAddressIsNeverLookedUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newTestbed(t, 0, func(string, *dns.Msg) *dns.Msg { panic("asked") })
		defer b.Close()
		for _, a := range []string{"192.0.2.1", "2001:db8::1", "fe80::1%eth0", "::ffff:192.0.2.7"} {
			n := b.watch(a)
			want := []netip.Addr{netip.MustParseAddr(a).Unmap()}
			require.Equal(t, want, n.Addrs())
			n.Refresh()
			time.Sleep(time.Hour)
			sets := b.toldSets()
			require.Equal(t, want, sets[len(sets)-1])
			require.True(t, n.Stats().Literal)
			n.Close()
		}
		_, ls := b.told()
		require.Empty(t, ls)
	})
}

func TestCloseCutsALookupShort(t *testing.T) {
	for name, end := range map[string]func(*testbed, *Name){
		"name":     func(_ *testbed, n *Name) { n.Close() },
		"resolver": func(b *testbed, _ *Name) { b.Close() },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				b := newTestbed(t, 0, silent)
				defer b.Close()
				n := b.watch("www.test")
				time.Sleep(time.Second)
				start := time.Now()
				end(b, n)
				require.Zero(t, time.Since(start))
				_, ls := b.told()
				require.Empty(t, ls, "nothing was learned, nothing is told")
			})
		})
	}
}

func TestCloseIsPromptWithARealLookupUnderWay(t *testing.T) {
	for _, network := range []string{"udp", "tcp"} {
		s := serve(t, func(on string, q *dns.Msg) *dns.Msg {
			if on == network {
				return nil
			}
			m := new(dns.Msg).SetReply(q)
			m.Truncated = true
			return m
		})
		o := asking(s)
		o.Timeout = time.Minute
		n, _ := watch(t, o, "www.test")
		require.Eventually(t, func() bool { return s.count(network+" A ") == 1 }, 5*time.Second, 5*time.Millisecond)
		start := time.Now()
		n.Close()
		require.Less(t, time.Since(start), 2*time.Second)
	}
}

func TestWatchOfAClosedResolver(t *testing.T) {
	r := New(Options{})
	r.Close()
	r.Close()
	_, err := r.Watch("www.test", nil)
	require.EqualError(t, err, `watch "www.test": resolver is closed`)
	require.True(t, errors.Is(err, ErrClosed))
}

func TestConcurrentUse(t *testing.T) {
	s := serve(t, rrs(t, www...).answer)
	r := New(asking(s))
	var all sync.WaitGroup
	for range 20 {
		all.Go(func() {
			n, err := r.Watch("www.test", func([]netip.Addr) {})
			if err != nil {
				return // closed already
			}
			n.Refresh()
			_ = n.Stats()
			_ = n.Addrs()
			n.Close()
		})
	}
	time.Sleep(5 * time.Millisecond)
	r.Close()
	all.Wait()
	require.Empty(t, r.names)
}
