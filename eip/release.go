package eip

import (
	"cmp"
	"context"
	"fmt"
	"time"
)

const (
	releasePatience = 2 * time.Second  // how long a release waits for a call that is under way
	releaseTimeout  = 30 * time.Second // bounds all attempts to release an address
)

// Release releases the address, whatever was wanted before, and returns once it is gone. Nothing is claimed after it until Want
// is called. With ReleaseNever, or without an address, it does nothing. It gives up when ctx ends, after 30 s at the latest; the
// error names the address that is left.
func (k *Keeper) Release(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, releaseTimeout)
	defer cancel()
	k.Want(false)
	if !k.lockCallsForRelease(ctx) {
		return fmt.Errorf("release the address: %w while another call of EC2 was under way", context.Cause(ctx))
	}
	defer k.unlockCalls()
	k.callLimit = releaseCallTimeout
	defer func() { k.callLimit = callTimeout }()
	if k.o.Release != ReleaseNever && !k.listedOnce {
		k.findLeftover(ctx)
	}
	return k.release(ctx)
}

// findLeftover looks, once, for an address that an earlier process left on our interface before this one listed any: after a
// crash, on an instance that is then stopped or on standby. An address of the pool is ours to release. A failed listing is not an
// error: nothing is known to be left then.
func (k *Keeper) findLeftover(ctx context.Context) {
	all, _, err := k.describe(ctx, filter("network-interface-id", k.o.Interface))
	if err != nil {
		k.setReason(explain("look for an address of an earlier process", err, opDescribe, "", "").Error())
		return
	}
	k.listedOnce = true
	if own, ok := k.ownAddress(all); ok && k.o.Selector.Matches(own) {
		k.unconfirmed = unconfirmed{allocation: own.Allocation}
	}
}

// release ends the association of the held address, or of an unconfirmed claim, and retries until ctx ends. The caller holds the
// calls lock.
func (k *Keeper) release(ctx context.Context) error {
	if k.o.Release == ReleaseNever {
		return nil
	}
	hold, held := k.Held()
	if !held {
		return k.releaseUnconfirmed(ctx)
	}
	if err := k.endAssociation(ctx, hold); err != nil {
		return fmt.Errorf("release %s: %w", hold.Public, err)
	}
	return nil
}

// endAssociation disassociates by the association id of hold, and retries until ctx ends. It is no error if the association is
// gone already, by our own call without an answer (the address counts as released) or by somebody else's (it counts as lost).
func (k *Keeper) endAssociation(ctx context.Context, hold Hold) error {
	pause := backoff{first: 500 * time.Millisecond, limit: 5 * time.Second, factor: 2}
	kind := Lost
	for {
		r, err := k.disassociate(ctx, hold.Association)
		switch r {
		case resultOK:
			kind = Released
			fallthrough
		case resultGone:
			k.ended = hold.Association
			k.setNotHeld(kind, hold, "")
			return nil
		case resultDenied, resultError:
			if !isTransient(err) {
				return explain("disassociate "+hold.Allocation, err, opDisassociate, hold.Allocation, k.o.Interface)
			}
		case resultUnreachable:
			kind = Released // if the association is gone next time, this call ended it
			k.verifySoon()
		}
		if !sleep(ctx, pause.next()) {
			return fmt.Errorf("%w; it was not released in time and is still associated with %s",
				explain("disassociate "+hold.Allocation, err, opDisassociate, hold.Allocation, k.o.Interface), k.o.Interface)
		}
	}
}

// releaseUnconfirmed ends the association of an unconfirmed claim, if EC2 shows one within listingDelay. If it is not known which
// address was claimed, any address of the pool on our interface is taken for it.
func (k *Keeper) releaseUnconfirmed(ctx context.Context) error {
	if k.unconfirmed == (unconfirmed{}) {
		return nil
	}
	allocation := k.unconfirmed.allocation
	for started := time.Now(); ; {
		all, _, err := k.describe(ctx, filter("network-interface-id", k.o.Interface))
		own, ok := k.ownAddress(all)
		switch {
		case ok && (own.Allocation == allocation || allocation == "" && k.o.Selector.Matches(own)):
			k.unconfirmed = unconfirmed{allocation: own.Allocation} // until it is gone
			err := k.endAssociation(ctx, Hold{Public: own.Public, Allocation: own.Allocation, Association: own.Association})
			if err == nil {
				k.unconfirmed = unconfirmed{}
			}
			return err
		case err == nil && time.Since(started) > listingDelay:
			k.unconfirmed = unconfirmed{}
			return nil
		}
		if !sleep(ctx, recheckDelay) {
			return fmt.Errorf("release %s: it is not known whether it is on %s: %w", cmp.Or(allocation, "the address"), k.o.Interface, context.Cause(ctx))
		}
	}
}

// sleep waits for d. It returns false if ctx ended first.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
