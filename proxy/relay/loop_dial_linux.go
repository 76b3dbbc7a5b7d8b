package relay

import (
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// openUpstream gives c a socket that is being connected to its endpoint.
func (l *loop) openUpstream(c *conn) Reason {
	if r := l.openSocket(c); r != None {
		return r
	}
	l.sa.set(c.flow.Endpoint.Addr)
	_, e := raw3(unix.SYS_CONNECT, uintptr(c.ends[upstream].fd), uintptr(unsafe.Pointer(&l.sa.raw)), uintptr(l.sa.len))
	if e != 0 && e != unix.EINPROGRESS {
		return connectReason(e)
	}
	return None
}

// openSocket gives c a socket to connect to its endpoint, bound to the endpoint's local address if it has one.
func (l *loop) openSocket(c *conn) Reason {
	family := uintptr(unix.AF_INET6)
	if c.flow.Endpoint.Addr.Addr().Unmap().Is4() {
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
	switch e := sysSocketError(c.ends[upstream].fd); {
	case e != 0:
		l.notEstablished(c, e)
	case events&unix.EPOLLOUT != 0 && events&unix.EPOLLERR == 0:
		l.connected(c)
	default:
		l.dialFailed(c, ConnectRefused)
	}
}

// notEstablished acts on the error of a socket that was being connected.
func (l *loop) notEstablished(c *conn, e syscall.Errno) {
	if e == unix.ECONNRESET || e == unix.EPIPE {
		// Established and reset since: what the upstream sent in between is still to be read. EPIPE: its FIN, too.
		c.ends[upstream].reset = e == unix.ECONNRESET
		l.connected(c)
		return
	}
	l.dialFailed(c, connectReason(e))
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
