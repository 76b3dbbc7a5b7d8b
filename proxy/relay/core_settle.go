package relay

// settle acts on the state of both halves after something moved. It reports whether the connection is still open.
func (l *core) settle(c *conn) bool {
	if c.proof == disproved && l.replace(c) {
		return false
	}
	switch c.ending() {
	case endNot:
		if c.abandoned() {
			l.timers.set(c.slot, l.now+int64(lingerStep))
		}
		return true
	case endResetClient:
		l.lingerAt(c, client)
	case endResetUpstream:
		l.lingerAt(c, upstream)
	default:
		l.finish(c, c.reason)
	}
	return false
}

// finishReset ends a connection of which one end was reset, if nothing is held for the other and its peer has acknowledged all it
// was sent. It reports whether it did; if not, the connection goes on to settle.
func (l *core) finishReset(c *conn) bool {
	if c.proof != proved {
		return false // another connection may take the place of the one that was reset
	}
	switch c.ending() {
	case endClose:
	case endResetClient:
		if !l.io.acked(c, client) {
			return false
		}
	case endResetUpstream:
		if !l.io.acked(c, upstream) {
			return false
		}
	default:
		return false
	}
	l.finish(c, c.reason)
	return true
}

// lingerAt resets the end s, but not before its peer has acknowledged what it was sent: a reset discards what is
// still on its way (tcp(7), SO_LINGER), and what was read before the other side's reset is to arrive.
func (l *core) lingerAt(c *conn, s side) {
	c.phase = phaseLingering
	c.linger = s
	if l.io.acked(c, s) {
		l.finish(c, c.reason)
		return
	}
	c.expires = l.now + int64(lingerMax)
	l.timers.set(c.slot, l.now+int64(lingerStep))
}

// expireAbandoned ends a connection whose client has reset it and whose upstream does not read, or has taken nothing for
// lingerMax. As long as the upstream reads, it gets what the client sent before: one that has acknowledged all it was sent is
// about to take more, and the event that says so may come in the next turn.
func (l *core) expireAbandoned(c *conn) {
	if c.ends[upstream].reset || l.io.windowShut(c, upstream) || l.now-c.active >= int64(lingerMax) {
		if c.failed && l.io.lost(c, client) {
			c.ends[client].lost = true
		}
		c.because(c.failureOf(client))
		l.finish(c, c.reason)
		return
	}
	l.timers.set(c.slot, l.now+int64(lingerStep))
}

// lingerOn ends a lingering connection whose peer has acknowledged everything, or had lingerMax to do so.
func (l *core) lingerOn(c *conn) {
	if l.now >= c.expires || l.io.acked(c, c.linger) {
		l.finish(c, c.reason)
		return
	}
	l.timers.set(c.slot, l.now+int64(lingerStep))
}
