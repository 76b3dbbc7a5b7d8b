package relay

import (
	"syscall"

	"golang.org/x/sys/unix"
)

const (
	// budget is how many bytes a half may move before the other connections get their turn.
	budget = 1 << 20
	// A read of bulkRead bytes or more is a large one; after bulkStreak of them in a row a half goes through a pipe.
	// Below about 16 KiB copying twice costs less than the second system call of a splice.
	bulkRead   = 16 << 10
	bulkStreak = 3
	// After smallStreak splices in a row of less than bulkRead a half goes back to copying.
	smallStreak = 4
)

// drive moves what can be moved in both directions, then acts on what the connection has come to. It reports whether the
// connection is still open. A connection from a pool that has proved dead gets nothing more, no FIN above all: another is to get all
// of it, and a request that looks complete might be done twice.
func (l *loop) drive(c *conn) bool {
	if c.proof != disproved {
		l.pump(c, client)
	}
	if c.proof != disproved {
		l.pump(c, upstream)
	}
	// The second may have found the upstream's peer gone, which leaves the rest of what it sent to be read by the first.
	if c.ends[client].hup && c.ends[client].rd && c.proof != disproved {
		l.pump(c, client)
	}
	return l.settle(c)
}

// pump serves the half whose source is s: it moves what can be moved, counts it, and passes the end on once nothing is
// held before it. On entry both ends are connected.
func (l *loop) pump(c *conn, s side) {
	h := &c.halves[s]
	before := h.bytes
	spliced := l.move(c, s)
	if h.pipe != nil {
		l.parkPipe(c, s)
	}
	if h.held() && !l.measuring {
		l.measureLater()
	}
	if moved := h.bytes - before; moved > 0 {
		c.active = l.now
		c.flow.Endpoint.Tally.add(l.id, s == client, moved, spliced)
	}
	if h.state == halfFIN && !h.held() {
		l.passFIN(c, s)
	}
}

// move moves bytes of a half until the source is empty, the destination full, the budget used up or the half at its end.
// It returns how many of the delivered bytes went through a pipe.
func (l *loop) move(c *conn, s side) (spliced uint64) {
	h := &c.halves[s]
	src, dst := &c.ends[s], &c.ends[s.other()]
	for left := budget; dst.wr; {
		if h.held() {
			if h.state >= halfDead {
				break
			}
			piped := h.hold == nil
			n := l.deliver(c, s)
			left -= n
			if piped {
				spliced += uint64(n)
			}
			continue
		}
		if h.state != halfOpen || !src.rd {
			break
		}
		if left <= 0 {
			l.yield(c)
			break
		}
		if h.splice && !src.urgent && l.spliceIn(c, s, left) {
			continue
		}
		left -= l.copy(c, s)
	}
	return spliced
}

// parkPipe gives back the pipe of a half that has stopped moving: an empty one to the pool, and where pipes are scarce,
// one that a slow reader would keep.
func (l *loop) parkPipe(c *conn, s side) {
	h := &c.halves[s]
	if h.inPipe > 0 && !c.ends[s.other()].wr && h.inPipe <= bufferMax && l.pipes.scarce() {
		l.unpipe(h)
	}
	if h.inPipe == 0 {
		l.pipes.put(h.pipe)
		h.pipe = nil
	}
}

// passFIN tells the destination that the source has ended. Where the other half is done as well, closing does it.
func (l *loop) passFIN(c *conn, s side) {
	c.happen(s, eventDrained)
	if c.ending() == endNot {
		sysShutdownWrite(c.ends[s.other()].fd)
		if !c.ends[s].hup {
			l.tighten(c)
		}
	}
}

// copy reads once and writes what it got; what the destination does not take is held. It returns the bytes delivered.
func (l *loop) copy(c *conn, s side) int {
	h := &c.halves[s]
	n, e := receive(&c.ends[s], l.buf)
	if n <= 0 || e != 0 {
		l.readEnded(c, s, n, e)
		return 0
	}
	src := &c.ends[s]
	if n < len(l.buf) && !src.hup && !src.urgent {
		src.rd = false // a short read means drained: epoll(7), Q9. With a hang-up behind it, the end is still to be read.
	}
	if n < bulkRead || src.urgent {
		h.streak = 0
	} else {
		l.largeRead(c, s)
		if h.streak++; h.streak >= bulkStreak {
			h.splice, h.streak = true, 0
		}
	}
	if s == upstream && c.began == 0 {
		l.answered(c)
	}
	m := l.send(c, s, l.buf[:n])
	if m < n && h.state != halfDead {
		b := l.bufs.get(n - m)
		b.to = copy(b.b, l.buf[m:n])
		h.hold = b
	}
	return m
}

// receive reads from an end once. At the mark of urgent data the kernel gives up with EAGAIN where a signal is pending,
// although there is more to read (tcp_recvmsg), and no event would tell of that. The signal is gone when the call returns.
func receive(e *end, b []byte) (int, syscall.Errno) {
	n, errno := sysRecv(e.fd, b)
	if errno == unix.EAGAIN && e.urgent {
		n, errno = sysRecv(e.fd, b)
	}
	return n, errno
}

// readEnded acts on a read that gave no byte.
func (l *loop) readEnded(c *conn, s side, n int, e syscall.Errno) {
	src := &c.ends[s]
	switch {
	case e == unix.EAGAIN:
		src.rd = false
	case e == unix.EINTR:
	case e == 0 && n == 0 && !src.reset:
		src.rd = false
		c.happen(s, eventFIN)
	default:
		src.rd = false
		src.lost = src.lost || lostErrno(e)
		c.happen(s, eventReset)
	}
}

// send writes to the destination of the half whose source is s and returns how many bytes it took.
func (l *loop) send(c *conn, s side, b []byte) int {
	dst := &c.ends[s.other()]
	n, e := sysSend(dst.fd, b)
	if e != 0 {
		l.writeEnded(c, s, e)
		return 0
	}
	c.halves[s].bytes += uint64(n)
	if c.proof != proved && s == client {
		l.remember(c, b[:n])
	}
	if n < len(b) {
		dst.wr = false // the kernel noted that room is wanted, and will say so
	}
	return n
}

// writeEnded acts on a write that took no byte.
func (l *loop) writeEnded(c *conn, s side, e syscall.Errno) {
	switch e {
	case unix.EAGAIN:
		c.ends[s.other()].wr = false
	case unix.EINTR:
	default:
		// The kernel says EPIPE rather than ECONNRESET where the peer's FIN came before its reset: tcp_reset(). It also does
		// once another call took the error of the reset.
		dst := &c.ends[s.other()]
		dst.fin = e == unix.EPIPE && !dst.reset
		dst.lost = dst.lost || lostErrno(e)
		if c.proof == unproved && s == client && l.io.unread(c, upstream) {
			l.markProved(c) // it has answered
		}
		c.happen(s, eventBroken)
		if s == client && c.proof == disproved {
			c.ends[upstream].wr = false // what is held goes to another connection
			return
		}
		l.release(&c.halves[s])
	}
}

// deliver writes what the half holds and returns how many bytes were taken.
func (l *loop) deliver(c *conn, s side) int {
	h := &c.halves[s]
	if b := h.hold; b != nil {
		n := l.send(c, s, b.bytes())
		if h.hold == nil { // released: the destination is gone
			return n
		}
		b.from += n
		if b.from == b.to {
			l.bufs.put(b)
			h.hold = nil
		}
		return n
	}
	n, e := sysSplice(h.pipe.r, c.ends[s.other()].fd, int(h.inPipe))
	if e != 0 || n <= 0 {
		l.writeEnded(c, s, e)
		return 0
	}
	h.bytes += uint64(n)
	// A short splice does not mean that the socket is full: it may have stopped at a segment. Only EAGAIN does.
	h.inPipe -= int32(n)
	return n
}

// spliceIn fills the half's empty pipe from its source. It returns false if the bytes have to be copied.
func (l *loop) spliceIn(c *conn, s side, limit int) bool {
	h := &c.halves[s]
	if h.pipe == nil {
		if h.pipe = l.pipes.get(); h.pipe == nil {
			h.splice = false
			return false
		}
	}
	// The pipe is empty here, so EAGAIN can only mean that the socket is.
	limit = min(limit, int(h.pipe.size))
	if l.pipes.scarce() || !l.largeRead(c, s) {
		limit = min(limit, bufferMax) // what unpipe can take
	}
	n, e := sysSplice(c.ends[s].fd, h.pipe.w, limit)
	if e == unix.EINVAL {
		h.splice = false
		return false
	}
	if n == 0 && e == 0 {
		return false // the end, or the mark of urgent data before it: recv tells
	}
	if e != 0 {
		l.readEnded(c, s, n, e)
		return true
	}
	h.inPipe = int32(n)
	if n >= bulkRead {
		h.streak = 0
	} else if h.streak++; h.streak >= smallStreak {
		h.splice, h.streak = false, 0
	}
	return true
}

// unpipe moves what a stuck half has in its pipe into a buffer, so that slow readers do not keep all pipes.
func (l *loop) unpipe(h *half) {
	b := l.bufs.get(int(h.inPipe))
	for h.inPipe > 0 {
		n, e := sysRead(h.pipe.r, b.b[b.to:b.to+int(h.inPipe)])
		if e != 0 || n <= 0 {
			break // cannot be: the pipe holds them
		}
		b.to += n
		h.inPipe -= int32(n)
	}
	h.hold = b
}

// yield puts a connection behind the others that have something to do.
func (l *loop) yield(c *conn) {
	if !c.queued {
		c.queued = true
		l.again = append(l.again, c.slot)
	}
}
