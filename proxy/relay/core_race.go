package relay

import "slices"

// Staggered connects (RFC 8305, section 5): while an attempt does not answer, the next address is tried beside it. The first
// attempt has the connection's own slot. Each further one is a connection without a client in a slot of its own, which
// the epoll instance watches on both Linux engines, as it does those of a pool. The first to connect gives the client its
// socket, and the others are closed. A client whose first attempt connects in time has no race.

// race is what attempts beside each other share. It ends before the connection it belongs to does.
type race struct {
	owner  *conn
	beside []*conn // attempts under way beside the owner's own, the latest last
}

// pending returns how many attempts are under way.
func (c *conn) pending() (n int) {
	if c.race != nil {
		n = len(c.race.beside)
	}
	if c.ends[upstream].fd >= 0 {
		n++
	}
	return n
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

// attemptBeside begins to connect to ep. It returns false if that failed at once, which the policy was told then.
func (l *core) attemptBeside(c *conn, ep *Endpoint) bool {
	if c.race == nil {
		c.race = &race{owner: c}
	}
	a := l.conns.get()
	a.flow, a.race, a.racer = c.flow, c.race, true
	a.flow.Endpoint = ep
	a.phase, a.mode = phaseDialing, modeReady
	a.ends[client].fd, a.ends[upstream].fd = -1, -1
	a.began = l.now
	a.expires = l.now + int64(ep.timeout())
	if r := l.io.connect(a); r != None {
		l.discard(a, true)
		c.flow.Failure = r
		l.report(c, ep, r, l.now)
		return false
	}
	c.race.beside = append(c.race.beside, a)
	l.timers.set(a.slot, a.expires)
	return true
}

// report tells the policy how an attempt at ep for c ended, which began at begun.
func (l *core) report(c *conn, ep *Endpoint, r Reason, begun int64) {
	own := c.flow.Endpoint
	c.flow.Endpoint = ep
	l.opts.Handler.Dialed(&c.flow, r, nanos(l.now-begun))
	c.flow.Endpoint = own
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

// leaveRace takes an attempt out of its race.
func (l *core) leaveRace(a *conn) {
	r := a.race
	i := slices.Index(r.beside, a)
	r.beside = slices.Delete(r.beside, i, i+1)
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

// endAttempts closes what is under way for c. The policy gets Outpaced for those that began before the time won, and
// later for the others.
func (l *core) endAttempts(c *conn, won int64, later Reason) {
	lost := func(begun int64) Reason {
		if begun < won {
			return Outpaced
		}
		return later
	}
	if c.ends[upstream].fd >= 0 {
		l.report(c, c.flow.Endpoint, lost(c.began), c.began)
		l.io.hangUp(c, upstream, true)
	}
	l.endBeside(c, lost)
}

// endBeside closes the attempts beside that in c's own slot; how returns what the policy gets for one that began at begun.
func (l *core) endBeside(c *conn, how func(begun int64) Reason) {
	if c.race == nil {
		return
	}
	for _, a := range c.race.beside {
		l.report(c, a.flow.Endpoint, how(a.began), a.began)
		l.discard(a, true)
	}
	c.race = nil
}
