package relay

import (
	"context"
	"net"
	"time"

	"golang.org/x/sys/unix"
)

const (
	ackStep = 2 * time.Millisecond
	ackMax  = 5 * time.Second

	tcpClose = 7 // TCP_CLOSE of linux/tcp_states.h, as tcpi_state gives it
)

// socketClosed reports whether the kernel has no connection behind sock any more.
func socketClosed(sock *net.TCPConn) (closed bool) {
	control(sock, func(fd int) {
		info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
		closed = err == nil && info.State == tcpClose
	})
	return closed
}

// awaitAcked returns once the peer has acknowledged all that was written, or is gone, or after ackMax; or if it is the
// upstream and does not read.
func awaitAcked(ctx context.Context, sock *net.TCPConn, s side) {
	tick := time.NewTicker(ackStep)
	defer tick.Stop()
	for end := time.Now().Add(ackMax); unacked(sock) > 0 && !socketClosed(sock) && (s == client || !peerDoesNotRead(sock)) && time.Now().Before(end); {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

// peerDoesNotRead: see doesNotRead.
func peerDoesNotRead(sock *net.TCPConn) (closed bool) {
	control(sock, func(fd int) { closed = doesNotRead(fd) })
	return closed
}

// acknowledgementBy: see acknowledgementOf.
func acknowledgementBy(sock *net.TCPConn) (a acknowledgement) {
	control(sock, func(fd int) { a = acknowledgementOf(int32(fd)) })
	return a
}

// queuedFor: see queuedBy.
func queuedFor(sock *net.TCPConn) (n int64) {
	control(sock, func(fd int) { n = queuedBy(int32(fd)) })
	return n
}

// legBy: see legOf.
func legBy(g *Leg, sock *net.TCPConn) {
	control(sock, func(fd int) { legOf(g, int32(fd)) })
}

// unacked is how many bytes the peer has not acknowledged, tcp(7) SIOCOUTQ. A socket that was reset keeps its count.
func unacked(sock *net.TCPConn) (n int) {
	control(sock, func(fd int) { n, _ = unix.IoctlGetInt(fd, unix.SIOCOUTQ) })
	return n
}

// bindWithoutPort leaves the choice of the port to connect: see loop.bindLocal.
func bindWithoutPort(fd int) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
}

// control calls f with the descriptor of sock, unless it is closed.
func control(sock *net.TCPConn, f func(fd int)) {
	if raw, err := sock.SyscallConn(); err == nil {
		raw.Control(func(fd uintptr) { f(int(fd)) })
	}
}
