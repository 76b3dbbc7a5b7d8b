package relay

import (
	"syscall"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
	"golang.org/x/sys/unix"
)

// steady is after how many messages the next receive from an end stays, which saves a request a message and costs one
// more for the whole.
const steady = 4

// watchDone acts on what watchReset reports.
func (l *uringLoop) watchDone(q *ring.CQE) {
	l.live--
	c, s := l.find(q.Data)
	if c == nil || !c.ends[s].watch {
		delete(l.cancelling, q.Data)
		return
	}
	c.ends[s].watch = false
	if q.Res < 0 || q.Res&(unix.POLLERR|unix.POLLHUP|unix.POLLPRI) != 0 {
		l.leave(c)
	} else if c.ends[s].recv {
		l.leave(c) // a FIN that the receive has not told, and may never
	}
}

// received acts on a completed receive.
func (l *uringLoop) received(q *ring.CQE) {
	if !q.More() {
		l.live--
	}
	id, brought := q.Buffer()
	if brought {
		l.in.Taken()
	}
	c, s := l.find(q.Data)
	if c == nil && !q.More() {
		delete(l.cancelling, q.Data)
	}
	n, e := int(q.Res), syscall.Errno(0)
	if n < 0 {
		n, e = 0, syscall.Errno(-n)
	}
	var b []byte
	if n > 0 {
		b = l.in.Bytes(id, n)
	}
	switch {
	case c == nil:
	case n > 0 && c.phase == phaseRelaying && c.mode == modeRing:
		if c.ends[s].recv = q.More(); q.More() {
			l.lookLater(c)
		}
		if l.pass(c, s, id, b) {
			return // the send has the buffer
		}
	default:
		c.ends[s].recv = q.More()
		l.receivedOther(c, s, b, e)
	}
	if brought {
		l.in.Put(id)
	}
}

// pass sends b, which came from the end s in a buffer, on to the other, and asks for more. It returns false if it copied
// them instead: one send is under way at most, since the next one might succeed where it fails, and bytes would be lost.
func (l *uringLoop) pass(c *conn, s side, id uint16, b []byte) (issued bool) {
	h := &c.halves[s]
	if s == upstream && c.began == 0 {
		l.answered(c)
	}
	if issued = !h.held(); issued {
		l.issueSend(c, s, b, sendRequest{id: id})
	} else {
		l.keep(c, s, b)
		l.noWait = true // a send that succeeds does not end a wait
	}
	if len(b) < bulkRead {
		h.streak = 0
		c.ends[s].got = min(c.ends[s].got+1, steady)
	} else {
		l.largeRead(c, s)
		if h.streak++; h.streak >= bulkStreak {
			h.splice, h.streak = true, 0
			l.leave(c)
			return issued
		}
	}
	if issued && !c.ends[s].recv {
		l.recv(c, s, len(b) < ringBuffer)
	}
	return issued
}

// receivedOther acts on a receive that is no message between two open ends: the client's first bytes, the end of a half, a
// failure, or what came while the connection leaves modeRing. b is valid during the call.
func (l *uringLoop) receivedOther(c *conn, s side, b []byte, e syscall.Errno) {
	switch {
	case c.mode != modeRing:
		l.receivedLeaving(c, s, b, e)
	case e == unix.ENOBUFS:
		l.grow()
		l.needBuffer = append(l.needBuffer, endRef{c.slot, c.gen, s})
		l.noWait = true
	case c.phase == phaseRelaying:
		l.receivedEnd(c, s, e)
	case transient(e):
		at := endRef{c.slot, c.gen, s}
		l.mail.later(acceptPause, func() { l.needBuffer = append(l.needBuffer, at) })
	case c.phase == phasePreface:
		l.takePreface(c, b, e)
	case c.phase == phaseDialing:
		l.takeEarly(c, b, e)
	}
}

// transient reports whether a receive failed for a reason that says nothing about its socket.
func transient(e syscall.Errno) bool {
	switch e {
	case unix.ENOBUFS, unix.EAGAIN, unix.EINTR, unix.ENOMEM, unix.ECANCELED:
		return true
	}
	return false
}

// receivedLeaving acts on what a receive brought that was under way when its connection began to leave modeRing.
func (l *uringLoop) receivedLeaving(c *conn, s side, b []byte, e syscall.Errno) {
	switch {
	case c.phase == phaseLingering || len(b) == 0 && transient(e):
	case len(b) > 0:
		l.keep(c, s, b)
		c.unseen = c.phase == phasePreface
	case c.phase == phasePreface:
		l.prefaceEnded(c, e != 0)
	case c.phase == phaseDialing:
		l.takeEarly(c, nil, e)
	default:
		l.readEnded(c, s, 0, e)
	}
	l.arrive(c) // does nothing for one that has ended
}

// receivedEnd acts on a receive between two open ends that brought no byte: a FIN, a reset, or another failure.
func (l *uringLoop) receivedEnd(c *conn, s side, e syscall.Errno) {
	if e == 0 {
		c.happen(s, eventFIN)
		l.ended(c, s)
		return
	}
	if !transient(e) {
		l.readEnded(c, s, 0, e)
		if l.finishReset(c) {
			return
		}
	}
	l.leave(c)
}

// takePreface adds to a client's first bytes, which the policy judges.
func (l *uringLoop) takePreface(c *conn, b []byte, e syscall.Errno) {
	h := &c.halves[client]
	if len(b) == 0 {
		l.prefaceEnded(c, e != 0)
		return
	}
	l.keep(c, client, b)
	all := h.hold.bytes()
	skip, more := l.judge(c, all[:min(len(all), MaxPreface)])
	if more {
		l.recv(c, client, true)
		return
	}
	if c.phase != phasePreface { // refused
		return
	}
	if h.hold.from += skip; h.hold.from == h.hold.to {
		l.release(h)
		l.recv(c, client, true)
	}
	l.dial(c)
}

// takeEarly keeps what a client sends before the upstream is connected: one receive of it.
func (l *uringLoop) takeEarly(c *conn, b []byte, e syscall.Errno) {
	switch {
	case len(b) > 0:
		l.keep(c, client, b)
	case e == 0:
		c.happen(client, eventFIN)
	default:
		l.finish(c, ClientReset)
	}
}
