package health

import (
	"net"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// unread reports whether the caller has sent more than the got bytes that were read of it. False if the connection has no socket,
// or none any more. TCP counts what came, so that nothing is missed between the kernel's hands and ours; of another socket's bytes
// only those are known that still wait.
func unread(raw syscall.RawConn, got uint64) (more bool) {
	_ = raw.Control(func(fd uintptr) {
		if info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO); err == nil {
			more = info.Bytes_received > got
			return
		}
		n, err := unix.IoctlGetInt(int(fd), unix.TIOCINQ)
		more = err == nil && n > 0
	})
	return more
}

// holdBack has the kernel keep callers of a TCP port until they have sent something (TCP_DEFER_ACCEPT, see tcp(7)): those that are
// silent for so long are accepted then. It returns how many were in the queue before; ok is false if the kernel keeps nobody, as for
// a Unix socket.
func holdBack(l net.Listener, silence time.Duration) (before int, ok bool) {
	s, is := l.(syscall.Conn)
	if !is {
		return 0, false
	}
	raw, err := s.SyscallConn()
	if err != nil {
		return 0, false
	}
	_ = raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_DEFER_ACCEPT, int(silence.Seconds())) != nil {
			return
		}
		info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
		if ok = err == nil; ok {
			before = int(info.Unacked) // of a listening socket: those that wait to be accepted
		}
	})
	return before, ok
}
