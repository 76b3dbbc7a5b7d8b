package eip

import (
	"context"
	"fmt"
	"net/netip"
	"time"
)

// verify looks whether the address is still ours, and returns when to look again.
func (k *Keeper) verify(ctx context.Context, hold Hold) time.Duration {
	if early := k.o.VerifyInterval*9/10 - time.Since(k.Status().Verified); k.absent == 0 && early > 0 {
		return early // woken up by Want
	}
	all, r, err := k.describe(ctx, filter("network-interface-id", k.o.Interface))
	if err != nil {
		return k.unverified(ctx, hold, r, err)
	}
	own, ok := k.own(all)
	if ok && own.Allocation == hold.Allocation {
		k.verified(hold, own.Association)
		return around(k.o.VerifyInterval)
	}
	// A listing may be old, and what it does not show be there. Right after the association it is not believed at all.
	k.absent++
	if k.absent < 2 || time.Since(hold.Since) < settle {
		return time.Second
	}
	k.drop(Lost, hold, lostTo(hold, own, ok))
	if ok {
		return k.keep(ctx, own) // somebody gave our interface another one
	}
	return k.claim(ctx)
}

// doubted has the next verification come at once: the address may be gone by our own doing.
func (k *Keeper) doubted() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Verified = time.Time{}
}

func lostTo(hold Hold, own Address, ok bool) string {
	why := fmt.Sprintf("%s (%s) is no longer on our interface", hold.Public, hold.Allocation)
	if ok {
		why += fmt.Sprintf(", which has %s (%s)", own.Public, own.Allocation)
	}
	return why
}

// verified notes that it is ours. The association is another one where somebody took it away and gave it back.
func (k *Keeper) verified(hold Hold, association string) {
	k.absent = 0
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Verified, k.state.Reason = time.Now(), ""
	if time.Since(hold.Since) > settle {
		k.state.Hold.Association = association
	}
}

// unverified is what follows a look that failed. That EC2 does not answer is no reason to end the service; that the
// instance metadata shows another address, or none, is, once it has had time to follow.
func (k *Keeper) unverified(ctx context.Context, hold Hold, r result, err error) time.Duration {
	k.because(explain("verify "+hold.Allocation, err, opDescribe, "", "").Error())
	if r == resultThrottled || time.Since(hold.Since) < time.Minute || k.o.PublicIPv4 == nil {
		return around(k.o.VerifyInterval)
	}
	public, metadataErr := k.o.PublicIPv4(ctx)
	if metadataErr != nil || public == hold.Public {
		k.absent = 0
		return around(k.o.VerifyInterval)
	}
	if k.absent++; k.absent < 2 {
		return time.Second
	}
	k.drop(Lost, hold, fmt.Sprintf("%s (%s) is lost: EC2 cannot be asked, and the instance metadata shows %s", hold.Public, hold.Allocation, shown(public)))
	return 0
}

func shown(public netip.Addr) string {
	if !public.IsValid() {
		return "none"
	}
	return public.String()
}
