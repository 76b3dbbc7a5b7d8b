package relay

// expire acts on a timer that went off.
func (l *core) expire(slot uint32) {
	c := l.conns.at(slot)
	switch c.phase {
	case phasePreface:
		if !c.flow.Preface {
			l.dial(c) // Flow.Await is over
			return
		}
		l.finish(c, c.expired)
	case phaseDialing:
		if l.now < c.expires {
			l.overdue(c) // the timer of an attempt fires early only for this
			return
		}
		l.dialFailed(c, ConnectTimeout)
	case phaseLingering:
		l.lingerOn(c)
	case phaseRelaying:
		l.expireIdle(c)
	case phaseWarm:
		l.warmExpired(c)
	}
}

// expireIdle acts on the timer of a connection that is relayed: it has been open for a while, or idle for too long.
func (l *core) expireIdle(c *conn) {
	if !c.late && l.now >= c.opened+int64(settled) {
		c.late = true
		l.io.keepalive(c, upstream)
	}
	if c.abandoned() {
		l.expireAbandoned(c)
		return
	}
	if l.collectDebts(c) {
		return
	}
	again := l.io.attend(c)
	if c.phase != phaseRelaying {
		return
	}
	if again == 0 {
		again = l.debtPeriod()
	}
	limit, reason := l.opts.IdleTimeout, IdleTimeout
	if c.halfClosed() {
		limit, reason = l.opts.HalfCloseTimeout, HalfCloseTimeout
	}
	if at := c.active + int64(limit); l.now < at {
		l.timers.set(c.slot, c.nextLook(l.now, at, again))
		return
	}
	c.reason = reason // overrides the FIN or reset that began it: the timeout is what ended it
	l.finish(c, reason)
}

// nextLook returns when a relayed connection that may be idle until at is to be looked at again.
func (c *conn) nextLook(now, at, again int64) int64 {
	if again > 0 {
		at = min(at, now+again)
	}
	if !c.late {
		at = min(at, max(c.opened+int64(settled), now))
	}
	return at
}

// overdue begins another attempt beside one that has not answered within its stagger.
func (l *core) overdue(c *conn) {
	switch begun, open := l.dialBeside(c); {
	case begun:
		at := c.expires
		if d := c.race.beside[len(c.race.beside)-1].flow.Endpoint.Stagger; d > 0 {
			at = min(at, l.now+int64(d))
		}
		l.timers.set(c.slot, at)
	case open:
		l.timers.set(c.slot, c.expires)
	}
}
