package upstream

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"sync"
	"time"
)

// An operator may take an address out by hand. It stays out until it is restored, or its time is over: no attempt that connects,
// no check that passes, no lack of other addresses and no reload brings it back, and also an address that leaves the DNS answer
// and comes back is out still. Nothing is sent there meanwhile, also if no other address is left.

// forGood is the end of a manual ejection without one.
const forGood = math.MaxInt64

// manual are the manual ejections of an upstream. A set shares them with the one that it replaces.
type manual struct {
	mu    sync.Mutex
	until map[netip.AddrPort]int64 // a stamp, or forGood
}

// of returns until when an address is out by hand; 0: it is not.
func (m *manual) of(ap netip.AddrPort) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.until[ap]
}

// all returns a copy.
func (m *manual) all() map[netip.AddrPort]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return maps.Clone(m.until)
}

// set notes until when an address is out; 0: it is not any more. Ejections that are over are forgotten.
func (m *manual) set(ap netip.AddrPort, until int64) {
	now := stamp(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	maps.DeleteFunc(m.until, func(_ netip.AddrPort, u int64) bool { return u <= now })
	if until == 0 {
		delete(m.until, ap)
		return
	}
	m.until[ap] = until
}

// ErrUnknownAddress is the error for an address that the set does not have.
var ErrUnknownAddress = errors.New("the upstream does not have this address")

// ErrNotEjected is the error of Restore for an address that no operator has ejected.
var ErrNotEjected = errors.New("the address is not ejected by an operator")

// Eject takes an address out by hand for d, or until Restore if d is 0. It returns how many other addresses are usable: with
// none, there is none left to connect to. The error is ErrUnknownAddress.
func (s *Set) Eject(ap netip.AddrPort, d time.Duration) (others int, err error) {
	now := time.Now()
	until, why := int64(forGood), "ejected by an operator, until it is restored"
	if d > 0 {
		until, why = stamp(now.Add(d)), fmt.Sprintf("ejected by an operator for %s", d)
	}
	s.mu.Lock()
	list := s.cur.Load().list
	i := indexOf(list, ap)
	if i < 0 {
		s.mu.Unlock()
		return 0, ErrUnknownAddress
	}
	a := list[i]
	s.manual.set(ap, until)
	a.manual.Store(until)
	s.endEjections(now) // another address that attempts have ejected is better than none
	c := s.change(a, StateManual, why, now)
	if d > 0 && !s.closed {
		time.AfterFunc(d, func() { s.manualOver(a, until) })
	}
	s.mu.Unlock()
	s.notify(c)
	return c.Others, nil
}

// Restore ends a manual ejection. The address starts slowly, and other reasons to leave it out stay. The error is
// ErrUnknownAddress or ErrNotEjected.
func (s *Set) Restore(ap netip.AddrPort) error {
	now := time.Now()
	s.mu.Lock()
	list := s.cur.Load().list
	i := indexOf(list, ap)
	if s.manual.of(ap) <= stamp(now) {
		s.mu.Unlock()
		if i < 0 {
			return ErrUnknownAddress
		}
		return ErrNotEjected
	}
	s.manual.set(ap, 0)
	if i < 0 { // it left the DNS answer meanwhile
		s.mu.Unlock()
		return nil
	}
	a := list[i]
	a.back.Store(stamp(now))
	a.manual.Store(0)
	c := s.change(a, StateUsable, "restored by an operator", now)
	s.mu.Unlock()
	s.notify(c)
	return nil
}

// manualOver reports that the time of a manual ejection is over, unless it was changed meanwhile.
func (s *Set) manualOver(a *Address, until int64) {
	s.mu.Lock()
	if !a.manual.CompareAndSwap(until, 0) {
		s.mu.Unlock()
		return
	}
	now := time.Now()
	a.back.Store(stamp(now))
	c := s.change(a, StateUsable, "its ejection by an operator is over", now)
	s.mu.Unlock()
	s.notify(c)
}

// outByHand is Manual with a stamp.
func (r *record) outByHand(now int64) bool { return now < r.manual.Load() }

// Manual reports whether the address is out by hand, and until when; the zero time: until it is restored.
func (r *record) Manual(now time.Time) (out bool, until time.Time) {
	switch u := r.manual.Load(); {
	case u == forGood:
		return true, time.Time{}
	case stamp(now) < u:
		return true, stampedAt(u, now)
	}
	return false, time.Time{}
}
