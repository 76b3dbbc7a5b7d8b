package relay

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
)

// connect: see transport. In modeRing it is a request: connect(2) wakes the origin, which would preempt the loop in the middle
// of its batch, and a poll for the end of connecting would be another request.
func (l *uringLoop) connect(c *conn) Reason {
	switch c.mode {
	case modeReady: // of a pool, beside another attempt, or for a client that left the ring
		return l.loop.connect(c)
	case modeLeaving: // arrive has the socket watched
		return l.openUpstream(c)
	}
	if r := l.openSocket(c); r != None {
		return r
	}
	q, n := l.ring.Next()
	to := l.addrs.get(n)
	to.set(c.flow.Endpoint.Addr)
	q.Op, q.FD, q.Data = ring.OpConnect, c.ends[upstream].fd, connData(kindConnect, c, upstream)
	q.Addr, q.Off = uint64(uintptr(unsafe.Pointer(&to.raw))), uint64(to.len)
	c.ends[upstream].dial = true
	l.live++
	return None
}

// connectDone acts on the end of connecting to an upstream. A connection that was established and reset before the kernel looked
// has ECONNRESET, like one whose socket error is asked for (io_connect in io_uring/net.c); it is never ECONNREFUSED then.
func (l *uringLoop) connectDone(q *ring.CQE) {
	l.live--
	c, s := l.find(q.Data)
	if c == nil || c.phase != phaseDialing || !c.ends[s].dial || c.ends[s].tag&tagMask != uint8(q.Data>>tagShift)&tagMask {
		delete(l.cancelling, q.Data) // of an attempt that was given up
		return
	}
	c.ends[s].dial = false
	switch e := syscall.Errno(-min(q.Res, 0)); {
	case c.mode == modeLeaving && (e == 0 || e == unix.ECANCELED):
		l.arrive(c) // epoll tells how it ends, or has ended
	case (e == unix.ECONNRESET || e == unix.EPIPE) && disconnected(c.ends[s].fd):
		l.dialFailed(c, ConnectRefused) // what came before the reset is lost: the next attempt may have it again
	case e != 0: // nobody else tells of the error: this completion took it from the socket
		l.notEstablished(c, e)
	default:
		l.established(c)
	}
}

// disconnected reports whether the kernel has made the socket of a connect new again, and dropped what it had received. io_connect
// waits, and calls connect anew unless it sees an error; if a reset comes between the look and the call, that call does so
// (inet_stream_connect). A socket that was only reset is shut down for reading.
func disconnected(fd int32) bool {
	return sysPoll(fd, unix.POLLRDHUP)&(unix.POLLRDHUP|unix.POLLHUP) == unix.POLLHUP
}

// get returns room for the address of a request, which is the kernel's until reuse finds the request taken.
func (a *connectAddrs) get(request uint32) *sockaddr {
	if len(a.free) == 0 {
		a.free = append(a.free, new(sockaddr))
	}
	n := len(a.free) - 1
	s := a.free[n]
	a.free = a.free[:n]
	a.used = append(a.used, connectAddr{request, s})
	return s
}

// reuse takes back the addresses of requests that the kernel has taken.
func (a *connectAddrs) reuse(r *ring.Ring) {
	n := 0
	for n < len(a.used) && r.Taken(a.used[n].request) {
		a.free = append(a.free, a.used[n].sockaddr)
		n++
	}
	a.used = a.used[:copy(a.used, a.used[n:])]
}
