package relay

import (
	"net/netip"
	"syscall"
	"unsafe"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
	"golang.org/x/sys/unix"
)

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

// acceptOne asks for a client by call k, unless the kernel has that call already.
func (l *uringLoop) acceptOne(a *acceptor, k int) {
	call := &a.calls[k]
	if call.armed || l.freezing != nil {
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

// acceptDone acts on the end of call k of listener i: a client, an error, or a cancellation.
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
	if l.freezing != nil {
		l.welcomeReady(fd, ln, from)
		return
	}
	if c := l.admit(fd, ln, from); c != nil {
		l.recv(c, client, false)
		l.begin(c)
	}
}
