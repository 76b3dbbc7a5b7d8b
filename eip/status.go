package eip

import (
	"errors"
	"slices"
	"time"
)

// Status is the state of a Keeper at one moment.
type Status struct {
	Wanted   bool      `json:"wanted"`
	Hold     *Hold     `json:"hold,omitempty"`    // nil: none is held
	Reason   string    `json:"reason,omitempty"`  // why none is held although one is wanted, or why the last verification failed
	Verified time.Time `json:"verified,omitzero"` // when EC2 last confirmed that it is ours
	Pool     []Address `json:"pool,omitempty"`    // as listed for the last claim
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

// Check returns nil while an address is held or none is required, else an error that says why there is none. It does not block:
// it is a condition of readiness.
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
