package eip

import (
	"errors"
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// recorder notes when each action was called, and decides what goes wrong with it.
type recorder struct {
	mu    sync.Mutex
	times map[string][]time.Time
	fault map[string]sim.Fault
}

func record(r *region) *recorder {
	rec := &recorder{times: map[string][]time.Time{}, fault: map[string]sim.Fault{}}
	r.Configure(func(o *sim.EC2Options) {
		o.Fault = func(c sim.Call) sim.Fault {
			rec.mu.Lock()
			defer rec.mu.Unlock()
			rec.times[c.Action] = append(rec.times[c.Action], time.Now())
			return rec.fault[c.Action]
		}
	})
	return rec
}

func (rec *recorder) fail(action string, f sim.Fault) {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	rec.fault[action] = f
}

func (rec *recorder) calls(action string) []time.Time {
	rec.mu.Lock()
	defer rec.mu.Unlock()
	return append([]time.Time{}, rec.times[action]...)
}

// requireGaps holds the pauses between calls against the waits that are meant, each spread over half to one and a half of it.
func (rec *recorder) requireGaps(t *testing.T, action string, waits ...time.Duration) {
	t.Helper()
	times := rec.calls(action)
	require.Greater(t, len(times), len(waits))
	for i, wait := range waits {
		gap := times[i+1].Sub(times[i])
		require.GreaterOrEqual(t, gap, wait/2, "pause %d", i)
		require.LessOrEqual(t, gap, wait*3/2, "pause %d", i)
	}
}

// Each kind of failure has its pace. All of them end in a wait that stays the same, else a daemon would come too late when an
// address gets free, or empty the account's token bucket.
func TestEachFailureHasItsPace(t *testing.T) {
	const s, ms = time.Second, time.Millisecond
	for name, c := range map[string]struct {
		action string // whose pace it is
		fail   map[string]sim.Fault
		free   int
		waits  []time.Duration
	}{
		"none is free":             {"DescribeAddresses", nil, 0, []time.Duration{3 * s, 6 * s, 12 * s, 24 * s, 30 * s, 30 * s, 30 * s}},
		"listings are throttled":   {"DescribeAddresses", map[string]sim.Fault{"DescribeAddresses": sim.Throttle}, 1, []time.Duration{1 * s, 1500 * ms, 2250 * ms, 3375 * ms, 4 * s, 4 * s, 4 * s}},
		"listings fail":            {"DescribeAddresses", map[string]sim.Fault{"DescribeAddresses": sim.Unreachable}, 1, []time.Duration{1 * s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}},
		"associations throttled":   {"AssociateAddress", map[string]sim.Fault{"AssociateAddress": sim.Throttle}, 100, []time.Duration{80 * ms, 120 * ms, 180 * ms, 200 * ms, 200 * ms}},
		"associations fail":        {"AssociateAddress", map[string]sim.Fault{"AssociateAddress": sim.Internal}, 1, []time.Duration{1 * s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}},
		"ours cannot be confirmed": {"AssociateAddress", map[string]sim.Fault{"AssociateAddress": sim.Internal}, -1, []time.Duration{1 * s, 2 * s, 4 * s, 8 * s, 16 * s, 30 * s, 30 * s}},
		"ours while throttled":     {"AssociateAddress", map[string]sim.Fault{"AssociateAddress": sim.Throttle}, -1, []time.Duration{80 * ms, 120 * ms, 180 * ms, 200 * ms, 200 * ms}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegion(t, max(1, c.free), 2, sim.EC2Options{})
				switch c.free {
				case 0:
					r.Move(r.pool[0], eni(1))
				case -1:
					r.Move(r.pool[0], eni(0))
				}
				rec := record(r)
				for action, f := range c.fail {
					rec.fail(action, f)
				}
				_, stop := run(t, r.options(0))
				defer stop()
				time.Sleep(5 * time.Minute)
				rec.requireGaps(t, c.action, c.waits...)
			})
		})
	}
}

// The first call is spread over two seconds, so that the daemons of a scale-out do not come at once. A daemon whose instance has a
// public address already has nobody to give way to.
func TestFirstCallIsSpread(t *testing.T) {
	first := func(t *testing.T, held bool) (after time.Duration) {
		synctest.Test(t, func(t *testing.T) {
			r := newRegion(t, 1, 1, sim.EC2Options{})
			o := r.options(0)
			o.PublicIPv4 = r.metadataOf(0)
			if held {
				r.Move(r.pool[0], eni(0))
			}
			rec := record(r)
			began := time.Now()
			_, stop := run(t, o)
			defer stop()
			time.Sleep(time.Minute)
			after = rec.calls("DescribeAddresses")[0].Sub(began)
		})
		return after
	}
	require.Zero(t, first(t, true))
	var latest time.Duration
	for range 40 {
		after := first(t, false)
		require.LessOrEqual(t, after, 2*time.Second)
		latest = max(latest, after)
	}
	require.Greater(t, latest, time.Second, "of 40")
}

// How long a listing is used: the more free addresses it shows, the longer, within 1 s and 20 s. A listing that is used for too long
// costs associations with addresses that others took.
func TestListingsAreUsedWhileTheyAreYoung(t *testing.T) {
	for free, use := range map[int]time.Duration{1: time.Second, 3: time.Second, 10: 3 * time.Second, 40: 12 * time.Second, 200: 20 * time.Second} {
		t.Run(fmt.Sprint(free, " free"), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRegion(t, free, 1, sim.EC2Options{})
				rec := record(r)
				rec.fail("AssociateAddress", sim.Throttle)
				_, stop := run(t, r.options(0))
				defer stop()
				time.Sleep(2 * time.Minute)
				listings := rec.calls("DescribeAddresses")
				require.Greater(t, len(listings), 4)
				for i, at := range listings[1:] {
					require.Greater(t, at.Sub(listings[i]), use)
					require.LessOrEqual(t, at.Sub(listings[i]), use+300*time.Millisecond, "the longest wait of an association that is throttled")
				}
			})
		})
	}
}

// A candidate that was taken meanwhile says how old the listing is: past half of its use, a new listing costs less than to try the
// other candidates.
func TestTakenCandidateEndsAnOldListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, 10, 1, sim.EC2Options{})
		k := New(r.options(0))
		other := errors.New("eipalloc-1 is associated with eipassoc-1")
		k.scan.begin(make([]Address, 10), 10)
		time.Sleep(1500 * time.Millisecond)
		_, done := k.taken(Address{Allocation: "eipalloc-1"}, other)
		require.False(t, done)
		require.False(t, k.scan.listed.IsZero(), "half of 3 s is not over")
		time.Sleep(time.Millisecond)
		_, done = k.taken(Address{Allocation: "eipalloc-1"}, other)
		require.False(t, done)
		require.True(t, k.scan.listed.IsZero())
	})
}

func TestBackoffGrowsToItsLimitAndSpreads(t *testing.T) {
	var least, most time.Duration = time.Hour, 0
	for range 1000 {
		b := backoff{first: 4 * time.Second, limit: 10 * time.Second, factor: 2}
		first := b.next()
		least, most = min(least, first), max(most, first)
		require.Equal(t, 4*time.Second, b.wait)
		b.next()
		require.Equal(t, 8*time.Second, b.wait)
		b.next()
		require.Equal(t, 10*time.Second, b.wait)
		b.reset()
		require.LessOrEqual(t, b.next(), 6*time.Second)
	}
	require.GreaterOrEqual(t, least, 2*time.Second)
	require.Less(t, least, 2200*time.Millisecond)
	require.Less(t, most, 6*time.Second)
	require.Greater(t, most, 5800*time.Millisecond)
}

func TestJitterIsATenthToEitherSide(t *testing.T) {
	var least, most time.Duration = time.Hour, 0
	for range 1000 {
		d := jitter(10 * time.Second)
		least, most = min(least, d), max(most, d)
	}
	require.GreaterOrEqual(t, least, 9*time.Second)
	require.Less(t, least, 9100*time.Millisecond)
	require.LessOrEqual(t, most, 11*time.Second)
	require.Greater(t, most, 10900*time.Millisecond)
}
