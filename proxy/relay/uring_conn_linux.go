package relay

import (
	"syscall"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
	"golang.org/x/sys/unix"
)

const (
	// steady is after how many messages the next receive from an end stays, which saves a request a message and costs one
	// more for the whole.
	steady       = 4
	calmMessages = 8 // small messages in a row that take a connection back to modeRing
)

// flight is a send that the kernel was asked for, without a completion where it succeeds: it is known to have succeeded
// once its request was taken and no completion says otherwise. It owns the memory until then. The send never waits
// (MSG_DONTWAIT), so that is the turn after at the latest.
type flight struct {
	request uint32
	end     conns // the half it belongs to, by its source
	len     int32
	res     int32   // len, or what the completion said
	id      uint16  // a provided buffer, if hold is nil
	hold    *buffer // or one of the half
}

const noBuffer = ^uint16(0)

// recv asks for what the end s sends next. Nothing is expected to be there already if idle.
func (l *uringLoop) recv(c *conn, s side, idle bool) {
	e := &c.ends[s]
	if l.can.LimitedRecv && e.got == steady && !e.watch {
		l.watchReset(c, s)
	}
	q, _ := l.ring.Next()
	q.Op, q.FD, q.Len = ring.OpRecv, c.ends[s].fd, ringBuffer
	q.Flags, q.Group = ring.SelectBuffer, ring.Group
	if idle {
		q.Prio = ring.PollFirst
	}
	if e.watch {
		q.Prio |= ring.RecvMulti
		q.Limit = ringLimit
	}
	q.Data = connData(kindRecv, c, s)
	e.recv = true
	l.live++
}

// watchReset has a reset of the end s reported, and urgent data. A receive that stays does not find a reset that came together
// with data, nor the data behind an urgent byte: what it got before makes the kernel take the socket for empty and wait for
// the next event (io_recv_finish in 6.18, by test).
func (l *uringLoop) watchReset(c *conn, s side) {
	q, _ := l.ring.Next()
	q.Op, q.FD, q.OpFlags = ring.OpPollAdd, c.ends[s].fd, unix.POLLPRI // POLLERR and POLLHUP need not be asked for: poll(2)
	q.Data = connData(kindWatch, c, s)
	c.ends[s].watch = true
	l.live++
}

// watchDone acts on what watchReset reports.
func (l *uringLoop) watchDone(q *ring.CQE) {
	l.live--
	c, s := l.find(q.Data)
	if c == nil || !c.ends[s].watch {
		delete(l.dying, q.Data)
		return
	}
	c.ends[s].watch = false
	if q.Res < 0 || q.Res&(unix.POLLERR|unix.POLLHUP|unix.POLLPRI) != 0 {
		l.leave(c)
	} // else the FIN: the receive tells
}

// cancel asks for the end of a request, whose completion comes in any case. A request that the kernel is about to try
// again is not found, and may wait once more after that; see cancelFailed.
func (l *uringLoop) cancel(data uint64) {
	q, _ := l.ring.Next()
	q.Op, q.Addr, q.Flags, q.Data = ring.OpAsyncCancel, data, ring.SkipSuccess, data+kindCancel.data(0)
}

// cancelFailed cancels again what has not completed: a request that is left would keep its socket open for ever.
func (l *uringLoop) cancelFailed(data uint64) {
	live := l.dying[data]
	switch kind(data >> kindShift) {
	case kindRecv:
		c, s := l.find(data)
		live = live || c != nil && c.ends[s].recv
	case kindAccept:
		live = l.lns[acceptListener(data)].calls[acceptIndex(data)].armed
	case kindEpoll:
		live = l.watched
	}
	if live {
		l.cancel(data)
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
		delete(l.dying, q.Data)
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
		c.ends[s].recv = q.More()
		if l.pass(c, s, id, b) {
			return // the send has the buffer
		}
	default:
		c.ends[s].recv = q.More()
		l.take(c, s, b, e)
	}
	if brought {
		l.in.Put(id)
	}
}

// pass sends b, which came from the end s in a buffer, on to the other, and asks for more. It returns false if it copied
// them instead: one send is under way at most, since the next one might succeed where it fails, and bytes would be lost.
func (l *uringLoop) pass(c *conn, s side, id uint16, b []byte) (flown bool) {
	h := &c.halves[s]
	if s == upstream && c.first == 0 {
		l.answered(c)
	}
	if flown = !h.held(); flown {
		l.fly(c, s, b, flight{id: id})
	} else {
		l.keep(c, s, b)
		l.hurry = true // a send that succeeds does not end a wait
	}
	if len(b) < bulkRead {
		h.streak = 0
		c.ends[s].got = min(c.ends[s].got+1, steady)
	} else if h.streak++; h.streak >= bulkStreak {
		h.splice, h.streak = true, 0
		l.leave(c)
		return flown
	}
	if flown && !c.ends[s].recv {
		l.recv(c, s, len(b) < ringBuffer)
	}
	return flown
}

// take acts on a receive that is no message between two open ends: the client's first bytes, the end of a half, a
// failure, or what came while the connection leaves modeRing. b is valid during the call.
func (l *uringLoop) take(c *conn, s side, b []byte, e syscall.Errno) {
	// What says nothing about the socket.
	transient := e == unix.ENOBUFS || e == unix.EAGAIN || e == unix.EINTR || e == unix.ENOMEM || e == unix.ECANCELED
	switch {
	case c.mode != modeRing:
		if len(b) > 0 {
			l.keep(c, s, b)
		} else if !transient {
			l.readEnded(c, s, 0, e)
		}
		l.arrive(c)
	case e == unix.ENOBUFS:
		l.grow()
		l.thirsty = append(l.thirsty, conns{c.slot, c.gen, s})
		l.hurry = true
	case c.phase == phaseRelaying && e == 0:
		c.happen(s, eventFIN)
		l.ended(c, s)
	case c.phase == phaseRelaying:
		if !transient {
			l.readEnded(c, s, 0, e)
		}
		l.leave(c)
	case transient:
		at := conns{c.slot, c.gen, s}
		l.mail.later(acceptPause, func() { l.thirsty = append(l.thirsty, at) })
	case c.phase == phasePreface:
		l.takePreface(c, b, e)
	case c.phase == phaseDialing:
		l.takeEarly(c, b, e)
	}
}

// refill asks again for what found no buffer.
func (l *uringLoop) refill() {
	for _, at := range l.thirsty {
		c := l.conns.lookup(at.slot, at.gen)
		if c == nil || c.mode != modeRing || c.phase == phaseLingering || c.ends[at.s].recv {
			continue
		}
		// What is held is sent first, and its landing asks; but a preface is held until there is more of it.
		if c.phase == phasePreface || !c.halves[at.s].held() {
			l.recv(c, at.s, false)
		}
	}
	l.thirsty = l.thirsty[:0]
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

// start begins to relay: what the client sent early is sent on, and both ends are received from.
func (l *uringLoop) start(c *conn) {
	if c.mode == modeReady {
		l.drive(c)
		return
	}
	if c.proof == disproved {
		l.leave(c)
		return
	}
	h := &c.halves[client]
	if b := h.hold; b != nil {
		h.hold = nil
		l.fly(c, client, b.bytes(), flight{hold: b})
	}
	if c.ends[upstream].reset || h.state == halfDead {
		l.leave(c)
		return
	}
	l.recv(c, upstream, true)
	if h.state == halfOpen && !c.ends[client].recv {
		l.recv(c, client, true)
	} else if h.state == halfFIN {
		l.ended(c, client)
	}
}

// ended passes a FIN on, once nothing is held before it.
func (l *uringLoop) ended(c *conn, s side) {
	if c.proof == disproved {
		l.leave(c)
		return
	}
	if c.halves[s].held() {
		l.hurry = true
		return
	}
	l.passFIN(c, s)
	l.settle(c)
}

// leave takes a connection to modeReady, once the kernel has no request of it any more. The caller is done with c: it may
// have ended on return.
func (l *uringLoop) leave(c *conn) {
	if c.mode != modeRing {
		return
	}
	c.mode = modeLeaving
	for s := range c.ends {
		e := &c.ends[s]
		if e.recv {
			l.cancel(connData(kindRecv, c, side(s)))
		}
		if e.watch {
			l.abandon(connData(kindWatch, c, side(s)))
			e.watch = false
		}
	}
	l.hurry = true // a send that succeeds does not end a wait
	l.arrive(c)
}

func (l *uringLoop) arrive(c *conn) {
	if c.mode != modeLeaving || c.ends[client].recv || c.ends[upstream].recv || c.halves[client].flying+c.halves[upstream].flying > 0 {
		return
	}
	c.mode, c.calm = modeReady, 0
	if !l.watch(c, client) || !l.watch(c, upstream) {
		l.finish(c, Internal)
		return
	}
	for s := range c.ends {
		c.ends[s].rd, c.ends[s].wr = true, true
	}
	l.drive(c)
}

// calmDown takes a connection back to modeRing after some small messages. moved is what an event of it moved.
func (l *uringLoop) calmDown(c *conn, moved uint64) {
	if moved == 0 {
		return
	}
	for s := range c.ends {
		e, h := &c.ends[s], &c.halves[s]
		if h.state != halfOpen || h.held() || h.splice || e.hup || e.reset || e.urgent {
			c.calm = 0
			return
		}
	}
	if c.calm++; moved >= bulkRead || c.queued {
		c.calm = 0
	}
	if c.calm < calmMessages {
		return
	}
	c.mode = modeRing
	for s := range c.ends {
		_ = sysEpollCtl(l.ep, unix.EPOLL_CTL_DEL, c.ends[s].fd, nil) // it is registered
		l.recv(c, side(s), false)
	}
}
