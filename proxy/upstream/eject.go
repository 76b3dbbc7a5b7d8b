package upstream

import (
	"fmt"
	"slices"
	"time"
)

// maxEjections bounds the growth of ejections in a row: the tenth lasts ten times Outlier.Ejection, as do those after it.
const maxEjections = 10

// Connected reports that an attempt at an address succeeded. It ends an ejection.
func (s *Set) Connected(a *Address) {
	if a.slow.Load() > 0 {
		a.slow.Store(0)
	}
	if a.failures.Load() == 0 {
		return
	}
	a.failures.Store(0)
	if a.ejected.Load() == 0 {
		return
	}
	s.mu.Lock()
	now := time.Now()
	a.ejections.Store(0)
	early := stamp(now) < a.ejected.Load()
	var c Change
	if early {
		a.back.Store(stamp(now))
		a.ejected.Store(0)
		c = s.change(a, StateUsable, "an attempt connected", now)
	}
	s.mu.Unlock()
	if early {
		s.notify(c)
	}
}

// Outpaced reports that an attempt had no answer yet when one at another address, begun later for the same client, connected.
// The address is avoided for a while.
func (s *Set) Outpaced(a *Address, now time.Time) { a.outpaced(now) }

// Failed reports that an attempt failed for a reason that lies with the address. It ejects the address if Outlier says so.
func (s *Set) Failed(a *Address, now time.Time) {
	n := a.fail(now)
	if o := s.opts.Outlier; o.Failures <= 0 || n < uint32(o.Failures) || !a.Usable(now) {
		return
	}
	s.mu.Lock()
	ejected := s.mayEject(a, stamp(now))
	var c Change
	if ejected {
		times := min(a.ejections.Load()+1, maxEjections)
		a.ejections.Store(times)
		d := s.opts.Outlier.Ejection * time.Duration(times)
		a.ejected.Store(stamp(now.Add(d)))
		c = s.change(a, StateEjected, fmt.Sprintf("%d attempts failed in a row, for %s", n, d), now)
	}
	s.mu.Unlock()
	if ejected {
		s.notify(c)
	}
}

// mayEject reports whether an address may be ejected: another one must be usable, and not too many of the primaries, or of
// the backups, be out. The caller holds s.mu.
func (s *Set) mayEject(a *Address, now int64) bool {
	snap := s.cur.Load()
	i := slices.Index(snap.list, a)
	if i < 0 || !a.usable(now) || s.opts.Outlier.MaxEjectedPercent <= 0 {
		return false
	}
	others := slices.ContainsFunc(snap.list, func(b *Address) bool { return b != a && b.usable(now) })
	kind := snap.list[:snap.primaries]
	if i >= snap.primaries {
		kind = snap.list[snap.primaries:]
	}
	out := 1
	for _, b := range kind {
		if now < b.ejected.Load() {
			out++
		}
	}
	return others && out <= max(1, len(kind)*s.opts.Outlier.MaxEjectedPercent/100)
}

// endEjections ends all ejections once no address is usable: an ejection is worth it only while there is another address.
// The caller holds s.mu.
func (s *Set) endEjections(now time.Time) {
	list := s.cur.Load().list
	if slices.ContainsFunc(list, func(a *Address) bool { return a.Usable(now) }) {
		return
	}
	for _, a := range list { // also of those whose check failed: it may pass again before the others are back
		a.ejected.Store(0)
	}
}

// change describes a change of an address's state as of now.
func (s *Set) change(a *Address, state State, why string, now time.Time) Change {
	c := Change{Addr: a.Addr, State: state, Why: why}
	for _, b := range s.cur.Load().list {
		if b != a && b.Usable(now) {
			c.Others++
		}
	}
	return c
}

// notify calls OnChange.
func (s *Set) notify(c Change) {
	if s.opts.OnChange != nil {
		s.opts.OnChange(c)
	}
}
