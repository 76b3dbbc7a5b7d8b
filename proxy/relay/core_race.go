package relay

import "slices"

// Staggered connects (RFC 8305, section 5): while an attempt does not answer, the next address is tried beside it. The first
// attempt has the connection's own slot. Each further one is a connection without a client in a slot of its own, which
// the epoll instance watches on both Linux engines, as it does those of a pool. The first to connect gives the client its
// socket, and the others are closed. A client whose first attempt connects in time has no race.

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

// leaveRace takes an attempt out of its race.
func (l *core) leaveRace(a *conn) {
	r := a.race
	i := slices.Index(r.beside, a)
	r.beside = slices.Delete(r.beside, i, i+1)
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
