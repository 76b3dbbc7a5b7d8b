package eip

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/eip/sim"
)

// race has daemons that start in the same instant claim from a pool, and returns how long it took until as many
// addresses were held as can be, and the calls that took a token.
func race(t *testing.T, daemons, addresses int, buckets func() map[string]*sim.Bucket) (took time.Duration, calls map[string]int) {
	synctest.Test(t, func(t *testing.T) {
		r := newRegion(t, addresses, daemons, sim.EC2Options{Buckets: buckets(), Latency: latency})
		for i := range daemons {
			_, stop := run(t, r.options(i))
			defer stop()
		}
		took = until(t, 10*time.Minute, func() bool { return len(r.Holders()) == min(daemons, addresses) })
		calls = r.Calls()
	})
	return took, calls
}

// TestRaceStaysNearTheBucketsBound has all calls draw on one bucket, which is harder than EC2 with one for each action.
func TestRaceStaysNearTheBucketsBound(t *testing.T) {
	const size, perSecond = 50, 5
	for _, c := range []struct{ daemons, addresses, runs int }{{50, 50, 5}, {200, 100, 3}} {
		t.Run(fmt.Sprintf("%d for %d", c.daemons, c.addresses), func(t *testing.T) {
			// Whoever ends with an address has listed once and associated once; the listings of the others are not counted.
			least := 2 * min(c.daemons, c.addresses)
			bound := time.Duration(least-size) * time.Second / perSecond
			var all []time.Duration
			for range c.runs {
				took, calls := race(t, c.daemons, c.addresses, func() map[string]*sim.Bucket {
					return map[string]*sim.Bucket{"": sim.NewBucket(size, perSecond)}
				})
				t.Logf("%s, %.2f of the bound of %s; %v", took, took.Seconds()/bound.Seconds(), bound, calls)
				all = append(all, took)
			}
			slices.Sort(all)
			require.LessOrEqual(t, all[c.runs/2].Seconds(), 1.5*bound.Seconds(), "the median")
		})
	}
}
