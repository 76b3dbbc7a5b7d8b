package relay

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

// replace gives a client whose connection from a pool has proved dead a fresh one. What it sent is sent again. It returns
// false if it cannot, and the client is to see what became of the one it had.
func (l *core) replace(c *conn) bool {
	h := &c.halves[client]
	if h.state == halfCut || !l.rewind(c) {
		l.giveUpReplacing(c)
		if h.state == halfCut || c.deathEvent == eventReset {
			return false
		}
		l.io.start(c) // what is left of the upstream is to be read
		return true
	}
	c.proof = proved
	l.io.hangUp(c, upstream, true)
	l.io.release(&c.halves[upstream])
	c.halves[upstream] = half{}
	c.began, c.took, c.late = 0, 0, false
	if h.state == halfShut {
		h.state = halfFIN
	}
	c.flow.Warm, c.flow.Stale, c.flow.Failure = false, true, None
	c.flow.Endpoint.Warm.Keeper.Left(c.flow.Loop, c.flow.Endpoint, LeftDead)
	l.dial(c)
	return true
}

// giveUpReplacing takes back that the upstream's connection is dead as one from a pool: it goes on, or ends, as any other.
func (l *core) giveUpReplacing(c *conn) {
	l.markProved(c)
	if c.deathEvent == eventBroken {
		c.happen(client, eventBroken)
		l.io.release(&c.halves[client])
		return
	}
	c.ends[upstream].reset = c.deathEvent == eventReset
	c.happen(upstream, c.deathEvent)
}

// rewind puts what was sent back before what is held. It returns false, and has done nothing, if both are too much.
func (l *core) rewind(c *conn) bool {
	sent, h := c.replay, &c.halves[client]
	if sent == nil {
		return true
	}
	held := h.hold
	if held != nil && sent.to+held.to-held.from > bufferMax {
		return false
	}
	c.replay = nil
	h.bytes -= uint64(sent.to)
	h.hold = nil
	l.keep(c, client, sent.bytes())
	l.bufs.put(sent)
	if held != nil {
		l.keep(c, client, held.bytes())
		l.bufs.put(held)
	}
	return true
}

// remember keeps what was sent to an upstream whose connection is from a pool.
func (l *core) remember(c *conn, b []byte) {
	was := c.replay
	n := len(b)
	if was != nil {
		n += was.to
	}
	if n > maxReplay {
		if c.proof == disproved {
			l.giveUpReplacing(c)
		} else {
			l.markProved(c)
		}
		return
	}
	if was == nil || n > len(was.b) {
		c.replay = l.bufs.get(n)
		if was != nil {
			c.replay.to = copy(c.replay.b, was.bytes())
			l.bufs.put(was)
		}
	}
	c.replay.to += copy(c.replay.b[c.replay.to:], b)
}

// markProved ends the time in which the upstream's connection could be replaced.
func (l *core) markProved(c *conn) {
	c.proof = proved
	if c.replay != nil {
		l.bufs.put(c.replay)
		c.replay = nil
	}
}

// proof says what is known of the upstream's connection of a conn.
type proof uint8

const (
	proved    proof = iota // it was established for this client, or has brought a byte
	unproved               // it is from a pool
	disproved              // it was from a pool, and is dead
)

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
