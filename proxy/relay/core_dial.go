package relay

import "net/netip"

// admit takes over an accepted socket. It returns nil if the client was refused; fd is closed then.
func (l *core) admit(fd int32, ln *Listener, from netip.AddrPort) *conn {
	c := l.conns.get()
	c.flow = Flow{ID: l.shared.nextID.Add(1), Loop: l.id, Listener: ln, Client: from}
	c.ends[client] = end{fd: fd, wr: true}
	c.ends[upstream].fd = -1
	c.phase = phaseDialing
	c.opened, c.active = l.now, l.now
	if n := l.shared.active.Add(1); l.opts.MaxConnections > 0 && n > int64(l.opts.MaxConnections) {
		l.finish(c, LimitConnections)
		return nil
	}
	if r := l.opts.Handler.Accepted(&c.flow); r != None {
		l.finish(c, r)
		return nil
	}
	return c
}

// begin sends an admitted connection on its way.
func (l *core) begin(c *conn) {
	if c.flow.Preface {
		c.phase = phasePreface
		c.closed, c.expired = Probe, c.flow.silent()
		c.expires = l.now + int64(l.opts.PrefaceTimeout)
		l.timers.set(c.slot, c.expires)
		l.io.prefaced(c)
		return
	}
	l.dial(c)
}

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

// firstLook is when the timer of an attempt that has just begun is to fire: when the next address is to be tried beside it.
func (c *conn) firstLook() int64 {
	if d := c.flow.Endpoint.Stagger; d > 0 {
		return min(c.began+int64(d), c.expires)
	}
	return c.expires
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
