package relay

import "syscall"

// happen applies an event to the half whose source is s, notes the first cause of the end, and draws the
// consequences for the other half: an end that was reset takes nothing any more.
func (c *conn) happen(s side, e halfEvent) {
	if c.provesDead(s, e) {
		return
	}
	h := &c.halves[s]
	was := h.state
	h.state = halfNext[was][e]
	if h.state == was {
		return
	}
	switch h.state {
	case halfFIN:
		c.because(closedBy[s])
	case halfCut:
		c.because(c.failureOf(s))
		c.happen(s.other(), eventBroken)
	case halfDead:
		// The destination was reset. What it sent before is still to be read; the reset is found behind it.
		d := s.other()
		e := &c.ends[d]
		e.rd, e.hup = true, true
		if e.fin {
			c.because(closedBy[d])
		} else {
			c.because(c.failureOf(d))
			e.reset = true
		}
	}
}

var (
	closedBy = [2]Reason{client: ClientClosed, upstream: UpstreamClosed}
	resetBy  = [2]Reason{client: ClientReset, upstream: UpstreamReset}
	lostBy   = [2]Reason{client: ClientLost, upstream: UpstreamLost}
)

// because notes why the connection ends. The first cause stays, since an end that has sent its FIN and is closed
// resets whatever still arrives: every TLS peer that does not wait for the other's close_notify does. But an upstream
// that resets instead of answering a client's FIN has cut its answer short, and what was on its way to a peer that is lost
// has not arrived.
func (c *conn) because(r Reason) {
	if overrides(r, c.reason) {
		c.reason = r
	}
}

// failureOf returns why the end s of a connection ended, if not by a FIN.
func (c *conn) failureOf(s side) Reason {
	if c.ends[s].lost {
		return lostBy[s]
	}
	return resetBy[s]
}

// overrides reports whether a cause that came later is the reported one.
func overrides(later, first Reason) bool {
	switch later {
	case UpstreamReset:
		return first == None || first == ClientClosed
	case ClientLost, UpstreamLost:
		return first == None || first == ClientClosed || first == UpstreamClosed
	}
	return first == None
}

// provesDead reports whether the event means that a connection from a pool is dead, and notes it then instead of its
// consequences. A FIN in answer to the client's is an end like any other: sending all of it again might have it done twice.
func (c *conn) provesDead(s side, e halfEvent) bool {
	switch {
	case c.proof == proved:
		return false
	case s == client && e == eventBroken:
	case s == upstream && e == eventReset:
	case s == upstream && e == eventFIN && c.halves[client].state != halfShut:
	default:
		return false
	}
	if c.proof == unproved {
		c.proof, c.deathEvent = disproved, e
	}
	return true
}

// lostErrno reports whether an established connection failed because its peer does not answer: keepalives, or bytes that
// were sent again and again. The kernel tells ETIMEDOUT then, or what a router has said meanwhile.
func lostErrno(e syscall.Errno) bool {
	switch e {
	case syscall.ETIMEDOUT, syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EHOSTDOWN, syscall.ENETDOWN:
		return true
	}
	return false
}
