package relay

// slab holds the connections of a loop in pages, so that a connection has a small number instead of a pointer, costs no
// allocation once its page exists, and is found again from an event by number and generation.
type slab struct {
	pages []*[slabPage]conn
	free  []uint32
	used  int
}

const slabPage = 64 // connections a page

// get returns a fresh connection.
func (s *slab) get() *conn {
	if len(s.free) == 0 {
		s.grow()
	}
	slot := s.free[len(s.free)-1]
	s.free = s.free[:len(s.free)-1]
	s.used++
	c := s.at(slot)
	c.slot = slot
	return c
}

// grow adds a page of free slots.
func (s *slab) grow() {
	first := uint32(len(s.pages) * slabPage)
	s.pages = append(s.pages, new([slabPage]conn))
	for i := uint32(slabPage); i > 0; i-- {
		s.free = append(s.free, first+i-1)
	}
}

// at returns what is in a slot, which exists.
func (s *slab) at(slot uint32) *conn { return &s.pages[slot/slabPage][slot%slabPage] }

// lookup returns the connection that slot and generation name, or nil if it has ended since.
func (s *slab) lookup(slot, gen uint32) *conn {
	if int(slot) >= len(s.pages)*slabPage {
		return nil
	}
	if c := s.at(slot); c.gen == gen && c.phase != phaseFree {
		return c
	}
	return nil
}

// put takes a connection back. Every reference in it is dropped, and events for it will not be taken for its successor's.
func (s *slab) put(c *conn) {
	slot, gen := c.slot, c.gen+1
	*c = conn{}
	c.gen = gen
	s.free = append(s.free, slot)
	s.used--
}

// each calls f for every live connection. f may end the one it is given, and the attempts that are made for it.
func (s *slab) each(f func(*conn)) {
	for _, p := range s.pages {
		for i := range p {
			if p[i].phase != phaseFree {
				f(&p[i])
			}
		}
	}
}
