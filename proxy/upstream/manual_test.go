package upstream

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// Nothing brings back what an operator has ejected: no attempt that connects, no lack of others, no DNS answer, no reload.
func TestAManualEjectionStays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ab := addrs("127.0.0.1:1", "127.0.0.2:1")
		s := NewSet(Options{})
		s.Update(ab, nil)
		a := s.Addresses()[0]
		others, err := s.Eject(ab[0], 0)
		require.NoError(t, err)
		require.Equal(t, 1, others)
		for range 20 {
			require.Equal(t, ab[1], s.Pick(nil).Addr)
		}
		require.Equal(t, ab[1], s.Pick(s.Addresses()[1:]).Addr, "rather one that failed already")
		s.Failed(a, time.Now())
		s.Connected(a)
		s.Update(ab[1:], nil)
		s.Update(ab, nil)
		require.Equal(t, StateManual, s.Standings(time.Now())[0].State)
		s.Update(ab[:1], nil)
		require.Nil(t, s.Pick(nil), "not even alone")
		next := NewSet(Options{Before: s})
		next.Update(ab, nil)
		next.Succeed(true)
		defer next.Close()
		others, err = next.Eject(ab[1], 0)
		require.NoError(t, err)
		require.Zero(t, others)
		require.Nil(t, next.Pick(nil), "not even if both are")
		require.False(t, next.AnyUsable(time.Now()))
		require.NoError(t, next.Restore(ab[0]))
		require.ErrorIs(t, next.Restore(ab[0]), ErrNotEjected)
		require.Equal(t, ab[0], next.Pick(nil).Addr)
		require.ErrorIs(t, next.Restore(addrs("127.0.0.9:1")[0]), ErrUnknownAddress)
	})
}

// An ejection with a time ends by itself, also after a reload, and a later one replaces the time.
func TestAManualEjectionEndsByTime(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		one := addrs("127.0.0.1:1")
		var changes []Change
		s := NewSet(Options{OnChange: func(c Change) { changes = append(changes, c) }})
		s.Update(one, nil)
		_, err := s.Eject(one[0], time.Minute)
		require.NoError(t, err)
		time.Sleep(30 * time.Second)
		_, err = s.Eject(one[0], time.Hour)
		require.NoError(t, err)
		later := make(chan Change, 9)
		next := NewSet(Options{Before: s, OnChange: func(c Change) { later <- c }})
		next.Update(one, nil)
		next.Succeed(true)
		defer next.Close()
		time.Sleep(59 * time.Minute)
		require.Nil(t, next.Pick(nil))
		time.Sleep(2 * time.Minute)
		synctest.Wait() // for what OnChange does
		require.NotNil(t, next.Pick(nil))
		require.Len(t, changes, 2)
		require.Len(t, later, 1, "the set that serves says so")
		require.Equal(t, StateUsable, (<-later).State)
	})
}

// An address that left the DNS answer and came back during its ejection came back without a line, and to its full share at once.
func TestAnEjectionEndsForAnAddressThatLeftAndCameBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := addrs("127.0.0.1:1", "127.0.0.2:1")
		changes := make(chan Change, 9)
		s := NewSet(Options{OnChange: func(c Change) { changes <- c }})
		defer s.Close()
		s.Update(two, nil)
		for _, ap := range two {
			_, err := s.Eject(ap, time.Minute)
			require.NoError(t, err)
			require.Equal(t, StateManual, (<-changes).State)
		}
		s.Update(nil, nil)
		s.Update(two[:1], nil)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Len(t, changes, 1, "the other one is not there")
		require.Equal(t, Change{Addr: two[0], State: StateUsable, Why: "its ejection by an operator is over"}, <-changes)
		require.Less(t, s.Addresses()[0].weight(stamp(time.Now()), time.Minute), int64(whole))
		s.Update(two, nil)
		require.True(t, s.Addresses()[1].Usable(time.Now()))
	})
}

// An address that was in use when it left, and that an operator restored meanwhile, came back ejected, and could not be restored.
func TestAnAddressThatIsRestoredWhileItIsGoneComesBack(t *testing.T) {
	s := NewSet(Options{})
	defer s.Close()
	two := addrs("127.0.0.1:1", "127.0.0.2:1")
	s.Update(two, nil)
	used := s.Pick(s.Addresses()[1:])
	_, err := s.Eject(two[0], 0)
	require.NoError(t, err)
	s.Update(two[1:], nil)
	require.NoError(t, s.Restore(two[0]))
	s.Update(two, nil)
	require.Same(t, used, s.Addresses()[0])
	require.True(t, used.Usable(time.Now()))
}

// With one address out by hand, another one that attempts had ejected is better than none.
func TestAManualEjectionEndsThatOfTheLastOther(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ab := addrs("127.0.0.1:1", "127.0.0.2:1")
		s := NewSet(Options{Outlier: Outlier{Failures: 1, Ejection: time.Hour, MaxEjectedPercent: 50}})
		s.Update(ab, nil)
		s.Failed(s.Addresses()[0], time.Now())
		require.False(t, s.Addresses()[0].Usable(time.Now()))
		others, err := s.Eject(ab[1], 0)
		require.NoError(t, err)
		require.Equal(t, 1, others)
		require.Equal(t, ab[0], s.Pick(nil).Addr)
	})
}

// A set that is closed, since a reload has replaced it, leaves no timer behind: the ejection ends by its time.
func TestAnEjectionFromAClosedSetHasNoTimer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := addrs("127.0.0.1:1", "127.0.0.2:1")
		changes := 0
		s := NewSet(Options{OnChange: func(Change) { changes++ }})
		s.Update(two, nil)
		s.Close()
		_, err := s.Eject(two[0], time.Minute)
		require.NoError(t, err)
		require.Equal(t, 1, changes)
		time.Sleep(time.Minute)
		synctest.Wait()
		require.Equal(t, 1, changes)
		require.True(t, s.Addresses()[0].Usable(time.Now()))
	})
}

func TestAnAddressThatIsNotThereCannotBeEjected(t *testing.T) {
	s := NewSet(Options{})
	defer s.Close()
	s.Update(addrs("127.0.0.1:1"), nil)
	others, err := s.Eject(addrs("127.0.0.2:1")[0], 0)
	require.ErrorIs(t, err, ErrUnknownAddress)
	require.Zero(t, others)
	_, err = s.Eject(addrs("127.0.0.1:1")[0], 0)
	require.NoError(t, err, "nothing is locked")
}

// The timer of an ejection outlives the set that a reload replaces, and not the one that serves last.
func TestCloseStopsTheTimersOfEjections(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		two := addrs("127.0.0.1:1", "127.0.0.2:1")
		s := NewSet(Options{})
		s.Update(two, nil)
		_, err := s.Eject(two[0], time.Hour)
		require.NoError(t, err)
		_, err = s.Eject(two[1], 0)
		require.NoError(t, err)
		require.Nil(t, s.manual.out[two[1]].end, "nothing ends it")
		timer := s.manual.out[two[0]].end
		require.NotNil(t, timer)
		failed := NewSet(Options{Before: s}) // a reload that fails
		failed.Update(two, nil)
		failed.Close()
		next := NewSet(Options{Before: s})
		next.Update(two, nil)
		next.Succeed(true)
		require.Same(t, timer, s.manual.out[two[0]].end)
		require.True(t, timer.Reset(time.Hour), "it runs")
		s.manualOver(two[0], forGood) // the timer of an ejection that was replaced meanwhile
		require.False(t, next.Addresses()[0].Usable(time.Now()))
		next.Close()
		require.False(t, timer.Stop(), "it was stopped")
	})
}
