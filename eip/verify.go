package eip

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// metadataDelay is how long after a claim the instance metadata may still show the address before it.
const metadataDelay = time.Minute

// verify checks that the address is still ours, and returns how long to wait until the next step.
func (k *Keeper) verify(ctx context.Context, hold Hold) time.Duration {
	if early := k.o.VerifyInterval*9/10 - time.Since(k.Status().Verified); k.misses == 0 && early > 0 {
		return early // Want has woken Run up
	}
	all, r, err := k.describe(ctx, filter("network-interface-id", k.o.Interface))
	if err != nil {
		return k.verifyByMetadata(ctx, hold, r, err)
	}
	own, ok := k.ownAddress(all)
	if ok && own.Allocation == hold.Allocation {
		k.setVerified(hold, own.Association)
		return jitter(k.o.VerifyInterval)
	}
	// A listing may be stale: the address may exist although it is not listed. So it takes two listings in a row, and right
	// after the association none is believed.
	k.misses++
	if k.misses < 2 || time.Since(hold.Since) < listingDelay {
		return time.Second
	}
	k.setNotHeld(Lost, hold, lostReason(hold, own, ok))
	if ok {
		return k.adopt(ctx, own) // somebody gave our interface another address
	}
	return k.claim(ctx)
}

// lostReason says that hold is gone and, if ok, that our interface has the address own instead.
func lostReason(hold Hold, own Address, ok bool) string {
	reason := fmt.Sprintf("%s (%s) is no longer on our interface", hold.Public, hold.Allocation)
	if ok {
		reason += fmt.Sprintf(", which has %s (%s)", own.Public, own.Allocation)
	}
	return reason
}

// verifyByMetadata follows a verification that failed with err, and returns how long to wait. That EC2 cannot be asked does not
// end the service. That the instance metadata shows another address, or none, twice in a row does, once the metadata have had
// time to follow the claim.
func (k *Keeper) verifyByMetadata(ctx context.Context, hold Hold, r result, err error) time.Duration {
	k.setReason(explain("verify "+hold.Allocation, err, opDescribe, "", "").Error())
	if r == resultThrottled || time.Since(hold.Since) < metadataDelay || k.o.PublicIPv4 == nil {
		return jitter(k.o.VerifyInterval)
	}
	public, metadataErr := k.o.PublicIPv4(ctx)
	if metadataErr != nil || public == hold.Public {
		k.misses = 0
		return jitter(k.o.VerifyInterval)
	}
	if k.misses++; k.misses < 2 {
		return time.Second
	}
	k.setNotHeld(Lost, hold, fmt.Sprintf("%s (%s) is lost: EC2 cannot be asked, and the instance metadata shows %s",
		hold.Public, hold.Allocation, addressOrNone(public)))
	return 0
}

// addressOrNone is the address for a message.
func addressOrNone(a netip.Addr) string {
	if !a.IsValid() {
		return "none"
	}
	return a.String()
}
