package relay

import (
	"net/netip"
	"syscall"
	"unsafe"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
	"golang.org/x/sys/unix"
)

// What the core asks of the io_uring engine where it differs from the epoll engine: see transport.

// acceptCall is one request for a client, with room for its address: of a client that has reset already, nothing but accept
// tells the address.
type acceptCall struct {
	sa    sockaddr
	armed bool
}

// acceptCalls is how many clients a listener takes a turn. The kernel wakes one call a client.
const acceptCalls = 16

// setAccept has clients accepted by every call that the kernel does not have, or by no call any more. Kernels before 6.10
// would try at once to accept for each call, and an accept that finds nobody is dear: there epoll tells of clients.
func (l *uringLoop) setAccept(a *acceptor, on bool) bool {
	if !l.can.AcceptPollFirst {
		return l.loop.setAccept(a, on)
	}
	if a.calls == nil {
		a.calls = make([]acceptCall, acceptCalls)
	}
	for k := range a.calls {
		switch {
		case on:
			l.acceptOne(a, k)
		case a.calls[k].armed:
			l.cancel(acceptData(a.index, k))
		}
	}
	return true
}

func (l *uringLoop) acceptOne(a *acceptor, k int) {
	call := &a.calls[k]
	if call.armed {
		return
	}
	call.armed = true
	a.armed++
	l.live++
	call.sa.room()
	q, _ := l.ring.Next()
	q.Op, q.FD, q.Prio, q.OpFlags = ring.OpAccept, a.fd, ring.AcceptPollFirst, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC
	q.Addr, q.Off = uint64(uintptr(unsafe.Pointer(&call.sa.raw))), uint64(uintptr(unsafe.Pointer(&call.sa.len)))
	q.Data = acceptData(a.index, k)
}

func acceptData(i, k int) uint64     { return kindAccept.data(uint64(i)<<8 | uint64(k)) }
func acceptListener(data uint64) int { return int(uint32(data) >> 8) }
func acceptIndex(data uint64) int    { return int(data & 0xff) }

func (l *uringLoop) acceptDone(i, k int, q *ring.CQE) {
	a := l.lns[i]
	a.calls[k].armed = false
	a.armed--
	l.live--
	if q.Res >= 0 {
		l.welcome(q.Res, a.ln, a.calls[k].sa.addr())
	}
	switch e := syscall.Errno(max(-q.Res, 0)); {
	case l.done:
	case a.closed != nil:
		if a.armed == 0 {
			l.takeQueued(a)
			a.closed()
		}
	case a.paused:
	case starved(e):
		l.pause(a)
	default: // the connection's own error: accept(2)
		l.acceptOne(a, k)
	}
}

// retire: see host. The kernel is to let go of the socket first, which takes a turn.
func (l *uringLoop) retire(a *acceptor, closed func()) {
	if a.armed == 0 {
		l.loop.retire(a, closed)
		return
	}
	a.closed = closed
	l.setAccept(a, false)
}

// welcome takes an accepted client. It is received from at once: that is needed anyway, and tells if it goes away while
// the upstream is being connected to.
func (l *uringLoop) welcome(fd int32, ln *Listener, from netip.AddrPort) {
	if c := l.admit(fd, ln, from); c != nil {
		l.recv(c, client, false)
		l.begin(c)
	}
}

func (l *uringLoop) prefaced(*conn) {} // see welcome

func (l *uringLoop) connect(c *conn) Reason {
	if c.mode == modeReady { // of a pool, or for a client that left the ring
		return l.loop.connect(c)
	}
	if r := l.openUpstream(c); r != None {
		return r
	}
	q, _ := l.ring.Next()
	q.Op, q.FD, q.OpFlags = ring.OpPollAdd, c.ends[upstream].fd, unix.POLLOUT
	q.Data = connData(kindConnect, c, upstream)
	c.ends[upstream].poll = true
	l.live++
	return None
}

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
	if e.poll {
		l.abandon(connData(kindConnect, c, s))
	}
	if e.watch {
		l.abandon(connData(kindWatch, c, s))
	}
	q, _ := l.ring.Next()
	q.Op, q.FD, q.Flags, q.Data = ring.OpClose, e.fd, ring.SkipSuccess, kindNone.data(0)
	e.fd = -1
	e.recv, e.poll, e.watch = false, false, false
}

// adopted: in modeRing the ring alone is to tell of the socket.
func (l *uringLoop) adopted(c *conn) bool {
	if c.mode == modeReady {
		return l.loop.adopted(c)
	}
	return sysEpollCtl(l.ep, unix.EPOLL_CTL_DEL, c.ends[upstream].fd, nil) == 0
}

func (l *uringLoop) abandon(data uint64) {
	l.dying[data] = true
	l.cancel(data)
}

// attend: an end that has sent its FIN is received from no more, so a reset of it would not be seen in modeRing.
func (l *uringLoop) attend(c *conn) {
	if c.halfClosed() {
		l.leave(c)
	}
}
