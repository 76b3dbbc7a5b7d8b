package relay

import (
	"net/netip"
	"time"

	"golang.org/x/sys/unix"
)

// What the core asks of the epoll engine: see transport.

// EPOLLPRI tells of urgent data, see end.urgent.
const watchedEvents = unix.EPOLLPRI | unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// watch registers an end, once for all its life. Closing the descriptor ends it, since no other refers to the socket.
func (l *loop) watch(c *conn, s side) bool { return l.register(c, s, unix.EPOLL_CTL_ADD) }

// register has the events of an end reported under the connection's slot, generation and side. false: no memory.
func (l *loop) register(c *conn, s side, op int) bool {
	ev := unix.EpollEvent{Events: watchedEvents, Fd: int32(c.slot<<1 | uint32(s)), Pad: int32(c.gen)}
	return sysEpollCtl(l.ep, op, c.ends[s].fd, &ev) == 0
}

// start: see transport.
func (l *loop) start(c *conn) { l.drive(c) }

// adopted has the events of the upstream's socket reported for c. Those that wait are reported again.
func (l *loop) adopted(c *conn) bool { return l.register(c, upstream, unix.EPOLL_CTL_MOD) }

// later: see transport.
func (l *loop) later(d time.Duration, f func()) { l.mail.later(d, f) }

// greet: see transport.
func (l *loop) greet(c *conn, b []byte) bool {
	if c.ends[upstream].reset {
		return true // nobody is there to read it
	}
	n, e := sysSend(c.ends[upstream].fd, b)
	if e == unix.ECONNRESET || e == unix.EPIPE { // reset in the instant of connecting: as for any other byte
		l.writeEnded(c, client, e)
		return true
	}
	return e == 0 && n == len(b)
}

// prefaced: see transport.
func (l *loop) prefaced(*conn) {} // the client's first event brings it to readPreface

// hangUp: see transport.
func (l *loop) hangUp(c *conn, s side, reset bool) {
	e := &c.ends[s]
	if e.fd < 0 {
		return
	}
	if reset {
		sysResetOnClose(e.fd)
	}
	sysClose(e.fd)
	e.fd = -1
}

// acked: see transport.
func (l *loop) acked(c *conn, s side) bool {
	e := &c.ends[s]
	if e.fd < 0 || e.reset {
		return true
	}
	n, errno := sysQueued(e.fd, unix.TIOCOUTQ)
	return errno != 0 || n == 0 || s == upstream && doesNotRead(int(e.fd))
}

// windowShut: see transport.
func (l *loop) windowShut(c *conn, s side) bool { return doesNotRead(int(c.ends[s].fd)) }

// keepalive: see transport.
func (l *loop) keepalive(c *conn, s side) {
	setKeepalive(c.ends[s].fd, l.opts.Keepalive)
	limitUnsent(c.ends[s].fd)
}

// attend: see transport.
func (l *loop) attend(*conn) int64 { return 0 } // every event is seen

// acknowledged: see transport.
func (l *loop) acknowledged(c *conn, s side) acknowledgement {
	return acknowledgementOf(c.ends[s].fd)
}

// queued: see transport.
func (l *loop) queued(c *conn, s side) int64 { return queuedBy(c.ends[s].fd) }

// lost: see transport.
func (l *loop) lost(c *conn, s side) bool { return lostErrno(sysSocketError(c.ends[s].fd)) }

// giveUp: see transport.
func (l *loop) giveUp(c *conn) { l.settle(c) }

// unread: see transport.
func (l *loop) unread(c *conn, s side) bool {
	n, e := sysQueued(c.ends[s].fd, unix.TIOCINQ)
	return e == 0 && n > 0
}

// localAddr: see transport.
func (l *loop) localAddr(fd int32) netip.AddrPort { return localAddr(fd) }

// connect: see transport.
func (l *loop) connect(c *conn) Reason {
	if r := l.openUpstream(c); r != None {
		return r
	}
	if !l.watch(c, upstream) {
		return Internal
	}
	return None
}
