package relay

// lookFrom shows connections from a slot on to f, asking leg for the sockets. It returns the slot to go on from, -1 at the end.
func (l *core) lookFrom(slot int, leg func(*Leg, *conn, side), f func(*Look)) int {
	var k Look
	begun, shown := l.clock(), 0
	for end := len(l.conns.pages) * slabPage; slot < end; slot++ {
		if shown == LookBatch || slot%lookSteps == 0 && shown > 0 && l.clock()-begun > int64(lookSlice) {
			return slot
		}
		if c := l.conns.at(uint32(slot)); c.phase != phaseFree && c.hasClient() {
			l.lookAt(&k, c, leg)
			f(&k)
			shown++
		}
	}
	return -1
}

// lookAt describes a connection as of now.
func (l *core) lookAt(k *Look, c *conn, leg func(*Leg, *conn, side)) {
	*k = Look{Summary: c.summary(l, None), State: c.lookState(), Idle: nanos(max(l.now-c.active, 0))}
	for _, s := range [...]side{client, upstream} {
		h := &c.halves[s]
		k.Splice[s] = h.splice
		g := &k.Legs[s.other()]
		g.Held = int64(max(h.holding(), int(h.sending))) + int64(h.inPipe)
		if c.ends[s.other()].fd >= 0 && (s.other() == client || c.took > 0) {
			leg(g, c, s.other())
		}
	}
	if c.phase == phaseRelaying || c.phase == phaseLingering {
		k.judge()
	}
}

// lookState says where a connection is in its life.
func (c *conn) lookState() LookState {
	up, down := c.halves[client].state != halfOpen, c.halves[upstream].state != halfOpen
	switch {
	case c.phase == phasePreface:
		return LookPreface
	case c.phase == phaseDialing:
		return LookDialing
	case c.phase == phaseLingering, up && down:
		return LookClosing
	case up:
		return LookHalfClosedUp
	case down:
		return LookHalfClosedDown
	}
	return LookRelaying
}
