package eip

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// The metrics have a series for each operation and result from the start, so that rate() sees the first event.
func TestStatsHaveEveryPair(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 2, sim.EC2Options{})
		k, stop := run(t, r.options(0))
		defer stop()
		s := k.Stats()
		require.Len(t, s.Operations, len(OperationNames)*len(ResultNames))
		seen := map[string]bool{}
		for _, o := range s.Operations {
			require.Contains(t, OperationNames, o.Operation)
			require.Contains(t, ResultNames, o.Result)
			require.Zero(t, o.Count)
			seen[o.Operation+o.Result] = true
		}
		require.Len(t, seen, len(s.Operations))
		require.False(t, s.Held)
		require.Zero(t, s.Changes)

		until(t, time.Minute, held(k))
		s = k.Stats()
		require.True(t, s.Held)
		require.EqualValues(t, 1, s.Changes)
		require.EqualValues(t, 1, made(k, "describe", "ok"))
		require.EqualValues(t, 1, made(k, "associate", "ok"))

		time.Sleep(time.Minute)
		r.Move(r.pool[0], eni(1))
		until(t, 2*time.Minute, func() bool { return !held(k)() })
		require.EqualValues(t, 2, k.Stats().Changes)
		r.Move(r.pool[0], "")
		until(t, 2*time.Minute, held(k))
		require.EqualValues(t, 3, k.Stats().Changes)
		require.NoError(t, k.Release(t.Context()))
		require.EqualValues(t, 4, k.Stats().Changes)
		require.EqualValues(t, 1, made(k, "disassociate", "ok"))
		require.False(t, k.Stats().Held)
	})
}

// Readiness says why there is no address, in each state.
func TestCheckSaysWhy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 1, sim.EC2Options{})
		o := r.options(0)
		k, stop := start(o)
		defer stop()
		require.EqualError(t, k.Check(), "no address is wanted yet")
		require.False(t, k.Status().Wanted)
		k.Want(true)
		require.EqualError(t, k.Check(), "no address is held yet")
		require.True(t, k.Status().Wanted)
		until(t, time.Minute, held(k))
		require.NoError(t, k.Check())
		status := k.Status()
		require.Empty(t, status.Reason)
		status.Hold.Allocation = "changed by the caller"
		require.Equal(t, r.pool[0], k.Status().Hold.Allocation)
		require.NoError(t, k.Release(t.Context()))
		require.EqualError(t, k.Check(), "no address is wanted yet")
		hold, held := k.Held()
		require.False(t, held)
		require.Equal(t, Hold{}, hold)

		o.Required = false
		require.NoError(t, New(o).Check())
	})
}

func TestDefaultsOfAKeeper(t *testing.T) {
	k := New(Options{})
	require.Equal(t, 30*time.Second, k.o.VerifyInterval)
	require.Equal(t, ReleaseOnShutdown, k.o.Release)
	require.Equal(t, 10*time.Second, k.callLimit)
	k = New(Options{VerifyInterval: time.Second, Release: ReleaseNever})
	require.Equal(t, time.Second, k.o.VerifyInterval)
	require.Equal(t, ReleaseNever, k.o.Release)
}
