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
		if !l.judgePreface(c) {
			return
		}
	}
}

// judgePreface has the policy judge the client's first bytes, and goes on accordingly. It reports whether more of them are wanted.
func (l *loop) judgePreface(c *conn) (more bool) {
	h := &c.halves[client]
	all := h.hold.bytes()
	skip, more := l.judge(c, all[:min(len(all), MaxPreface)])
	if more || c.phase != phasePreface { // the latter: refused
		return more
	}
	if h.hold.from += skip; h.hold.from == h.hold.to {
		l.release(h)
	}
	l.dial(c)
	return false
}
