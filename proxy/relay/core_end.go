package relay

import "time"

const (
	lingerStep = 10 * time.Millisecond // how often a lingering end is asked whether it has acknowledged
	lingerMax  = 5 * time.Second       // and for how long at most
	quiet      = 1 * time.Second       // a connection on which nothing moved for so long is between two exchanges
	settled    = 5 * time.Second       // a connection this old is worth four more system calls for its keepalive
)

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

// finish ends a connection: the policy gets the summary, the sockets are closed, the slot is free.
func (l *core) finish(c *conn, reason Reason) {
	if c.phase == phaseDialing {
		l.endDialing(c, reason)
	}
	orderly := l.orderly(c, reason)
	s := c.summary(l, reason)
	l.opts.Handler.Closed(&s)
	l.timers.clear(c.slot)
	delete(l.debts, c.slot)
	l.io.hangUp(c, client, !orderly)
	l.io.hangUp(c, upstream, !orderly)
	l.io.release(&c.halves[client])
	l.io.release(&c.halves[upstream])
	l.markProved(c)
	l.conns.put(c)
	l.shared.active.Add(-1)
}

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
	if c.halves[client].state == halfShut && c.halves[upstream].state == halfShut {
		return true
	}
	switch reason {
	case ClientReset, UpstreamReset, ClientLost, UpstreamLost:
		return false
	}
	timedOut := reason == IdleTimeout || reason == HalfCloseTimeout
	return (timedOut || l.now-c.active >= int64(quiet)) && !l.underWay(c, client) && !l.underWay(c, upstream)
}

// underWay reports whether the kernel has bytes of an end: some that were not read, or some that its peer was sent and has
// not acknowledged, so that a FIN behind them would say that all has arrived.
func (l *core) underWay(c *conn, s side) bool {
	a := l.io.acknowledged(c, s)
	return a.inFlight || a.closed || l.io.unread(c, s)
}

// endAll ends every connection.
func (l *core) endAll(reason Reason) {
	l.conns.each(func(c *conn) {
		if c.hasClient() {
			l.finish(c, reason)
		}
	})
}

// endWhere ends the connections that match says yes to, and returns how many. Those that end already are left to it.
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

// abandoned reports whether the client has reset the connection while its upstream takes nothing: what the client sent
// before is held, or was not read yet.
func (c *conn) abandoned() bool {
	return !c.ends[upstream].wr && (c.halves[client].state == halfCut || c.failed && c.halves[client].state == halfOpen)
}
