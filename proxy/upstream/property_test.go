package upstream

import (
	"errors"
	"math/rand/v2"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// world drives a set with random events.
type world struct {
	rnd  *rand.Rand
	set  *Set
	runs map[*Address]*streak
	used []*Address
}

func (w *world) addrs(n int) (out []netip.AddrPort) {
	for range n {
		ip := netip.AddrFrom4([4]byte{10, 0, 0, byte(w.rnd.IntN(8))})
		if w.rnd.IntN(3) == 0 {
			ip = netip.AddrFrom16([16]byte{0x20, 1, 15: byte(w.rnd.IntN(8))})
		}
		out = append(out, netip.AddrPortFrom(ip, 443))
	}
	return out
}

func (w *world) step() {
	list := w.set.Addresses()
	if len(list) == 0 || w.rnd.IntN(40) == 0 {
		w.set.Update(w.addrs(1+w.rnd.IntN(5)), w.addrs(w.rnd.IntN(3)))
		return
	}
	a := list[w.rnd.IntN(len(list))]
	if w.runs[a] == nil {
		w.runs[a] = &streak{}
	}
	switch w.rnd.IntN(7) {
	case 0, 1, 2:
		w.set.Failed(a, time.Now())
	case 3:
		w.set.Connected(a)
	case 4:
		w.set.verdict(a, w.runs[a], errors.New("broken"))
	case 5:
		w.set.verdict(a, w.runs[a], nil)
	case 6:
		time.Sleep(time.Duration(w.rnd.IntN(20_000)) * time.Millisecond)
	}
}

// class is what Pick must respect, worked out the plain way.
func class(s *Set, a *Address, now time.Time) int {
	switch {
	case !a.Usable(now):
		return 2
	case s.IsBackup(a):
		return 1
	}
	return 0
}

// Whatever happens: no address that is out is picked while a usable one was not tried, backups only without a usable
// primary that was not tried, and an address again only when all were tried.
func TestPickNeverPrefersTheWorse(t *testing.T) {
	for _, balance := range []Balance{LeastConn, RoundRobin, First} {
		for seed := range uint64(30) {
			synctest.Test(t, func(t *testing.T) {
				w := &world{rnd: rand.New(rand.NewPCG(seed, uint64(balance))), runs: map[*Address]*streak{}}
				w.set = NewSet(Options{Balance: balance, SlowStart: 30 * time.Second,
					Outlier: Outlier{Failures: 2, Ejection: 20 * time.Second, MaxEjectedPercent: 100}, Check: Check{Rise: 1, Fall: 2}})
				for range 400 {
					w.step()
					now := time.Now()
					var tried []*Address
					for range w.rnd.IntN(6) {
						list := w.set.Addresses()
						a := w.set.Pick(tried)
						require.NotNil(t, a)
						if !slices.Contains(tried, a) {
							for _, b := range list {
								if !slices.Contains(tried, b) {
									require.LessOrEqual(t, class(w.set, a, now), class(w.set, b, now), "picked %s, %s is better", a.Addr, b.Addr)
								}
							}
						} else {
							for _, b := range list {
								require.Contains(t, tried, b, "all were tried")
							}
						}
						tried = append(tried, a)
						w.used = append(w.used, a)
					}
					for len(w.used) > 20 {
						w.used[0].Release()
						w.used = w.used[1:]
					}
				}
			})
		}
	}
}

// An ejection never leaves the upstream without a usable address, nor outlives the last other one.
func TestTheLastUsableAddressIsNeverEjected(t *testing.T) {
	for seed := range uint64(60) {
		synctest.Test(t, func(t *testing.T) {
			w := &world{rnd: rand.New(rand.NewPCG(seed, 7)), runs: map[*Address]*streak{}}
			percent := []int{0, 34, 50, 100}[seed%4]
			w.set = NewSet(Options{Outlier: Outlier{Failures: 2, Ejection: 20 * time.Second, MaxEjectedPercent: percent}, Check: Check{Rise: 1, Fall: 2}})
			ejections := 0
			for range 600 {
				w.step()
				now := time.Now()
				list := w.set.Addresses()
				up, out := 0, 0
				for _, a := range list {
					if a.down.Load() == nil {
						up++
					}
					if now.UnixNano() < a.ejected.Load() {
						out++
					}
				}
				ejections += out
				if up > 0 {
					require.True(t, w.set.AnyUsable(now), "an address whose check does not fail is usable")
				}
				if percent == 0 {
					require.Zero(t, out)
				}
			}
			require.Equal(t, percent > 0, ejections > 0, "the events do eject")
		})
	}
}

// Of ten addresses half may be ejected, whatever fails.
func TestMaxEjectedPercent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(Options{Outlier: Outlier{Failures: 3, Ejection: 30 * time.Second, MaxEjectedPercent: 50}})
		var list []netip.AddrPort
		for i := range 10 {
			list = append(list, netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, byte(i)}), 1))
		}
		s.Update(list, nil)
		for _, a := range s.Addresses() {
			for range 5 {
				s.Failed(a, time.Now())
			}
		}
		states := map[State]int{}
		for _, st := range s.Standings(time.Now()) {
			states[st.State]++
		}
		assert.Equal(t, map[State]int{StateEjected: 5, StateFailing: 5}, states)
	})
}

// An ejection lasts longer each time in a row; an attempt that connects ends it and starts the count anew.
func TestEjectionsGrowAndEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(Options{Outlier: Outlier{Failures: 2, Ejection: 10 * time.Second, MaxEjectedPercent: 50}})
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		a := s.Addresses()[0]
		lasts := func() time.Duration {
			begun := time.Now()
			for !a.Usable(time.Now()) {
				time.Sleep(time.Second)
			}
			return time.Since(begun)
		}
		s.Failed(a, time.Now())
		assert.True(t, a.Usable(time.Now()))
		for _, want := range []time.Duration{10, 20, 30} {
			s.Failed(a, time.Now())
			assert.Equal(t, want*time.Second, lasts(), "one failure is enough after an ejection")
		}
		s.Failed(a, time.Now())
		s.Connected(a)
		assert.Zero(t, lasts())
		s.Failed(a, time.Now())
		assert.Zero(t, lasts())
		s.Failed(a, time.Now())
		assert.Equal(t, 10*time.Second, lasts())
	})
}

func shares(s *Set, picks int, release bool) map[string]int {
	got := map[string]int{}
	for range picks {
		a := s.Pick(nil)
		got[a.Addr.Addr().String()]++
		if release {
			a.Release()
		}
	}
	return got
}

// Of connections that end at random, each address has as many open as the others, within one.
func TestLeastConnIsFair(t *testing.T) {
	s := NewSet(Options{})
	s.Update(addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1"), nil)
	rnd := rand.New(rand.NewPCG(1, 2))
	var open []*Address
	for range 20_000 {
		open = append(open, s.Pick(nil))
		for len(open) > 400 {
			i := rnd.IntN(len(open))
			open[i].Release()
			open = slices.Delete(open, i, i+1)
		}
	}
	for _, a := range s.Addresses() {
		assert.InDelta(t, 100, a.Active(), 8, a.Addr)
	}
}

func TestRoundRobinAndFirst(t *testing.T) {
	s := NewSet(Options{Balance: RoundRobin})
	s.Update(addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1"), nil)
	assert.Equal(t, map[string]int{"127.0.0.1": 100, "127.0.0.2": 100, "127.0.0.3": 100}, shares(s, 300, false))
	s.Failed(s.Addresses()[1], time.Now())
	assert.Equal(t, map[string]int{"127.0.0.1": 150, "127.0.0.3": 150}, shares(s, 300, false), "the one that is left out is no burden to its neighbour")

	s = NewSet(Options{Balance: First})
	s.Update(addrs("127.0.0.2:1", "127.0.0.1:1"), nil)
	assert.Equal(t, map[string]int{"127.0.0.2": 50}, shares(s, 50, false))
	s.Failed(s.Addresses()[0], time.Now())
	assert.Equal(t, map[string]int{"127.0.0.1": 50}, shares(s, 50, false))
}

// An address that was out gets a tenth of its share at first, and all of it 30 s later, in each way to balance.
func TestSlowStartRamps(t *testing.T) {
	for _, balance := range []Balance{LeastConn, RoundRobin, First} {
		synctest.Test(t, func(t *testing.T) {
			s := NewSet(Options{Balance: balance, SlowStart: 30 * time.Second, Check: Check{Rise: 1, Fall: 1}})
			s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
			a := s.Addresses()[0]
			s.verdict(a, &streak{}, errors.New("broken"))
			assert.Zero(t, shares(s, 100, true)["127.0.0.1"])
			s.verdict(a, &streak{}, nil)
			full := 500
			if balance == First {
				full = 1000
			}
			for _, step := range []struct{ after, percent int }{{0, 10}, {6, 20}, {15, 50}, {24, 80}, {30, 100}} {
				at := time.Now()
				assert.InDelta(t, full*step.percent/100, shares(s, 1000, true)["127.0.0.1"], 60, "balance %d, %d s after", balance, step.after)
				assert.Equal(t, at, time.Now())
				time.Sleep(map[int]time.Duration{0: 6, 6: 9, 15: 9, 24: 6, 30: 0}[step.after] * time.Second)
			}
		})
	}
}

// With slow start least_conn keeps the level of a returning address down, not only the rate.
func TestSlowStartOfLongConnections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(Options{SlowStart: 30 * time.Second, Check: Check{Rise: 1, Fall: 1}})
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		a := s.Addresses()[0]
		s.verdict(a, &streak{}, errors.New("broken"))
		shares(s, 1000, false)
		s.verdict(a, &streak{}, nil)
		assert.InDelta(t, 100, shares(s, 1000, false)["127.0.0.1"], 30, "not all at once")
	})
}

// A family without a route costs each connection one attempt, however many addresses it has.
func TestFamiliesAlternate(t *testing.T) {
	for _, balance := range []Balance{LeastConn, RoundRobin, First} {
		s := NewSet(Options{Balance: balance})
		s.Update(addrs("[2001::1]:1", "[2001::2]:1", "[2001::3]:1", "[2001::4]:1", "10.0.0.1:1", "10.0.0.2:1"), nil)
		var order []bool
		for _, a := range s.Addresses() {
			order = append(order, a.Addr.Addr().Is4())
		}
		assert.Equal(t, []bool{false, true, false, true, false, false}, order)
		for range 20 {
			first := s.Pick(nil)
			second := s.Pick([]*Address{first})
			assert.NotEqual(t, first.Addr.Addr().Is4(), second.Addr.Addr().Is4())
		}
	}
}

// Connections to an address that left are closed after the time given, unless it comes back before.
func TestRemovedAddresses(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var list []*Address
		s := NewSet(Options{CloseAfter: 10 * time.Second, OnRemoved: func(a *Address) {
			mu.Lock()
			defer mu.Unlock()
			list = append(list, a)
			a.Release()
		}})
		closed := func() []*Address {
			mu.Lock()
			defer mu.Unlock()
			return slices.Clone(list)
		}
		defer s.Close()
		two := addrs("127.0.0.1:1", "127.0.0.2:1")
		s.Update(two, nil)
		a := s.Addresses()[0]
		for range 4 {
			s.Pick(nil)
		}
		s.Update(two[1:], nil)
		assert.Equal(t, StateRemoved, s.Standings(time.Now())[1].State)
		time.Sleep(9 * time.Second)
		s.Update(two, nil)
		time.Sleep(time.Minute)
		assert.Empty(t, closed(), "it came back")
		s.Update(two[1:], nil)
		time.Sleep(9 * time.Second)
		assert.Empty(t, closed())
		time.Sleep(2500 * time.Millisecond)
		synctest.Wait()
		assert.Equal(t, []*Address{a, a}, closed(), "again each second while any is open")
		time.Sleep(time.Minute)
		assert.Len(t, closed(), 2)
		assert.Len(t, s.Standings(time.Now()), 1)
	})
}

// The connections to a removed address may end by themselves: nothing is closed then, and nothing waits.
func TestARemovedAddressWhoseConnectionsEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(Options{CloseAfter: 10 * time.Second, OnRemoved: func(*Address) { t.Error("there is nothing to close") }})
		defer s.Close()
		s.Update(addrs("127.0.0.1:1"), nil)
		a := s.Pick(nil)
		s.Update(addrs("127.0.0.2:1"), nil)
		time.Sleep(9 * time.Second)
		a.Release()
		time.Sleep(time.Minute)
		synctest.Wait()
		assert.Nil(t, a.closing)
		s.Update(addrs("127.0.0.2:1"), nil)
		assert.Empty(t, s.gone, "it is forgotten with the next answer")
		assert.Len(t, s.Standings(time.Now()), 1)
	})
}

// Pick runs for each connection on each loop.
func TestPickAllocatesNothing(t *testing.T) {
	for _, balance := range []Balance{LeastConn, RoundRobin, First} {
		s := NewSet(Options{Balance: balance, SlowStart: time.Minute})
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1", "[::1]:1"), addrs("127.0.0.3:1"))
		tried := s.Addresses()[:1]
		assert.Zero(t, testing.AllocsPerRun(100, func() {
			s.Pick(nil).Release()
			s.Pick(tried).Release()
		}))
	}
}

func BenchmarkPick(b *testing.B) {
	s := NewSet(Options{SlowStart: time.Minute})
	s.Update(addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1"), nil)
	for b.Loop() {
		s.Pick(nil).Release()
	}
}
