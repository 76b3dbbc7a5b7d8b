package upstream

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// patient is a set of probes that answer as they are told, after a while.
type patient struct {
	mu    sync.Mutex
	sick  map[netip.AddrPort]error
	times map[netip.AddrPort][]time.Time
	took  time.Duration
}

func (p *patient) probe(ctx context.Context, a netip.AddrPort) error {
	p.mu.Lock()
	if p.times == nil {
		p.times = make(map[netip.AddrPort][]time.Time)
	}
	p.times[a] = append(p.times[a], time.Now())
	err, took := p.sick[a], p.took
	p.mu.Unlock()
	select {
	case <-time.After(took):
		return err
	case <-ctx.Done():
		return ctx.Err()
	}
}

func (p *patient) say(a netip.AddrPort, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.sick == nil {
		p.sick = make(map[netip.AddrPort]error)
	}
	p.sick[a] = err
}

func (p *patient) count(a netip.AddrPort) int {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.times[a])
}

func checked(t *testing.T, p *patient, change func(*Options)) (*Set, *[]Change) {
	var told []Change
	o := Options{
		Check:    Check{Probe: p.probe, Interval: 10 * time.Second, Timeout: 3 * time.Second, Rise: 2, Fall: 3},
		OnChange: func(c Change) { told = append(told, c) },
	}
	if change != nil {
		change(&o)
	}
	s := NewSet(o)
	t.Cleanup(s.Close)
	return s, &told
}

// Three checks in a row that fail take an address out, two that pass bring it back, and each change is told once.
func TestCheckFallsAndRises(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		s, told := checked(t, p, nil)
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		a := s.Addresses()[0]
		time.Sleep(60 * time.Second)
		synctest.Wait()
		assert.True(t, a.Usable(time.Now()))
		assert.InDelta(t, 6, p.count(a.Addr), 1, "one in 10 s")

		p.say(a.Addr, errors.New("broken"))
		before := p.count(a.Addr)
		for p.count(a.Addr) < before+2 {
			time.Sleep(time.Second)
			synctest.Wait()
			assert.True(t, a.Usable(time.Now()), "fewer than three checks failed")
		}
		time.Sleep(12 * time.Second)
		synctest.Wait()
		require.False(t, a.Usable(time.Now()))
		st := s.Standings(time.Now())[0]
		assert.Equal(t, StateDown, st.State)
		assert.Contains(t, st.Why, "check failed: broken, for ")
		for range 20 {
			assert.NotSame(t, a, s.Pick(nil))
		}

		p.say(a.Addr, nil)
		before = p.count(a.Addr)
		for p.count(a.Addr) < before+1 {
			time.Sleep(time.Second)
			synctest.Wait()
		}
		assert.False(t, a.Usable(time.Now()), "one check passed")
		time.Sleep(12 * time.Second)
		synctest.Wait()
		assert.True(t, a.Usable(time.Now()))
		require.Len(t, *told, 2)
		assert.Equal(t, Change{a.Addr, StateDown, "check failed: broken", 1}, (*told)[0])
		assert.Equal(t, StateUsable, (*told)[1].State)
	})
}

// An address at which the last attempt failed counted as failing until a client came, though its check passed all the time.
func TestPassingChecksEndARowOfFailures(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		s, _ := checked(t, p, nil)
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		a := s.Addresses()[0]
		time.Sleep(15 * time.Second)
		synctest.Wait()
		s.Failed(a, time.Now())
		failed, before, again := time.Now(), p.count(a.Addr), false
		for a.Failures() > 0 {
			require.Less(t, time.Since(failed), time.Minute)
			if p.count(a.Addr) == before+2 && !again {
				again = true
				s.Failed(a, time.Now()) // the row begins anew
				before = p.count(a.Addr)
			}
			time.Sleep(100 * time.Millisecond)
			synctest.Wait()
		}
		assert.Equal(t, before+3, p.count(a.Addr), "the next check may have begun before the attempt failed; two more are its rise")
		assert.Equal(t, StateUsable, s.Standings(time.Now())[0].State)

		s.Failed(a, time.Now())
		p.say(a.Addr, errors.New("broken"))
		time.Sleep(11 * time.Second)
		synctest.Wait()
		assert.Positive(t, a.Failures(), "a check that fails forgives nothing")
	})
}

// What was ejected too is used again when its check, which failed, passes: the same can be connected to again.
func TestARisingCheckEndsAnEjection(t *testing.T) {
	s := NewSet(Options{Outlier: Outlier{Failures: 1, Ejection: time.Hour, MaxEjectedPercent: 100}, Check: Check{Rise: 1, Fall: 1}})
	s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
	a := s.Addresses()[0]
	s.Failed(a, time.Now())
	s.verdict(a, &streak{}, nil)
	assert.Equal(t, StateEjected, s.Standings(time.Now())[0].State, "a check that never failed says nothing new")
	s.verdict(a, &streak{}, errors.New("broken"))
	assert.Equal(t, StateDown, s.Standings(time.Now())[0].State)
	s.verdict(a, &streak{}, nil)
	assert.Equal(t, StateUsable, s.Standings(time.Now())[0].State)
}

// The address is out since its first failure, for the reason of its last.
func TestTheReasonOfACheckIsTheLatest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := NewSet(Options{Check: Check{Rise: 1, Fall: 1}})
		s.Update(addrs("127.0.0.1:1"), nil)
		a, run := s.Addresses()[0], &streak{}
		s.verdict(a, run, errors.New("refused"))
		since := time.Now()
		time.Sleep(time.Minute)
		s.verdict(a, run, errors.New("no route"))
		require.Equal(t, Down{Why: "check failed: no route", Since: since}, *a.down.Load())
	})
}

// Ejections in a row last longer each time. A check that failed and passes again ends the row: the next ejection is a first one.
func TestARisingCheckEndsTheRowOfEjections(t *testing.T) {
	s := NewSet(Options{Outlier: Outlier{Failures: 1, Ejection: time.Hour, MaxEjectedPercent: 100}, Check: Check{Rise: 1, Fall: 1}})
	s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
	a, now := s.Addresses()[0], time.Now()
	s.Failed(a, now)
	now = now.Add(time.Hour)
	s.Failed(a, now)
	require.False(t, a.Usable(now.Add(2*time.Hour-1)), "the second in a row lasts twice as long")
	now = now.Add(2 * time.Hour)
	require.True(t, a.Usable(now))

	s.verdict(a, &streak{}, errors.New("broken"))
	s.verdict(a, &streak{}, nil)
	s.Failed(a, now)
	assert.False(t, a.Usable(now.Add(time.Hour-1)))
	assert.True(t, a.Usable(now.Add(time.Hour)), "not the third in a row")
}

// An address that has never passed a check is out with the first that fails.
func TestTheFirstCheckDecidesAlone(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		s, _ := checked(t, p, nil)
		a := addrs("127.0.0.1:1")
		p.say(a[0], errors.New("broken"))
		s.Update(a, nil)
		assert.True(t, s.AnyUsable(time.Now()), "used until it was checked")
		time.Sleep(firstCheck + time.Millisecond)
		synctest.Wait()
		assert.False(t, s.AnyUsable(time.Now()))
		assert.NotNil(t, s.Pick(nil), "without a better one it is tried all the same")
	})
}

// Checks of many addresses do not happen at once, nor in step.
func TestChecksAreJittered(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		s, _ := checked(t, p, nil)
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1"), nil)
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		starts, gaps, firsts := map[time.Time]int{}, map[time.Duration]int{}, map[time.Time]int{}
		p.mu.Lock()
		defer p.mu.Unlock()
		for _, list := range p.times {
			firsts[list[0]]++
			for i, at := range list {
				starts[at]++
				if i > 0 {
					gap := at.Sub(list[i-1])
					gaps[gap]++
					if i == 1 { // at any moment of an interval: what began together does not stay together
						assert.GreaterOrEqual(t, gap, 5*time.Second)
						assert.LessOrEqual(t, gap, 10*time.Second+time.Millisecond)
						continue
					}
					assert.GreaterOrEqual(t, gap, 9*time.Second)
					assert.LessOrEqual(t, gap, 11*time.Second+time.Millisecond)
				}
			}
		}
		assert.Greater(t, len(starts), 230, "of about 240")
		assert.Greater(t, len(gaps), 200)
		assert.Len(t, firsts, 4, "not all at once even at the start")
	})
}

// A probe that hangs is cut short by the timeout, and counts as failed.
func TestCheckTimesOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{took: time.Hour}
		s, _ := checked(t, p, nil)
		s.Update(addrs("127.0.0.1:1"), nil)
		time.Sleep(firstCheck + 3*time.Second + time.Millisecond)
		synctest.Wait()
		assert.Equal(t, StateDown, s.Standings(time.Now())[0].State)
	})
}

// A check that cannot be made for want of a local port or descriptor is neither passed nor failed.
func TestWhatFailsHereIsNoFaultOfTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		s, told := checked(t, p, nil)
		a := addrs("127.0.0.1:1")
		p.say(a[0], fmt.Errorf("connect: %w", syscall.EADDRNOTAVAIL))
		s.Update(a, nil)
		time.Sleep(2 * time.Minute)
		synctest.Wait()
		assert.Greater(t, p.count(a[0]), 10)
		assert.True(t, s.AnyUsable(time.Now()))
		assert.Empty(t, *told)
	})
}

// The check of an address ends when the address leaves, and all end with Close, even one under way.
func TestChecksEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{took: 2 * time.Second}
		s, told := checked(t, p, nil)
		two := addrs("127.0.0.1:1", "127.0.0.2:1")
		s.Update(two, nil)
		time.Sleep(30 * time.Second)
		s.Update(two[1:], nil)
		synctest.Wait()
		gone, stays := p.count(two[0]), p.count(two[1])
		time.Sleep(time.Minute)
		assert.Equal(t, gone, p.count(two[0]))
		assert.Greater(t, p.count(two[1]), stays)

		p.mu.Lock()
		p.took = time.Hour
		p.mu.Unlock()
		time.Sleep(12 * time.Second)
		begun := time.Now()
		s.Close()
		assert.Zero(t, time.Since(begun))
		s.Update(two, nil)
		after := p.count(two[0])
		time.Sleep(time.Minute)
		assert.Equal(t, after, p.count(two[0]), "no new ones after Close")
		assert.Len(t, s.Addresses(), 2, "but addresses are kept fresh")
		assert.LessOrEqual(t, len(*told), 1, "what is cut short says nothing of the address")
	})
}
