package eip

import (
	"cmp"
	"context"
	"math/rand/v2"
	"slices"
	"time"
)

// Pacing of claims. All daemons of an account share EC2's token buckets, and a scale-out starts many daemons at once. A claim
// costs at least one listing and one association. It costs more if the address was taken after the listing. Three rules keep
// listings young: the first call of a daemon is delayed at random; a listing is used at once; a throttled daemon that has a
// listing retries sooner than one that has none, so few daemons hold a listing at a time.
const (
	startSpread = 2 * time.Second // the first call comes within this time, at once if the interface may have an address already

	// A listing is of use for this long for each free address in it, since others take them one by one, within these bounds.
	freshPerFree = 300 * time.Millisecond
	freshMin     = time.Second
	freshMax     = 20 * time.Second

	recheckDelay = 2 * time.Second // between two listings that look for an unconfirmed claim
)

// throttledReason is why there is no address while a token bucket is empty.
const throttledReason = "EC2 refuses for now, since the account makes too many calls"

// scan is one attempt to claim an address: the candidates of one listing are tried in turn. It is kept while the keeper waits.
type scan struct {
	started    bool          // the delay of the first call is over
	listed     time.Time     // when the candidates were listed; zero: a new listing is due
	candidates []Address     // free addresses that were not tried yet, in the order in which to try them
	freshFor   time.Duration // how long the candidates are of use
	poolSize   int

	list      backoff // throttled, without candidates
	associate backoff // throttled, with candidates
	none      backoff // no address is free
	failed    backoff // any other failure
}

// newScan returns a scan that has not tried anything, with the pauses after each kind of failure.
func newScan() scan {
	return scan{
		list:      backoff{first: time.Second, limit: 4 * time.Second, factor: 1.5},
		associate: backoff{first: 80 * time.Millisecond, limit: 200 * time.Millisecond, factor: 1.5},
		none:      backoff{first: 3 * time.Second, limit: 30 * time.Second, factor: 2},
		failed:    backoff{first: time.Second, limit: 30 * time.Second, factor: 2},
	}
}

// begin takes the candidates of a listing that was made now.
func (s *scan) begin(candidates []Address, poolSize int) {
	s.listed, s.candidates, s.poolSize = time.Now(), candidates, poolSize
	s.freshFor = max(freshMin, min(freshMax, time.Duration(len(candidates))*freshPerFree))
}

// relist makes the next step begin with a new listing.
func (s *scan) relist() { s.listed = time.Time{} }

// older reports whether the listing is older than d. Without a listing it is.
func (s *scan) older(d time.Duration) bool { return time.Since(s.listed) > d }

// candidates returns the free addresses of the pool in random order. An unconfirmed claim comes first; without one, the address
// that the instance metadata shows, since it may be ours although the listing does not show it yet.
func (k *Keeper) candidates(ctx context.Context, pool []Address) []Address {
	free := slices.DeleteFunc(slices.Clone(pool), func(a Address) bool { return !a.Free() && a.Association != k.ended })
	rand.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	if k.unconfirmed.allocation == "" {
		if public := k.metadata(ctx); public.IsValid() {
			if i := slices.IndexFunc(free, func(a Address) bool { return a.Public == public }); i >= 0 {
				k.unconfirmed.allocation = free[i].Allocation
			}
		}
	}
	isUnconfirmed := func(a Address) int {
		if a.Allocation == k.unconfirmed.allocation {
			return 0
		}
		return 1
	}
	slices.SortStableFunc(free, func(a, b Address) int { return cmp.Compare(isUnconfirmed(a), isUnconfirmed(b)) })
	return free
}
