package relay

// dial tries endpoints as the policy names them until one is being connected to, or there is none left.
func (l *core) dial(c *conn) {
	c.phase = phaseDialing
	for {
		ep, r := l.opts.Handler.Dial(&c.flow)
		if ep == nil {
			if r == None {
				r = Internal
			}
			l.finish(c, r)
			return
		}
		c.flow.Endpoint = ep
		c.flow.Attempts++
		if w := l.warmFor(c); w != nil {
			l.adopt(c, w)
			return
		}
		c.began = l.now
		c.expires = l.now + int64(ep.timeout())
		if r = l.io.connect(c); r == None {
			l.timers.set(c.slot, c.firstLook())
			return
		}
		l.attemptFailed(c, r)
	}
}

// attemptFailed closes the socket of an attempt and tells the policy why it failed.
func (l *core) attemptFailed(c *conn, r Reason) {
	l.io.hangUp(c, upstream, true)
	c.flow.Failure = r
	l.opts.Handler.Dialed(&c.flow, r, nanos(l.now-c.began))
}

// dialFailed ends an attempt and begins the next.
func (l *core) dialFailed(c *conn, r Reason) {
	if c.pooled {
		l.warmFailed(c, r)
		return
	}
	if c.racer {
		l.besideFailed(c, r)
		return
	}
	l.attemptFailed(c, r)
	l.raceOn(c)
}

// connected ends the dialing; the bytes may flow. A timer that fires before the connection has settled stays where it is,
// and is set anew then: most connections end before. After it the connection gets what only long ones need.
func (l *core) connected(c *conn) {
	if c.pooled {
		l.warmOpened(c)
		return
	}
	if c.racer {
		l.wonRace(c)
		return
	}
	l.endBeside(c, func(begun int64) Reason {
		if begun < c.began {
			return Outpaced
		}
		return Superseded
	})
	c.phase = phaseRelaying
	c.took = max(l.now-c.began, 1)
	c.active = l.now
	c.ends[upstream].wr = true
	fires := c.firstLook()
	if at := l.now + int64(min(l.opts.IdleTimeout, l.opts.HalfCloseTimeout, settled, nanos(l.debtPeriod()))); at < fires || fires <= l.now {
		l.timers.set(c.slot, at)
	}
	c.began = 0
	l.opts.Handler.Dialed(&c.flow, None, nanos(c.took))
	if f := c.flow.Endpoint.Header; f != nil {
		b := f(&c.flow, l.io.localAddr(c.ends[client].fd), l.scratch[:0])
		if len(b) > 0 && !l.io.greet(c, b) {
			l.finish(c, Internal)
			return
		}
	}
	l.io.start(c)
}

// dialBeside begins an attempt beside those under way, at the endpoint that the policy names. It reports whether it did, and
// whether c is still dialing: a connection of a pool may have served it, and c has gone on, or ended.
func (l *core) dialBeside(c *conn) (begun, dialing bool) {
	for {
		own := c.flow.Endpoint
		c.flow.Pending = uint8(c.pending())
		ep, _ := l.opts.Handler.Dial(&c.flow)
		c.flow.Pending = 0
		if ep == nil {
			return false, true
		}
		c.flow.Attempts++
		c.flow.Endpoint = ep
		if w := l.warmFor(c); w != nil {
			won := c.flow.Endpoint
			c.flow.Endpoint = own
			l.endAttempts(c, l.now, Superseded)
			c.flow.Endpoint = won
			l.adopt(c, w)
			return false, false
		}
		c.flow.Endpoint = own
		if l.attemptBeside(c, ep) {
			return true, true
		}
	}
}

// adopt gives c the upstream's connection of w, which ends, and begins to relay.
func (l *core) adopt(c, w *conn) {
	p, from := w.pool(), &w.ends[upstream]
	l.unpool(w, LeftUsed)
	to := &c.ends[upstream]
	*to = end{fd: from.fd, rd: from.rd, hup: from.hup, reset: from.reset, urgent: from.urgent, tag: to.tag + 1}
	from.fd = -1
	l.discard(w, false)
	c.began, c.expires = l.now, l.now
	if !l.io.adopted(c) {
		l.dialFailed(c, Internal)
		return
	}
	c.flow.Warm = true
	c.proof = unproved
	l.connected(c)
	l.fill(p)
}

// besideFailed ends an attempt that was made beside others.
func (l *core) besideFailed(a *conn, r Reason) {
	c := a.race.owner
	l.leaveRace(a)
	l.report(c, a.flow.Endpoint, r, a.began)
	l.discard(a, true)
	c.flow.Failure = r
	l.raceOn(c)
}

// raceOn goes on after an attempt failed: the next one begins at once, also if others are under way.
func (l *core) raceOn(c *conn) {
	if c.pending() == 0 {
		c.race = nil
		l.dial(c)
		return
	}
	own := c.ends[upstream].fd >= 0
	if !own {
		c.flow.Endpoint = c.race.beside[0].flow.Endpoint
	}
	if _, dialing := l.dialBeside(c); dialing && !own {
		l.timers.clear(c.slot) // those that are under way have timers of their own
	}
}

// wonRace gives a client the socket of an attempt that connected first, and begins to relay.
func (l *core) wonRace(a *conn) {
	c := a.race.owner
	l.leaveRace(a)
	l.endAttempts(c, a.began, Superseded)
	from, to := &a.ends[upstream], &c.ends[upstream]
	*to = end{fd: from.fd, rd: from.rd, wr: from.wr, hup: from.hup, reset: from.reset, urgent: from.urgent, tag: to.tag + 1}
	c.flow.Endpoint, c.began, c.expires = a.flow.Endpoint, a.began, l.now
	from.fd = -1
	l.discard(a, false)
	if !l.io.adopted(c) {
		l.dialFailed(c, Internal)
		return
	}
	l.connected(c)
}
