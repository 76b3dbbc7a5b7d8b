package relay

import "golang.org/x/sys/unix"

// readPreface collects the client's first bytes until the policy has seen enough.
func (l *loop) readPreface(c *conn) {
	h, src := &c.halves[client], &c.ends[client]
	for src.rd {
		room := MaxPreface
		if h.hold != nil {
			room -= h.hold.to
		}
		n, e := receive(src, l.buf[:room])
		switch {
		case e == unix.EAGAIN:
			src.rd = false
			return
		case e == unix.EINTR:
			continue
		case n <= 0 || e != 0:
			l.prefaceEnded(c, e != 0)
			return
		}
		l.keep(c, client, l.buf[:n])
		skip, more := l.judge(c, h.hold.bytes())
		if more {
			continue
		}
		if c.phase != phasePreface { // refused
			return
		}
		if h.hold.from = skip; h.hold.from == h.hold.to {
			l.release(h)
		}
		l.dial(c)
		return
	}
}
