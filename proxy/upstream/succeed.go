package upstream

import "net/netip"

// find returns the address of that name, also one that left and is in use; nil if there is none.
func (s *Set) find(ap netip.AddrPort) *Address {
	s.mu.Lock()
	defer s.mu.Unlock()
	return at(ap, s.cur.Load().list, s.gone)
}

// Succeed puts the set in the place of Options.Before, which it closes. Until then Before checks the addresses that both have;
// from now on this set does. Addresses in use that only Before knows count as removed ones of this set, where sameNames says
// that both sets have the same source of addresses; otherwise connections to them are left alone. Without a Before it does nothing.
func (s *Set) Succeed(sameNames bool) {
	s.mu.Lock()
	before := s.before
	s.before = nil
	s.mu.Unlock()
	if before == nil {
		return
	}
	s.manual.serve(s)
	before.Close()
	before.mu.Lock()
	had := append(before.gone, before.cur.Load().list...)
	before.gone = nil
	before.mu.Unlock()

	s.mu.Lock()
	defer s.mu.Unlock()
	s.ownInherited()
	if !sameNames {
		return
	}
	for _, a := range had {
		if indexOf(s.cur.Load().list, a.Addr) < 0 && indexOf(s.gone, a.Addr) < 0 {
			s.left(a)
		}
	}
}

// ownInherited begins to check the addresses that Before has checked until now. A standing that this set's options would never
// end is lifted. mu is held.
func (s *Set) ownInherited() {
	for _, a := range s.cur.Load().list {
		if !a.inherited {
			continue
		}
		a.inherited = false
		if s.opts.Check.Probe == nil {
			a.down.Store(nil) // nothing is there that could find out that it works again
		}
		if s.opts.Outlier.Failures <= 0 {
			a.ejections.Store(0)
			a.ejected.Store(0)
		}
		s.joined(a)
	}
}
