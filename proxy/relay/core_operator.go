package relay

// endAll ends every connection.
func (l *core) endAll(reason Reason) {
	l.conns.each(func(c *conn) {
		if c.hasClient() {
			l.finish(c, reason)
		}
	})
}

// endWhere ends the connections for which match returns true, and returns how many. Those that are ending already are left alone.
func (l *core) endWhere(match func(*Flow) bool, reason Reason) (n int) {
	l.conns.each(func(c *conn) {
		switch {
		case c.pooled || c.phase == phaseLingering || !match(&c.flow):
		case c.racer:
			l.besideFailed(c, reason)
		default:
			l.finish(c, reason)
			n++
		}
	})
	return n
}

// show gives f the summary of each connection as of now.
func (l *core) show(f func(*Summary)) {
	l.conns.each(func(c *conn) {
		if c.hasClient() {
			s := c.summary(l, None)
			f(&s)
		}
	})
}

// endOne ends the connection with an id, also one that is ending already.
func (l *core) endOne(id uint64, reason Reason) bool {
	for _, p := range l.conns.pages {
		for i := range p {
			if c := &p[i]; c.phase != phaseFree && c.hasClient() && c.flow.ID == id {
				l.finish(c, reason)
				return true
			}
		}
	}
	return false
}
