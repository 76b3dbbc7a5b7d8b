package relay

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
