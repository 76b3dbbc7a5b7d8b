package upstream

import (
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A set that replaces another knows its addresses: how many connections use them, and how they fare.
func TestSucceedKeepsStanding(t *testing.T) {
	old := NewSet(Options{})
	three := addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1")
	old.Update(three, nil)
	was := old.Addresses()
	old.Pick(was[1:])
	old.Pick([]*Address{was[0], was[2]})
	old.Failed(was[2], time.Now())
	old.Update(three[1:], nil) // the first left, and is in use

	s := NewSet(Options{Before: old})
	s.Update(append(addrs("127.0.0.4:1"), three[:2]...), nil)
	now := s.Addresses()
	require.Len(t, now, 3)
	assert.Zero(t, now[0].Active(), "a new one")
	assert.EqualValues(t, 1, now[1].Active(), "also of one that left")
	s.Succeed(true)
	was[0].Release()
	now[2].Release()
	assert.Zero(t, now[1].Active())
	assert.Zero(t, was[1].Active())
	s.Update(three, nil)
	assert.Zero(t, s.Addresses()[2].Failures(), "one that was not of the set when it was made is new")
	s.Succeed(true) // does nothing
}

// Until Succeed the old set checks what both have, and closes what it removes; from then on the new one does.
func TestSucceedTakesOverChecksAndRemovals(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := addrs("127.0.0.1:1", "127.0.0.2:1")
		first, second := &patient{}, &patient{}
		old, _ := checked(t, first, nil)
		old.Update(two, nil)
		time.Sleep(30 * time.Second)
		old.Pick(old.Addresses()[1:])

		var removed atomic.Int64
		s, _ := checked(t, second, func(o *Options) {
			o.Before, o.CloseAfter = old, 5*time.Second
			o.OnRemoved = func(a *Address) { removed.Add(1); a.Release() }
		})
		s.Update(append(addrs("127.0.0.3:1"), two...), nil)
		time.Sleep(30 * time.Second)
		synctest.Wait()
		assert.NotZero(t, second.count(s.Addresses()[0].Addr), "what only the new one has it checks at once")
		assert.Zero(t, second.count(two[0]))
		s.Update(two[1:], nil)
		time.Sleep(time.Minute)
		assert.Zero(t, removed.Load(), "the connections are the old one's still")
		old.Update(two[1:], nil)

		n := first.count(two[1])
		second.say(two[1], errors.New("broken"))
		s.Succeed(true)
		time.Sleep(4 * time.Second)
		synctest.Wait()
		assert.True(t, s.AnyProven(time.Now()), "what worked before takes as many failed checks as ever")
		assert.Zero(t, removed.Load())
		time.Sleep(56 * time.Second)
		synctest.Wait()
		assert.EqualValues(t, 1, removed.Load())
		assert.Equal(t, n, first.count(two[1]))
		assert.Greater(t, second.count(two[1]), 4)
		assert.False(t, s.AnyUsable(time.Now()))
	})
}

// Connections to addresses of another name are no business of the new set.
func TestSucceedLeavesConnectionsOfOtherNames(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := NewSet(Options{})
		old.Update(addrs("127.0.0.1:1"), nil)
		old.Pick(nil)
		s := NewSet(Options{Before: old, OnRemoved: func(*Address) { t.Error("closes connections of another name") }})
		s.Update(addrs("127.0.0.2:1"), nil)
		s.Succeed(false)
		time.Sleep(time.Minute)
		assert.Len(t, s.Standings(time.Now()), 1)
	})
}

// What a check or an ejection took out comes back when the new settings have none.
func TestSucceedEndsWhatNothingWouldEnd(t *testing.T) {
	old := NewSet(Options{Outlier: Outlier{Failures: 1, Ejection: time.Hour, MaxEjectedPercent: 50}, Check: Check{Rise: 1, Fall: 1}})
	two := addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1")
	old.Update(two, nil)
	old.Failed(old.Addresses()[0], time.Now())
	old.verdict(old.Addresses()[1], &streak{}, errors.New("broken"))
	require.Equal(t, StateEjected, old.Standings(time.Now())[0].State)
	require.Equal(t, StateDown, old.Standings(time.Now())[1].State)
	s := NewSet(Options{Before: old})
	s.Update(two, nil)
	require.Equal(t, StateEjected, s.Standings(time.Now())[0].State, "not before")
	s.Succeed(true)
	assert.Equal(t, StateFailing, s.Standings(time.Now())[0].State)
	assert.Equal(t, StateUsable, s.Standings(time.Now())[1].State)
}

// Close left the timers of addresses that had left, and of sets that a reload had replaced.
func TestCloseStopsTimers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		old := NewSet(Options{CloseAfter: time.Hour, OnRemoved: func(*Address) {}})
		old.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		gone, left := old.Addresses()[0], old.Addresses()[1]
		old.Pick([]*Address{left})
		old.Pick([]*Address{gone})
		old.Update(addrs("127.0.0.2:1"), nil)
		require.NotNil(t, gone.closing)
		s := NewSet(Options{Before: old, CloseAfter: time.Hour, OnRemoved: func(*Address) {}})
		s.Update(addrs("127.0.0.3:1"), nil)
		s.Succeed(true)
		require.NotNil(t, gone.closing, "the new set's")
		require.NotNil(t, left.closing)
		left.Release()
		timer := left.closing
		s.Update(addrs("127.0.0.3:1"), nil)
		require.Nil(t, left.closing, "nothing is left to close")
		require.False(t, timer.Stop())
		timer = gone.closing
		s.Close()
		require.Nil(t, gone.closing)
		require.False(t, timer.Stop(), "it was stopped")
		s.Update(addrs("127.0.0.4:1"), nil)
		require.Nil(t, gone.closing, "none is started after Close")
	})
}

// An address proves nothing until its first check has ended; without a check it is what it is.
func TestUncheckedAddressesProveNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{took: 2 * time.Second}
		s, _ := checked(t, p, nil)
		assert.True(t, s.AllProven(), "nothing is there")
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		assert.True(t, s.AnyUsable(time.Now()))
		assert.False(t, s.AnyProven(time.Now()))
		assert.False(t, s.AllProven())
		st := s.Standings(time.Now())[0]
		assert.Equal(t, StateUnchecked, st.State)
		assert.Equal(t, "its first check has not ended yet", st.Why)
		time.Sleep(firstCheck + 2*time.Second + time.Millisecond)
		synctest.Wait()
		assert.True(t, s.AnyProven(time.Now()))
		assert.True(t, s.AllProven())

		p.mu.Lock()
		p.took = time.Hour
		p.mu.Unlock()
		s.Update(addrs("127.0.0.1:1", "127.0.0.3:1"), nil)
		assert.False(t, s.AllProven())
		for range 20 {
			assert.Equal(t, addrs("127.0.0.1:1")[0], s.Pick(nil).Addr, "one that is known to work goes first")
		}
		plain := NewSet(Options{})
		plain.Update(addrs("127.0.0.1:1"), nil)
		assert.True(t, plain.AnyProven(time.Now()))
	})
}

// Recheck does not wait for the rest of an interval.
func TestRecheckAsksSoon(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := &patient{}
		s, _ := checked(t, p, func(o *Options) { o.Check.Interval = time.Hour })
		a := addrs("127.0.0.1:1", "127.0.0.2:1")
		s.Update(a, nil)
		time.Sleep(2 * time.Second)
		for n := range 3 {
			synctest.Wait()
			assert.Equal(t, n+1, p.count(a[0]))
			assert.Equal(t, n+1, p.count(a[1]))
			s.Recheck()
			time.Sleep(firstCheck + time.Millisecond)
		}
	})
}

// A reload that ends ejections ends their row, too: with ejections again, the next one is a first one.
func TestAReloadWithoutEjectionsEndsTheirRow(t *testing.T) {
	two := addrs("127.0.0.1:1", "127.0.0.2:1")
	o := Options{Outlier: Outlier{Failures: 1, Ejection: time.Hour, MaxEjectedPercent: 100}}
	with := NewSet(o)
	with.Update(two, nil)
	with.Failed(with.Addresses()[0], time.Now())
	without := NewSet(Options{Before: with})
	without.Update(two, nil)
	without.Succeed(true)
	o.Before = without
	again := NewSet(o)
	defer again.Close()
	again.Update(two, nil)
	again.Succeed(true)
	a, now := again.Addresses()[0], time.Now()
	again.Failed(a, now)
	require.False(t, a.Usable(now.Add(time.Hour-1)))
	require.True(t, a.Usable(now.Add(time.Hour)))
}
