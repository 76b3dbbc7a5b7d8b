package eip

import (
	"context"
	"fmt"
	"slices"
	"time"
)

// unconfirmed is an association with our interface that EC2 may have made although we got no answer, and that listings do not
// show yet. The zero value means that there is none.
type unconfirmed struct {
	allocation string    // empty: which address it is, is not known
	since      time.Time // when EC2 first said that it exists; zero: EC2 did not say so
}

// ownAddress returns the address that a listing shows with our private address. An association that we have ended does not count:
// a listing may still show it.
func (k *Keeper) ownAddress(all []Address) (Address, bool) {
	for _, a := range all {
		if a.Interface == k.o.Interface && a.Private == k.o.PrivateIP && !a.Free() && a.Association != k.ended {
			return a, true
		}
	}
	return Address{}, false
}

// awaitUnconfirmed reports whether to list again before another claim: EC2 said that our interface has an address, and the
// listing shows nobody who holds it. It forgets an unconfirmed claim once a listing shows the holder, or listings are reliable.
func (k *Keeper) awaitUnconfirmed(pool []Address) bool {
	if k.unconfirmed.since.IsZero() {
		return false
	}
	shown := slices.ContainsFunc(pool, func(a Address) bool { return a.Allocation == k.unconfirmed.allocation && !a.Free() })
	if shown || time.Since(k.unconfirmed.since) > listingDelay {
		k.unconfirmed = unconfirmed{}
		return false
	}
	return true
}

// adopt takes over the address that our interface has already, if it is of the pool: a restart must not change the address. It
// returns how long to wait.
func (k *Keeper) adopt(ctx context.Context, own Address) time.Duration {
	if !k.o.Selector.Matches(own) {
		k.setReason(fmt.Sprintf("%s on %s has %s (%s), which is not in the pool %s: add it to the pool, or disassociate it",
			k.o.PrivateIP, k.o.Interface, own.Public, own.Allocation, k.o.Selector))
		return k.scan.none.next()
	}
	if k.metadata(ctx) == own.Public {
		return k.setFound(own, own.Association)
	}
	if k.unconfirmed.allocation == own.Allocation && !k.unconfirmed.since.IsZero() {
		if time.Since(k.unconfirmed.since) <= listingDelay {
			return recheckDelay
		}
		// EC2 refuses to repeat the association, and listings are reliable by now: it is ours.
		return k.setFound(own, own.Association)
	}
	return k.confirm(ctx, own)
}

// confirm associates again the address that a listing shows on our interface. That changes nothing if it is there, and is certain
// where the listing may be older than a release. Until EC2 answers, the claim is unconfirmed: a release looks for it.
func (k *Keeper) confirm(ctx context.Context, own Address) time.Duration {
	k.unconfirmed = unconfirmed{allocation: own.Allocation}
	association, r, err := k.associate(ctx, own.Allocation)
	switch {
	case err == nil:
		return k.setFound(own, association)
	case r == resultTaken:
		k.unconfirmed.since = time.Now()
		return recheckDelay
	case r == resultDenied && !withoutCredentials(err):
		// A role that may list but not associate could use the address until now, and still can.
		return k.setFound(own, own.Association)
	case r == resultThrottled:
		return k.scan.associate.next()
	}
	k.setReason(explain("keep "+own.Allocation, err, opAssociate, own.Allocation, k.o.Interface).Error())
	k.abortManual(r)
	return k.scan.failed.next()
}

// setFound notes that an address was on our interface already, and returns how long to wait until it is verified.
func (k *Keeper) setFound(own Address, association string) time.Duration {
	k.setHeld(Found, own, association)
	return jitter(k.o.VerifyInterval)
}
