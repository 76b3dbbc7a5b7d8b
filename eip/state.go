package eip

import (
	"time"

	"go.uber.org/zap"
)

// Want says whether an address is to be held. Run then claims one, or releases it as the release policy says. Want returns at
// once.
func (k *Keeper) Want(want bool) {
	k.mu.Lock()
	changed := k.state.Wanted != want
	k.state.Wanted = want
	k.mu.Unlock()
	if !changed {
		return // waking Run up would cut its backoff short
	}
	select {
	case k.wake <- struct{}{}:
	default:
	}
}

// wanted reports whether the keeper is to hold an address.
func (k *Keeper) wanted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state.Wanted
}

// setHeld notes that an address is ours, in place of the one before, and calls OnEvent.
func (k *Keeper) setHeld(kind EventKind, a Address, association string) {
	hold := Hold{Public: a.Public, Allocation: a.Allocation, Association: association, Since: time.Now()}
	k.mu.Lock()
	k.state.Hold, k.state.Reason, k.state.Verified = &hold, "", hold.Since
	k.mu.Unlock()
	k.unconfirmed, k.misses = unconfirmed{}, 0
	k.scan = newScan()
	k.stats.changes.Add(1)
	k.log.Info("eip "+string(kind), hold.fields()...)
	k.o.OnEvent(Event{kind, hold})
}

// setNotHeld notes that the address is no longer ours, for the reason that Status shows, and calls OnEvent.
func (k *Keeper) setNotHeld(kind EventKind, hold Hold, reason string) {
	k.mu.Lock()
	k.state.Hold, k.state.Reason = nil, reason
	k.mu.Unlock()
	k.misses = 0
	k.stats.changes.Add(1)
	if kind == Lost {
		k.log.Warn("eip lost", append(hold.fields(), zap.String("why", reason))...)
	} else {
		k.log.Info("eip "+string(kind), hold.fields()...)
	}
	k.o.OnEvent(Event{kind, hold})
}

// fields are the log fields of an address.
func (h Hold) fields() []zap.Field {
	return []zap.Field{zap.Stringer("address", h.Public), zap.String("allocation", h.Allocation), zap.String("association", h.Association)}
}

// setReason notes why there is no address, or why the last verification failed. A new reason is logged as a warning, the same one
// again at level debug.
func (k *Keeper) setReason(reason string) {
	k.mu.Lock()
	same := k.state.Reason == reason
	k.state.Reason = reason
	k.mu.Unlock()
	if same {
		k.log.Debug("eip still not settled", zap.String("why", reason))
		return
	}
	k.log.Warn("eip not settled", zap.String("why", reason))
}

// setPool notes the addresses of the pool as listed now. Status shows them.
func (k *Keeper) setPool(pool []Address) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Pool, k.state.PoolAt = pool, time.Now()
}

// setVerified notes that EC2 showed the held address on our interface. Its association has another id if somebody took the
// address away and gave it back. For listingDelay after the claim, the listing may show the id of an earlier association.
func (k *Keeper) setVerified(hold Hold, association string) {
	k.misses = 0
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Verified, k.state.Reason = time.Now(), ""
	if time.Since(hold.Since) > listingDelay {
		k.state.Hold.Association = association
	}
}

// verifySoon makes the next verification due at once: a disassociation without an answer may have removed the address.
func (k *Keeper) verifySoon() {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Verified = time.Time{}
}
