package upstream

import (
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// A connection of another process counts at its address. One to an address that the set does not have is to a removed one, which is
// what OnRemoved is for; while the set has no address at all, an answer that has it may still come.
// Each reload that changed an upstream began the wait anew, so that frequent ones kept connections to a removed address for ever.
func TestAReloadDoesNotPutOffTheEndOfARemovedAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		closed := make(chan *Address, 1)
		o := Options{OnRemoved: func(a *Address) { closed <- a }, CloseAfter: 10 * time.Second}
		s := NewSet(o)
		s.Update(addrs("127.0.0.1:1", "127.0.0.2:1"), nil)
		a := s.Adopt(addrs("127.0.0.1:1")[0], true)
		s.Update(addrs("127.0.0.2:1"), nil)
		left := time.Now()
		for range 3 {
			time.Sleep(3 * time.Second)
			o.Before = s
			next := NewSet(o)
			next.Update(addrs("127.0.0.2:1"), nil)
			next.Succeed(true)
			s = next
		}
		require.Same(t, a, <-closed)
		require.Equal(t, 10*time.Second, time.Since(left))
		a.Release()
		s.Close()
	})
}

func TestConnectionsOfAnotherProcessCount(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var mu sync.Mutex
		var removed []*Address
		onRemoved := func(a *Address) {
			mu.Lock()
			defer mu.Unlock()
			removed = append(removed, a)
		}
		s := NewSet(Options{OnRemoved: onRemoved, CloseAfter: time.Minute})
		defer s.Close()
		one, two, three := addrs("127.0.0.1:1")[0], addrs("127.0.0.2:1")[0], addrs("127.0.0.3:1")[0]

		early := s.Adopt(one, true)
		require.Nil(t, early.closing, "there was no answer yet")
		late := s.Adopt(two, true)
		s.Update(addrs("127.0.0.1:1"), nil)
		require.Same(t, early, s.Addresses()[0])
		require.EqualValues(t, 1, early.Active())
		require.Same(t, early, s.Adopt(one, true))
		require.EqualValues(t, 2, early.Active())
		require.Same(t, early, s.Adopt(one, false), "one that is not counted, such as an attempt")
		require.EqualValues(t, 2, early.Active())

		require.Same(t, late, s.Adopt(two, true), "removed by the answer, and in use")
		stranger := s.Adopt(three, true)
		all := s.Standings(time.Now())
		require.Len(t, all, 3)
		require.Equal(t, []State{StateUsable, StateRemoved, StateRemoved}, []State{all[0].State, all[1].State, all[2].State})
		time.Sleep(time.Minute)
		synctest.Wait()
		require.ElementsMatch(t, []*Address{late, stranger}, removed)
		late.Release()
		late.Release()
		stranger.Release()
		require.Len(t, s.Standings(time.Now()), 1)
	})
}

// A connection that waits in a pool is of use only where its address is.
func TestOnlyUsableAddressesAreRejoined(t *testing.T) {
	s := NewSet(Options{})
	defer s.Close()
	two := addrs("127.0.0.1:1", "127.0.0.2:1")
	s.Update(two, nil)
	_, err := s.Eject(two[1], 0)
	require.NoError(t, err)
	a := s.Rejoin(two[0])
	require.Same(t, s.Addresses()[0], a)
	require.EqualValues(t, 1, a.Active())
	require.Nil(t, s.Rejoin(two[1]), "out by hand")
	require.Zero(t, s.Addresses()[1].Active())
	require.Nil(t, s.Rejoin(addrs("127.0.0.3:1")[0]))
}
