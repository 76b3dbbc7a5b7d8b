package eip

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"go.uber.org/zap"
)

// Pacing. Every daemon of the account draws on the same token buckets, and a scale-out starts many at once. What one
// claim costs at least is a listing and an association; what is lost is an association that meets an address taken since
// the listing. So the first call is spread out, a listing is used at once, and who has one and is throttled tries again
// sooner than who has none yet: then few hold a listing at a time, and listings stay young.
const (
	spread       = 2 * time.Second        // of the first call, unless an address may be there already
	freshPerFree = 300 * time.Millisecond // a listing stays of use for so long, for each free address in it: others take them one by one
	afterDoubt   = 2 * time.Second        // between two looks for what an association without an answer did
)

// limited is the reason while a bucket is empty.
const limited = "EC2 refuses for now, since the account makes too many calls"

// walk is an attempt to claim, kept over the waits in between.
type walk struct {
	started    bool
	listed     time.Time // zero: no listing to walk on
	candidates []Address // the free ones that were not tried, in random order
	freshFor   time.Duration
	all        int // addresses of the pool

	list      backoff // throttled without a listing
	associate backoff // throttled with one
	none      backoff // nothing free
	failed    backoff // anything else
}

func newWalk() walk {
	return walk{
		list:      backoff{first: time.Second, limit: 4 * time.Second, factor: 1.5},
		associate: backoff{first: 80 * time.Millisecond, limit: 200 * time.Millisecond, factor: 1.5},
		none:      backoff{first: 3 * time.Second, limit: 30 * time.Second, factor: 2},
		failed:    backoff{first: time.Second, limit: 30 * time.Second, factor: 2},
	}
}

// doubt is an association of ours that EC2 may have made though we were not told, and that listings do not show yet.
type doubt struct {
	allocation string    // empty: unknown, or there is no doubt
	since      time.Time // when EC2 first said that there is one; zero: it did not
}

// claim goes on with the walk until it has to wait, and returns for how long.
func (k *Keeper) claim(ctx context.Context) time.Duration {
	w := &k.walk
	if !w.started {
		w.started = true
		if !k.metadata(ctx).IsValid() {
			return rand.N(spread)
		}
	}
	if time.Since(w.listed) > w.freshFor {
		w.listed = time.Time{}
	}
	for ctx.Err() == nil && k.wanted() {
		if w.listed.IsZero() {
			if wait, done := k.look(ctx); done {
				return wait
			}
		}
		if len(w.candidates) == 0 {
			w.listed = time.Time{}
			k.because(fmt.Sprintf("the pool %s has %d addresses, all that looked free were taken meanwhile", k.o.Selector, w.all))
			return w.none.next()
		}
		if wait, done := k.try(ctx, w.candidates[0]); done {
			return wait
		}
	}
	return 0
}

// look lists all addresses and begins a walk on the free ones of the pool. It is done if there is nothing to walk on, or
// if our interface has an address already.
//
// One listing of everything, instead of one of the pool and one of our interface, costs one call of the bucket instead of
// two, and shows both at the same moment. It is the one listing that EC2 does not page.
func (k *Keeper) look(ctx context.Context) (wait time.Duration, done bool) {
	w := &k.walk
	all, r, err := k.describe(ctx)
	switch {
	case r == resultThrottled:
		k.because(limited)
		return w.list.next(), true
	case err != nil:
		k.because(explain("list the pool", err, opDescribe, "", "").Error())
		k.despair(r)
		return w.failed.next(), true
	}
	w.list.reset()
	k.looked = true
	pool := slices.DeleteFunc(slices.Clone(all), func(a Address) bool { return !k.o.Selector.Matches(a) })
	k.showPool(pool)
	if own, ok := k.own(all); ok {
		return k.keep(ctx, own), true
	}
	if k.unseen(pool) {
		k.because("EC2 says that our interface has an address, and does not list it yet")
		return afterDoubt, true
	}
	w.listed, w.all = time.Now(), len(pool)
	w.candidates = k.order(ctx, pool)
	w.freshFor = max(time.Second, min(20*time.Second, time.Duration(len(w.candidates))*freshPerFree))
	if len(w.candidates) == 0 {
		w.listed = time.Time{}
		k.because(shortage(k.o.Selector, pool, k.o.Selector.missing(all), regionOf(k.o.Client)))
		return w.none.next(), true
	}
	return 0, false
}

// own returns the address that the listing shows with our private address, unless we have given it back since.
func (k *Keeper) own(all []Address) (Address, bool) {
	for _, a := range all {
		if a.Interface == k.o.Interface && a.Private == k.o.PrivateIP && !a.Free() && a.Association != k.released {
			return a, true
		}
	}
	return Address{}, false
}

// unseen reports whether something of ours must be waited for: EC2 said that it is there, and the listing does not show
// who has it.
func (k *Keeper) unseen(pool []Address) bool {
	if k.doubt.since.IsZero() {
		return false
	}
	shown := slices.ContainsFunc(pool, func(a Address) bool { return a.Allocation == k.doubt.allocation && !a.Free() })
	if shown || time.Since(k.doubt.since) > settle {
		k.doubt = doubt{}
		return false
	}
	return true
}

// order returns the free addresses in random order. First comes what may be ours without the listing showing it: what an
// association without an answer was for, or what the instance metadata says.
func (k *Keeper) order(ctx context.Context, pool []Address) []Address {
	free := slices.DeleteFunc(slices.Clone(pool), func(a Address) bool { return !a.Free() && a.Association != k.released })
	rand.Shuffle(len(free), func(i, j int) { free[i], free[j] = free[j], free[i] })
	if k.doubt.allocation == "" {
		if public := k.metadata(ctx); public.IsValid() {
			for _, a := range free {
				if a.Public == public {
					k.doubt.allocation = a.Allocation
				}
			}
		}
	}
	slices.SortStableFunc(free, func(a, b Address) int {
		switch k.doubt.allocation {
		case a.Allocation:
			return -1
		case b.Allocation:
			return 1
		}
		return 0
	})
	return free
}

// keep takes what our interface has already, if it is of the pool: a restart must not change the address.
func (k *Keeper) keep(ctx context.Context, own Address) time.Duration {
	w := &k.walk
	if !k.o.Selector.Matches(own) {
		k.because(fmt.Sprintf("%s on %s has %s (%s), which is not in the pool %s: add it to the pool, or disassociate it",
			k.o.PrivateIP, k.o.Interface, own.Public, own.Allocation, k.o.Selector))
		return w.none.next()
	}
	if k.metadata(ctx) == own.Public {
		k.gain(Found, own, own.Association)
		return around(k.o.VerifyInterval)
	}
	if doubted := k.doubt.allocation == own.Allocation && !k.doubt.since.IsZero(); doubted && time.Since(k.doubt.since) <= settle {
		return afterDoubt
	} else if doubted {
		// EC2 refuses the repetition, and the listing is no longer young: it is ours.
		k.gain(Found, own, own.Association)
		return around(k.o.VerifyInterval)
	}
	// The listing may be older than a release. To associate again what is associated changes nothing and is certain. Until
	// then it is ours to give back, if it is there.
	k.doubt = doubt{allocation: own.Allocation}
	association, r, err := k.associate(ctx, own.Allocation)
	switch {
	case err == nil:
		k.gain(Found, own, association)
		return around(k.o.VerifyInterval)
	case r == resultTaken:
		k.doubt = doubt{own.Allocation, time.Now()}
		return afterDoubt
	case r == resultDenied && !withoutCredentials(err):
		// It can be used without being certain, as it was before.
		k.gain(Found, own, own.Association)
		return around(k.o.VerifyInterval)
	case r == resultThrottled:
		return w.associate.next()
	}
	k.because(explain("keep "+own.Allocation, err, opAssociate, own.Allocation, k.o.Interface).Error())
	k.despair(r)
	return w.failed.next()
}

// try associates the first candidate. It is done when it has it, or has to wait.
func (k *Keeper) try(ctx context.Context, a Address) (wait time.Duration, done bool) {
	w := &k.walk
	association, r, err := k.associate(ctx, a.Allocation)
	if r != resultThrottled {
		w.candidates = w.candidates[1:]
		w.associate.reset()
	}
	switch r {
	case resultOK:
		k.gain(Claimed, a, association)
		return around(k.o.VerifyInterval), true
	case resultTaken:
		return k.conflict(a, err)
	case resultGone:
		return 0, false
	case resultThrottled:
		k.because(limited)
		return w.associate.next(), true
	case resultUnreachable:
		k.doubt = doubt{allocation: a.Allocation}
	}
	w.listed = time.Time{}
	k.because(explain("claim "+a.Allocation, err, opAssociate, a.Allocation, k.o.Interface).Error())
	k.despair(r)
	return w.failed.next(), true
}

// conflict is what follows an association that met another one: the next candidate, unless the other one may be ours.
func (k *Keeper) conflict(a Address, err error) (wait time.Duration, done bool) {
	w := &k.walk
	k.log.Debug("eip taken meanwhile", zap.String("allocation", a.Allocation), zap.Duration("listing_age", time.Since(w.listed)))
	ours := strings.Contains(err.Error(), k.o.Interface)
	if ours || k.doubt.allocation == a.Allocation {
		if ours {
			k.doubt.allocation = ""
		}
		k.doubt.since = time.Now()
		w.listed = time.Time{}
		return afterDoubt / 2, true
	}
	if time.Since(w.listed) > w.freshFor/2 {
		w.listed = time.Time{} // more of it will be taken: a new listing costs less than to find out
	}
	return 0, false
}
