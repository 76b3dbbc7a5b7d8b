package relay

import "time"

const (
	lingerStep = 10 * time.Millisecond // how often a lingering end is asked whether it has acknowledged
	lingerMax  = 5 * time.Second       // and for how long at most
	quiet      = 1 * time.Second       // a connection on which nothing moved for so long is between two exchanges
	settled    = 5 * time.Second       // a connection this old is worth four more system calls for its keepalive
)

// finish ends a connection: the policy gets the summary, the sockets are closed, the slot is free.
func (l *core) finish(c *conn, reason Reason) {
	if c.phase == phaseDialing {
		l.endDialing(c, reason)
	}
	orderly := l.orderly(c, reason)
	l.closing = c.summary(l, reason)
	l.opts.Handler.Closed(&l.closing)
	l.closing = Summary{}
	l.timers.clear(c.slot)
	delete(l.debts, c.slot)
	l.io.hangUp(c, client, !orderly && !c.gone(client))
	l.io.hangUp(c, upstream, !orderly && !c.gone(upstream))
	l.io.release(&c.halves[client])
	l.io.release(&c.halves[upstream])
	l.markProved(c)
	l.conns.put(c)
	l.shared.active.Add(-1)
}

// gone reports whether a read found that an end was reset: the kernel has nothing left of it, and closing it sends nothing.
func (c *conn) gone(s side) bool { return c.halves[s].state == halfCut && !c.ends[s].lost }

// endDialing tells the policy of the attempts that end with the connection.
func (l *core) endDialing(c *conn, reason Reason) {
	if c.flow.Endpoint != nil && c.ends[upstream].fd >= 0 {
		l.opts.Handler.Dialed(&c.flow, reason, nanos(l.now-c.began))
	}
	l.endBeside(c, func(int64) Reason { return reason })
}

// orderly reports whether closing may look like a proper end to the peers. If bytes are lost by it, or the connection
// was in the middle of something, it must not: the peers are to see a reset.
func (l *core) orderly(c *conn, reason Reason) bool {
	if c.phase == phasePreface {
		return reason == Probe // nothing was to be passed on
	}
	if c.phase != phaseRelaying || c.halves[client].held() || c.halves[upstream].held() {
		return false
	}
	if up, down := c.halves[client].state == halfShut, c.halves[upstream].state == halfShut; up || down {
		return up && down // else one direction has yet to end, and a FIN would say that all of it had come
	}
	switch reason {
	case ClientReset, UpstreamReset, ClientLost, UpstreamLost:
		return false
	}
	return (reason == IdleTimeout || l.now-c.active >= int64(quiet)) && !l.underWay(c, client) && !l.underWay(c, upstream)
}

// underWay reports whether the kernel has bytes of an end: some that were not read, or some that its peer was sent and has
// not acknowledged, so that a FIN behind them would say that all has arrived.
func (l *core) underWay(c *conn, s side) bool {
	a := l.io.acknowledged(c, s)
	return a.inFlight || a.closed || l.io.unread(c, s)
}

// summary makes the summary as of now.
func (c *conn) summary(l *core, reason Reason) Summary {
	silent := c.halves[client].bytes == 0 && c.halves[upstream].bytes == 0 && !c.halves[client].held()
	if silent && (reason == ClientClosed || reason == ClientReset) {
		reason = Probe
	}
	s := Summary{
		Flow:      &c.flow,
		Reason:    reason,
		Connected: c.took > 0,
		Up:        c.halves[client].bytes,
		Down:      c.halves[upstream].bytes,
		Opened:    l.wall(c.opened),
		Connect:   nanos(c.took),
		Duration:  nanos(l.now - c.opened),
	}
	if c.flow.Warm {
		s.Connect = 0
	}
	s.Duration = max(s.Duration, s.Connect) // both may be of one turn
	if s.Connected && c.began > 0 {
		s.FirstByte = nanos(max(c.began-c.opened, 1))
		s.Duration = max(s.Duration, s.FirstByte) // both may be of the turn in which it was accepted
	}
	if fd := c.ends[upstream].fd; fd >= 0 && s.Connected {
		s.addresses, s.fd = l.io, fd
	}
	return s
}
