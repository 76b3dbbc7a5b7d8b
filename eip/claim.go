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

// claim continues the scan until it has an address or has to wait, and returns how long to wait.
func (k *Keeper) claim(ctx context.Context) time.Duration {
	s := &k.scan
	if !s.started {
		s.started = true
		if !k.metadata(ctx).IsValid() {
			return rand.N(startSpread)
		}
	}
	if s.older(s.freshFor) {
		s.relist()
	}
	// Want(false) may have been called before each call of EC2: an association after it would only have to be undone.
	for ctx.Err() == nil && k.wanted() {
		if wait, done := k.continueScan(ctx); done {
			return wait
		}
	}
	return 0
}

// continueScan makes the next call of the scan. done means that the step ends here, and wait how long to wait then.
func (k *Keeper) continueScan(ctx context.Context) (wait time.Duration, done bool) {
	s := &k.scan
	switch {
	case s.listed.IsZero():
		return k.startScan(ctx)
	case len(s.candidates) > 0:
		return k.tryCandidate(ctx, s.candidates[0])
	}
	s.relist()
	k.setReason(fmt.Sprintf("the pool %s has %d addresses, all that looked free were taken meanwhile", k.o.Selector, s.poolSize))
	return s.none.next(), true
}

// startScan lists all addresses and begins a scan of the free ones of the pool. done means that the step ends here: our
// interface has an address already, no address is free, or the listing failed.
//
// It lists all addresses of the account instead of the pool and our interface in two calls. That costs one token instead of two
// and shows both at the same moment. EC2 returns this listing in one page.
func (k *Keeper) startScan(ctx context.Context) (wait time.Duration, done bool) {
	s := &k.scan
	all, r, err := k.describe(ctx)
	switch {
	case r == resultThrottled:
		k.setReason(throttledReason)
		return s.list.next(), true
	case err != nil:
		k.setReason(explain("list the pool", err, opDescribe, "", "").Error())
		k.abortManual(r)
		return s.failed.next(), true
	}
	s.list.reset()
	k.listedOnce = true
	pool := slices.DeleteFunc(slices.Clone(all), func(a Address) bool { return !k.o.Selector.Matches(a) })
	k.setPool(pool)
	if own, ok := k.ownAddress(all); ok {
		return k.adopt(ctx, own), true
	}
	if k.awaitUnconfirmed(pool) {
		k.setReason("EC2 says that our interface has an address, and does not list it yet")
		return recheckDelay, true
	}
	s.begin(k.candidates(ctx, pool), len(pool))
	if len(s.candidates) == 0 {
		s.relist()
		k.setReason(shortage(k.o.Selector, pool, k.o.Selector.missing(all), regionOf(k.o.Client)))
		return s.none.next(), true
	}
	return 0, false
}

// tryCandidate associates the first candidate with our interface. done means that the step ends here: the address is ours, or the
// keeper has to wait.
func (k *Keeper) tryCandidate(ctx context.Context, a Address) (wait time.Duration, done bool) {
	s := &k.scan
	association, r, err := k.associate(ctx, a.Allocation)
	if r != resultThrottled {
		s.candidates = s.candidates[1:]
		s.associate.reset()
	}
	switch r {
	case resultOK:
		k.setHeld(Claimed, a, association)
		return jitter(k.o.VerifyInterval), true
	case resultTaken:
		return k.taken(a, err)
	case resultGone:
		return 0, false
	case resultThrottled:
		k.setReason(throttledReason)
		return s.associate.next(), true
	case resultUnreachable:
		k.unconfirmed = unconfirmed{allocation: a.Allocation}
	}
	s.relist()
	k.setReason(explain("claim "+a.Allocation, err, opAssociate, a.Allocation, k.o.Interface).Error())
	k.abortManual(r)
	return s.failed.next(), true
}

// taken handles an association that EC2 refused because the address, or our interface, has an association. The next candidate
// follows, unless the association that EC2 means may be ours.
func (k *Keeper) taken(a Address, err error) (wait time.Duration, done bool) {
	s := &k.scan
	k.log.Debug("eip taken meanwhile", zap.String("allocation", a.Allocation), zap.Duration("listing_age", time.Since(s.listed)))
	interfaceTaken := strings.Contains(err.Error(), k.o.Interface)
	if interfaceTaken || k.unconfirmed.allocation == a.Allocation {
		if interfaceTaken {
			k.unconfirmed.allocation = "" // it may be any address
		}
		k.unconfirmed.since = time.Now()
		s.relist()
		return recheckDelay / 2, true
	}
	if s.older(s.freshFor / 2) {
		s.relist() // more candidates are likely taken by now; a new listing costs less than trying them
	}
	return 0, false
}
