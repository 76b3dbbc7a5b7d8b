package relay

import (
	"github.com/l4fwd/l4fwd/proxy/relay/ring"
	"golang.org/x/sys/unix"
)

// What the core asks of the io_uring engine where it differs from the epoll engine: see transport.

// prefaced: see transport.
func (l *uringLoop) prefaced(*conn) {} // see welcome

// hangUp closes one end. In modeReady the kernel has no request of it; otherwise they are cancelled, since a request
// keeps the socket open behind a closed descriptor, and the close is a request behind all others, so that none of them
// meets another socket under the same number.
func (l *uringLoop) hangUp(c *conn, s side, reset bool) {
	e := &c.ends[s]
	if e.fd < 0 {
		return
	}
	if c.mode == modeReady {
		l.loop.hangUp(c, s, reset)
		return
	}
	if reset {
		sysResetOnClose(e.fd)
	}
	if e.recv {
		l.abandon(connData(kindRecv, c, s))
	}
	if e.dial {
		l.abandon(connData(kindConnect, c, s))
	}
	if e.watch {
		l.abandon(connData(kindWatch, c, s))
	}
	q, _ := l.ring.Next()
	q.Op, q.FD, q.Flags, q.Data = ring.OpClose, e.fd, ring.SkipSuccess, kindNone.data(0)
	e.fd = -1
	e.recv, e.dial, e.watch = false, false, false
}

// adopted: in modeRing the ring alone is to tell of the socket.
func (l *uringLoop) adopted(c *conn) bool {
	if c.mode == modeReady {
		return l.loop.adopted(c)
	}
	return sysEpollCtl(l.ep, unix.EPOLL_CTL_DEL, c.ends[upstream].fd, nil) == 0
}

// start begins to relay: what the client sent early is sent on, and both ends are received from.
func (l *uringLoop) start(c *conn) {
	switch c.mode {
	case modeReady:
		l.drive(c)
		return
	case modeLeaving: // arrive drives it
		return
	}
	if c.proof == disproved {
		l.leave(c)
		return
	}
	h := &c.halves[client]
	if b := h.hold; b != nil {
		h.hold = nil
		l.issueSend(c, client, b.bytes(), sendRequest{hold: b})
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
		l.noWait = true
		return
	}
	l.passFIN(c, s)
	l.settle(c)
}
