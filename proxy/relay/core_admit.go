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
	if c.flow.Preface || c.flow.Await > 0 {
		wait := c.flow.await()
		if c.flow.Preface {
			wait = l.opts.PrefaceTimeout
		}
		c.phase = phasePreface
		c.closed, c.expired = Probe, c.flow.silent()
		c.expires = l.now + int64(wait)
		l.timers.set(c.slot, c.expires)
		l.io.prefaced(c)
		return
	}
	l.dial(c)
}
