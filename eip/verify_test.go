package eip

import (
	"context"
	"errors"
	"net/netip"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// metadataOf is what the instance metadata show on the interface of a daemon.
func (r *region) metadataOf(daemon int) func(context.Context) (netip.Addr, error) {
	return func(context.Context) (netip.Addr, error) { return r.PublicIPv4(eni(daemon)), nil }
}

// runCounting is run for a keeper that counts how often it lost its address.
func runCounting(t *testing.T, o Options) (k *Keeper, lost *atomic.Int32, stop func()) {
	lost = new(atomic.Int32)
	o.OnEvent = func(e Event) {
		if e.Kind == Lost {
			lost.Add(1)
		}
	}
	k, stop = run(t, o)
	return k, lost, stop
}

// Right after an association the listings may not show it yet. A keeper that believed them would drop the address it has just
// got, and claim another one.
func TestListingsAreNotBelievedRightAfterAClaim(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 3, 1, sim.EC2Options{Lag: func() time.Duration { return 9 * time.Second }})
		o := r.options(0)
		o.VerifyInterval = 2 * time.Second
		k, lost, stop := runCounting(t, o)
		defer stop()
		until(t, time.Minute, held(k))
		first, _ := k.Held()
		time.Sleep(5 * time.Minute)
		require.Zero(t, lost.Load())
		hold, _ := k.Held()
		require.Equal(t, first, hold)
		require.Len(t, r.Holders(), 1)
	})
}

// Ten seconds after the association listings count again: an address that is gone by then is missed soon.
func TestListingsAreBelievedAfterTenSeconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 1, 2, sim.EC2Options{})
		o := r.options(0)
		o.VerifyInterval = 2 * time.Second
		k, lost, stop := runCounting(t, o)
		defer stop()
		until(t, time.Minute, held(k))
		hold, _ := k.Held()
		time.Sleep(3 * time.Second)
		r.Move(r.pool[0], eni(1))
		until(t, time.Minute, func() bool { return lost.Load() == 1 })
		require.InDelta(t, 10, time.Since(hold.Since).Seconds(), 3.3, "two listings a second apart, within an interval")
	})
}

// One listing that does not show the address proves nothing.
func TestOneStaleListingDoesNotLoseTheAddress(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var stale atomic.Bool
		r := newRegion(t, 2, 1, sim.EC2Options{Lag: func() time.Duration {
			if stale.CompareAndSwap(true, false) {
				return time.Hour
			}
			return 0
		}})
		k, lost, stop := runCounting(t, r.options(0))
		defer stop()
		until(t, time.Minute, held(k))
		time.Sleep(time.Minute)
		for range 5 { // no two in a row: those count anew after each one that shows it
			stale.Store(true)
			until(t, time.Minute, func() bool { return !stale.Load() })
			at := time.Now()
			until(t, 2*time.Second, func() bool { return k.Status().Verified.After(at) })
			require.Zero(t, lost.Load())
		}
		require.Len(t, r.Holders(), 1)
	})
}

// verifyBlind has EC2 unreachable from the claim on, while the metadata show what show returns, given the address.
func verifyBlind(t *testing.T, after time.Duration, show func(hold Hold, now time.Duration) (netip.Addr, error)) (k *Keeper, lost *atomic.Int32, stop func()) {
	r := newRegion(t, 1, 1, sim.EC2Options{})
	var claimed atomic.Pointer[Hold]
	o := r.options(0)
	o.VerifyInterval = 5 * time.Second
	o.PublicIPv4 = func(context.Context) (netip.Addr, error) {
		h := claimed.Load()
		if h == nil {
			return netip.Addr{}, nil
		}
		return show(*h, time.Since(h.Since))
	}
	k, lost, stop = runCounting(t, o)
	until(t, time.Minute, held(k))
	hold, _ := k.Held()
	claimed.Store(&hold)
	time.Sleep(after)
	r.Configure(func(o *sim.EC2Options) { o.Fault = func(sim.Call) sim.Fault { return sim.Unreachable } })
	return k, lost, stop
}

// The metadata follow an association by seconds. In its first minute what they show ends nothing.
func TestMetadataAreNotBelievedInTheFirstMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k, lost, stop := verifyBlind(t, 0, func(h Hold, age time.Duration) (netip.Addr, error) {
			if age < 59*time.Second {
				return netip.Addr{}, nil
			}
			return h.Public, nil
		})
		defer stop()
		time.Sleep(10 * time.Minute)
		require.Zero(t, lost.Load())
		require.NoError(t, k.Check())
	})
}

// After that minute, metadata that show another address twice in a row are believed where EC2 cannot be asked.
func TestMetadataAreBelievedAfterTheFirstMinute(t *testing.T) {
	other := netip.MustParseAddr("203.0.113.9")
	for name, shown := range map[string]netip.Addr{"203.0.113.9": other, "none": {}} {
		synctest.Test(t, func(t *testing.T) {
			k, lost, stop := verifyBlind(t, 0, func(h Hold, age time.Duration) (netip.Addr, error) { return shown, nil })
			defer stop()
			hold, _ := k.Held()
			until(t, 2*time.Minute, func() bool { return lost.Load() == 1 })
			require.InDelta(t, 64, time.Since(hold.Since).Seconds(), 5)
			require.ErrorContains(t, k.Check(), "EC2 ") // it cannot be asked for another one either
			require.NotNil(t, name)
		})
	}
}

// Metadata that show another address once, or cannot be read, or show ours again, end nothing.
func TestMetadataMustSayItTwiceInARow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var asked atomic.Int64
		_, lost, stop := verifyBlind(t, time.Minute, func(h Hold, age time.Duration) (netip.Addr, error) {
			n := asked.Add(1)
			switch n % 4 {
			case 1:
				return netip.MustParseAddr("203.0.113.9"), nil
			case 3:
				return netip.Addr{}, context.DeadlineExceeded
			}
			return h.Public, nil
		})
		defer stop()
		time.Sleep(30 * time.Minute)
		require.Greater(t, asked.Load(), int64(20))
		require.Zero(t, lost.Load())
	})
}

// A Release during a listing of a claim must end the claim: an association after it would only have to be undone, and a daemon that
// is killed in between leaves the address behind.
func TestReleaseDuringAListingClaimsNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 2, 1, sim.EC2Options{Latency: func() time.Duration { return 1500 * time.Millisecond }})
		k, stop := run(t, r.options(0))
		defer stop()
		until(t, time.Minute, func() bool { return r.Calls()["DescribeAddresses ok"] == 1 })
		require.NoError(t, k.Release(t.Context()))
		require.Zero(t, r.Calls()["AssociateAddress ok"], "nothing is claimed after Release was called")
		require.Zero(t, k.Stats().Changes)
	})
}

// Two listings in a row, a second apart: a third would only add to the time in which clients are refused by Azure.
func TestTwoListingsProveALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{describe: listing()}
		k := holding(t, s)
		time.Sleep(time.Minute)
		hold, _ := k.Held()
		require.Equal(t, time.Second, k.verify(t.Context(), hold))
		require.True(t, held(k)())
		wait := k.verify(t.Context(), hold)
		require.False(t, held(k)())
		require.Equal(t, 2, s.count("describe"))
		require.LessOrEqual(t, wait, 2*time.Second, "the first call of the next claim is spread")
		require.Zero(t, k.misses)
	})
}

// Somebody gave our interface another address: the one that was held is lost, the other taken over if it is of the pool.
func TestAnotherAddressOnOurInterface(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{describe: listing(entry(2, "eni-1", "10.0.0.1"))}
		k := holding(t, s)
		var kinds []EventKind
		k.o.OnEvent = func(e Event) { kinds = append(kinds, e.Kind) }
		time.Sleep(time.Minute)
		hold, _ := k.Held()
		k.verify(t.Context(), hold)
		requireInterval(t, k.verify(t.Context(), hold))
		require.Equal(t, []EventKind{Lost, Found}, kinds)
		now, _ := k.Held()
		require.Equal(t, "eipalloc-00000002", now.Allocation)
		require.Equal(t, 2, s.count("describe"))
	})
}

func TestLostReason(t *testing.T) {
	hold := Hold{Public: mustAddr("198.51.0.1"), Allocation: "eipalloc-1"}
	require.Equal(t, "198.51.0.1 (eipalloc-1) is no longer on our interface", lostReason(hold, Address{}, false))
	require.Equal(t, "198.51.0.1 (eipalloc-1) is no longer on our interface, which has 198.51.0.2 (eipalloc-2)",
		lostReason(hold, Address{Public: mustAddr("198.51.0.2"), Allocation: "eipalloc-2"}, true))
	require.Equal(t, "none", addressOrNone(netip.Addr{}))
	require.Equal(t, "198.51.0.1", addressOrNone(hold.Public))
}

// Somebody took the address away and gave it back: it has another association, by which it must be released. In the first ten seconds
// a listing may show an association from before the claim.
func TestTheAssociationFollowsTheListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := entry(1, "eni-1", "10.0.0.1")
		again := "eipassoc-again"
		a.AssociationId = &again
		s := &script{describe: listing(a)}
		k := holding(t, s)
		k.setReason("the last verification failed")
		hold, _ := k.Held()
		k.verifySoon()
		requireInterval(t, k.verify(t.Context(), hold))
		now, _ := k.Held()
		require.Equal(t, "eipassoc-1", now.Association)
		require.Empty(t, k.Status().Reason)
		require.Equal(t, time.Now(), k.Status().Verified)
		time.Sleep(11 * time.Second)
		k.verifySoon()
		k.verify(t.Context(), hold)
		now, _ = k.Held()
		require.Equal(t, "eipassoc-again", now.Association)
		require.NoError(t, k.Release(t.Context()))
		require.Equal(t, "disassociate eipassoc-again", s.calls[len(s.calls)-1])
	})
}

// A step that Want has caused does not verify before its time.
func TestVerificationIsNotEarly(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &script{describe: listing(entry(1, "eni-1", "10.0.0.1"))}
		k := holding(t, s)
		hold, _ := k.Held()
		time.Sleep(7 * time.Second)
		require.Equal(t, 20*time.Second, k.verify(t.Context(), hold))
		require.Empty(t, s.calls)
		time.Sleep(20 * time.Second)
		k.verify(t.Context(), hold)
		require.Len(t, s.calls, 1)
		k.misses = 1
		k.verify(t.Context(), hold)
		require.Len(t, s.calls, 2, "the second of two listings is due at once")
	})
}

// The metadata are asked again a second after they first contradict, and believed then.
func TestTwoLooksAtTheMetadataProveALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := holding(t, &script{})
		k.o.PublicIPv4 = metadataShow("203.0.113.9")
		time.Sleep(2 * time.Minute)
		hold, _ := k.Held()
		failure := answered("InternalError", "m", 500)
		require.Equal(t, time.Second, k.verifyByMetadata(t.Context(), hold, resultUnreachable, failure))
		require.True(t, held(k)())
		require.ErrorContains(t, errors.New(k.Status().Reason), "verify eipalloc-00000001: InternalError")
		require.Zero(t, k.verifyByMetadata(t.Context(), hold, resultUnreachable, failure), "the next claim begins at once")
		require.False(t, held(k)())
		require.EqualError(t, k.Check(), "198.51.0.1 (eipalloc-00000001) is lost: EC2 cannot be asked, and the instance metadata shows 203.0.113.9")

		k = holding(t, &script{})
		k.o.PublicIPv4 = metadataShow("203.0.113.9")
		hold, _ = k.Held()
		time.Sleep(2 * time.Minute)
		for range 5 {
			requireInterval(t, k.verifyByMetadata(t.Context(), hold, resultThrottled, failure))
		}
		require.True(t, held(k)(), "a throttled call says that EC2 is there: it is asked again")
	})
}
