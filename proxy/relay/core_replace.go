package relay

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
	if w := c.flow.Endpoint.Warm; w != nil { // nil: taken over from a process with a pool by one that has none
		w.Keeper.Left(c.flow.Loop, c.flow.Endpoint, LeftDead)
	}
	l.dial(c)
	return true
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
