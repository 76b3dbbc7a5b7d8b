package relay

import (
	"net/netip"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// What the core asks of the epoll engine: see transport.

// EPOLLPRI tells of urgent data, see end.urgent.
const watched = unix.EPOLLPRI | unix.EPOLLIN | unix.EPOLLOUT | unix.EPOLLRDHUP | unix.EPOLLET

// watch registers an end, once for all its life. Closing the descriptor ends it, since no other refers to the socket.
func (l *loop) watch(c *conn, s side) bool { return l.register(c, s, unix.EPOLL_CTL_ADD) }

func (l *loop) register(c *conn, s side, op int) bool {
	ev := unix.EpollEvent{Events: watched, Fd: int32(c.slot<<1 | uint32(s)), Pad: int32(c.gen)}
	return sysEpollCtl(l.ep, op, c.ends[s].fd, &ev) == 0
}

func (l *loop) connect(c *conn) Reason {
	if r := l.openUpstream(c); r != None {
		return r
	}
	if !l.watch(c, upstream) {
		return Internal
	}
	return None
}

// openUpstream gives c a socket that is being connected to its endpoint.
func (l *loop) openUpstream(c *conn) Reason {
	to := c.flow.Endpoint.Addr
	family := uintptr(unix.AF_INET6)
	if to.Addr().Unmap().Is4() {
		family = unix.AF_INET
	}
	n, e := raw3(unix.SYS_SOCKET, family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if e != 0 {
		return connectReason(e)
	}
	fd := int32(n)
	c.ends[upstream] = end{fd: fd, tag: c.ends[upstream].tag + 1}
	_ = sysSetInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if local := c.flow.Endpoint.Local; local.IsValid() {
		if e := l.bindLocal(fd, local); e != 0 {
			return connectReason(e)
		}
	}
	l.sa.set(to)
	_, e = raw3(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&l.sa.raw)), uintptr(l.sa.len))
	if e != 0 && e != unix.EINPROGRESS {
		return connectReason(e)
	}
	return None
}

// bindLocal sets the address to connect from. With IP_BIND_ADDRESS_NO_PORT the port is chosen by connect, so that it need
// be free for that destination only, ip(7). An address that this host has not fails like ports that have run out.
func (l *loop) bindLocal(fd int32, local netip.Addr) syscall.Errno {
	_ = sysSetInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1) // unknown before 4.2: then bind chooses
	l.sa.set(netip.AddrPortFrom(local, 0))
	_, e := raw3(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&l.sa.raw)), uintptr(l.sa.len))
	return e
}

// dialEvent acts on an event of an upstream that is being connected to.
func (l *loop) dialEvent(c *conn, events uint32) {
	if events&(unix.EPOLLERR|unix.EPOLLHUP) == 0 {
		if events&unix.EPOLLOUT != 0 {
			l.established(c)
		}
		return
	}
	switch e := sysSocketError(c.ends[upstream].fd); e {
	case 0:
		if events&unix.EPOLLOUT != 0 && events&unix.EPOLLERR == 0 {
			l.connected(c)
			return
		}
		l.dialFailed(c, ConnectRefused)
	case unix.ECONNRESET, unix.EPIPE:
		// Established and reset since: what the upstream sent in between is still to be read. EPIPE: its FIN, too.
		c.ends[upstream].reset = e == unix.ECONNRESET
		l.connected(c)
	default:
		l.dialFailed(c, connectReason(e))
	}
}

// established begins the relaying, unless the connection is to itself: a connect to a port of this machine that nobody
// listens on may get that very port as its local one, and TCP then connects the socket to itself.
func (l *loop) established(c *conn) {
	if to := c.flow.Endpoint.Addr; to.Addr().IsLoopback() && to.Port() >= ephemeralFirst && localAddr(c.ends[upstream].fd) == to {
		l.dialFailed(c, ConnectRefused)
		return
	}
	l.connected(c)
}

// ephemeralFirst is the lowest port that the kernel chooses by itself, net.ipv4.ip_local_port_range as it comes.
const ephemeralFirst = 32768

func (l *loop) start(c *conn) { l.drive(c) }

// adopted has the events of the upstream's socket reported for c. Those that wait are reported again.
func (l *loop) adopted(c *conn) bool { return l.register(c, upstream, unix.EPOLL_CTL_MOD) }

func (l *loop) later(d time.Duration, f func()) { l.mail.later(d, f) }

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

func (l *loop) prefaced(*conn) {} // the client's first event brings it to readPreface

// readPreface collects the client's first bytes until the policy has seen enough.
func (l *loop) readPreface(c *conn) {
	h, src := &c.halves[client], &c.ends[client]
	for src.rd {
		room := MaxPreface
		if h.hold != nil {
			room -= h.hold.to
		}
		n, e := sysRecv(src.fd, l.buf[:room])
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

func (l *loop) acked(c *conn, s side) bool {
	e := &c.ends[s]
	if e.fd < 0 || e.reset {
		return true
	}
	n, errno := sysQueued(e.fd, unix.TIOCOUTQ)
	return errno != 0 || n == 0
}

func (l *loop) release(h *half) {
	if h.hold != nil {
		l.bufs.put(h.hold)
		h.hold = nil
	}
	if h.pipe == nil {
		return
	}
	if h.inPipe > 0 { // a pipe with bytes in it would give them to its next user
		l.pipes.destroy(h.pipe)
	} else {
		l.pipes.put(h.pipe)
	}
	h.pipe, h.inPipe = nil, 0
}

func (l *loop) keepalive(c *conn, s side) {
	setKeepalive(c.ends[s].fd, l.opts.Keepalive)
	limitUnsent(c.ends[s].fd)
}

func (l *loop) attend(*conn) {} // every event is seen

func (l *loop) unread(c *conn, s side) bool {
	n, e := sysQueued(c.ends[s].fd, unix.TIOCINQ)
	return e == 0 && n > 0
}

func (l *loop) localAddr(fd int32) netip.AddrPort { return localAddr(fd) }
