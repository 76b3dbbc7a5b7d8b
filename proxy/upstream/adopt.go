package upstream

import (
	"net/netip"
	"slices"
	"time"
)

// Adopt returns the address of a connection of another process, and counts it as in use until Release if inUse. One that is not
// of the set counts as removed, unless there was no answer yet that might have it.
func (s *Set) Adopt(ap netip.AddrPort, inUse bool) *Address {
	s.mu.Lock()
	defer s.mu.Unlock()
	a := at(ap, s.cur.Load().list, s.gone)
	if a == nil {
		a = s.newAddress(ap)
		s.gone = append(s.gone, a)
	}
	if inUse {
		a.active.Add(1)
	}
	if slices.Contains(s.gone, a) && len(s.cur.Load().list) > 0 {
		s.closeLater(a)
	}
	return a
}

// Rejoin returns a usable address of the set and counts it as in use until Release; nil if ap is none.
func (s *Set) Rejoin(ap netip.AddrPort) *Address {
	a := at(ap, s.cur.Load().list)
	if a == nil || !a.Usable(time.Now()) {
		return nil
	}
	a.active.Add(1)
	return a
}

// at returns the address in one of the lists; nil if none has it.
func at(ap netip.AddrPort, lists ...[]*Address) *Address {
	for _, list := range lists {
		if i := indexOf(list, ap); i >= 0 {
			return list[i]
		}
	}
	return nil
}
