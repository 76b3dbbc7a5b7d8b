package eip

import (
	"errors"
	"slices"
	"time"

	"go.uber.org/zap"
)

// Status is the state of a Keeper at one moment.
type Status struct {
	Wanted   bool      `json:"wanted"`
	Hold     *Hold     `json:"hold,omitempty"`    // nil: none is held
	Reason   string    `json:"reason,omitempty"`  // why none is held though one is wanted, or why the last look failed
	Verified time.Time `json:"verified,omitzero"` // when EC2 last said that it is ours
	Pool     []Address `json:"pool,omitempty"`    // as last listed, which is when a claim was made
	PoolAt   time.Time `json:"pool_at,omitzero"`
}

// Status returns the present state. The caller owns it.
func (k *Keeper) Status() Status {
	k.mu.Lock()
	defer k.mu.Unlock()
	s := k.state
	s.Pool = slices.Clone(s.Pool)
	if s.Hold != nil {
		h := *s.Hold
		s.Hold = &h
	}
	return s
}

// Held returns the address that is held, if one is.
func (k *Keeper) Held() (Hold, bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.state.Hold == nil {
		return Hold{}, false
	}
	return *k.state.Hold, true
}

// Check returns nil while an address is held or none is required, else why there is none. It does not block: it is a
// condition of readiness.
func (k *Keeper) Check() error {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.state.Hold != nil || !k.o.Required:
		return nil
	case !k.state.Wanted:
		return errors.New("no address is wanted yet")
	case k.state.Reason == "":
		return errors.New("no address is held yet")
	}
	return errors.New(k.state.Reason)
}

// Want says whether an address is to be held. Run then claims one, or gives it back as the release policy says. It does
// not wait for that.
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

func (k *Keeper) wanted() bool {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.state.Wanted
}

// gain notes that an address is ours, in place of the one before, and tells it.
func (k *Keeper) gain(kind EventKind, a Address, association string) {
	hold := Hold{Public: a.Public, Allocation: a.Allocation, Association: association, Since: time.Now()}
	k.mu.Lock()
	k.state.Hold, k.state.Reason, k.state.Verified = &hold, "", hold.Since
	k.mu.Unlock()
	k.doubt, k.absent = doubt{}, 0
	k.walk = newWalk()
	k.stats.changes.Add(1)
	k.log.Info("eip "+string(kind), hold.fields()...)
	k.o.OnEvent(Event{kind, hold})
}

// drop notes that the address is ours no more, and tells it.
func (k *Keeper) drop(kind EventKind, hold Hold, why string) {
	k.mu.Lock()
	k.state.Hold, k.state.Reason = nil, why
	k.mu.Unlock()
	k.absent = 0
	k.stats.changes.Add(1)
	if kind == Lost {
		k.log.Warn("eip lost", append(hold.fields(), zap.String("why", why))...)
	} else {
		k.log.Info("eip "+string(kind), hold.fields()...)
	}
	k.o.OnEvent(Event{kind, hold})
}

func (h Hold) fields() []zap.Field {
	return []zap.Field{zap.Stringer("address", h.Public), zap.String("allocation", h.Allocation), zap.String("association", h.Association)}
}

// because notes why there is no address, or why the last look failed. A new reason is logged as a warning.
func (k *Keeper) because(why string) {
	k.mu.Lock()
	said := k.state.Reason == why
	k.state.Reason = why
	k.mu.Unlock()
	if said {
		k.log.Debug("eip still not settled", zap.String("why", why))
		return
	}
	k.log.Warn("eip not settled", zap.String("why", why))
}

func (k *Keeper) showPool(pool []Address) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.state.Pool, k.state.PoolAt = pool, time.Now()
}
