package relay

// keep adds b to what the half from s holds for its destination.
func (l *core) keep(c *conn, s side, b []byte) {
	h := &c.halves[s]
	if h.state >= halfDead {
		return // nobody takes it
	}
	if s == upstream && c.began == 0 {
		l.answered(c)
	}
	old := h.hold
	if old == nil || old.to+len(b) > len(old.b) {
		var held []byte
		if old != nil {
			held = old.bytes()
		}
		h.hold = l.bufs.get(len(held) + len(b))
		h.hold.to = copy(h.hold.b, held)
		if old != nil {
			l.bufs.put(old)
		}
	}
	h.hold.to += copy(h.hold.b[h.hold.to:], b)
}

// answered notes the upstream's first byte.
func (l *core) answered(c *conn) {
	c.began = l.now
	switch c.proof {
	case unproved:
		if p := l.poolOf(c.flow.Endpoint.Warm); p != nil {
			l.good(p)
		}
		l.markProved(c)
	case disproved: // a send failed, but this came before
		l.giveUpReplacing(c)
	}
}
