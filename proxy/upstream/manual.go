package upstream

import (
	"errors"
	"fmt"
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
	mu  sync.Mutex
	out map[netip.AddrPort]ejection
	set *Set // the one that serves, or is to be the first to serve
}

// ejection is a manual one.
type ejection struct {
	until int64       // a stamp, or forGood
	end   *time.Timer // ends it; nil: it is for good, or the process before has begun it and its address is of no set yet
}

// of returns until when an address is out by hand; 0: it is not.
func (m *manual) of(ap netip.AddrPort) int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.out[ap].until
}

// all returns until when each address is out.
func (m *manual) all() map[netip.AddrPort]int64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	all := make(map[netip.AddrPort]int64, len(m.out))
	for ap, e := range m.out {
		all[ap] = e.until
	}
	return all
}

// note notes until when an address is out; 0: it is not any more. Nothing ends it yet. Ejections that are over and that nothing ends are forgotten, and so is
// the one that the address had before.
func (m *manual) note(ap netip.AddrPort, until int64) {
	now := stamp(time.Now())
	m.mu.Lock()
	defer m.mu.Unlock()
	for old, e := range m.out {
		if old == ap || e.end == nil && e.until <= now {
			e.stop()
			delete(m.out, old)
		}
	}
	if until != 0 {
		m.out[ap] = ejection{until: until}
	}
}

// recall notes an ejection that the process before has begun, also one whose time is over. It ends from when its address joins a set.
func (m *manual) recall(ap netip.AddrPort, until int64) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.out[ap] = ejection{until: until}
}

// stop stops the timer.
func (e ejection) stop() {
	if e.end != nil {
		e.end.Stop()
	}
}

// endInTime has an ejection with an end end then, in the set that serves then. One that is over, since it came from the process before,
// ends at once. It does nothing for an ejection that has its timer, and for an address that is not out.
func (m *manual) endInTime(ap netip.AddrPort) {
	m.mu.Lock()
	defer m.mu.Unlock()
	e, out := m.out[ap]
	if !out || e.until == forGood || e.end != nil {
		return
	}
	e.end = time.AfterFunc(time.Duration(e.until-stamp(time.Now())), func() { m.serving().manualOver(ap, e.until) })
	m.out[ap] = e
}

// serving returns the set that serves.
func (m *manual) serving() *Set {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.set
}

// serve notes that s serves from now on.
func (m *manual) serve(s *Set) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.set = s
}

// close stops the timers if s serves: another set has them otherwise.
func (m *manual) close(s *Set) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.set != s {
		return
	}
	for _, e := range m.out {
		e.stop()
	}
}

// forget forgets an ejection, and reports whether it was there still.
func (m *manual) forget(ap netip.AddrPort, until int64) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.out[ap].until != until {
		return false
	}
	delete(m.out, ap)
	return true
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
	s.manual.note(ap, until)
	a.manual.Store(until)
	s.endEjections(now) // another address that attempts have ejected is better than none
	c := s.change(a, StateManual, why, now)
	if !s.closed {
		s.manual.endInTime(ap)
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
	s.manual.note(ap, 0)
	if i < 0 { // it left the DNS answer meanwhile, and comes back with the same record if it is in use
		if a := at(ap, s.gone); a != nil {
			a.manual.Store(0)
		}
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

// manualOver ends a manual ejection whose time is over, unless it was changed meanwhile. The address starts slowly.
func (s *Set) manualOver(ap netip.AddrPort, until int64) {
	s.mu.Lock()
	list := s.cur.Load().list
	a := at(ap, list, s.gone)
	if !s.manual.forget(ap, until) || a == nil {
		s.mu.Unlock()
		return
	}
	now := time.Now()
	a.back.Store(stamp(now))
	a.manual.Store(0)
	c := s.change(a, StateUsable, "its ejection by an operator is over", now)
	s.mu.Unlock()
	if indexOf(list, ap) >= 0 { // not one that left and is in use still
		s.notify(c)
	}
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
