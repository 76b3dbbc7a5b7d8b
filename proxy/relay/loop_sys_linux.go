package relay

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// The calls of the data path are raw: they do not tell the scheduler. Each returns at once, since every descriptor is
// non-blocking, so there is nothing the scheduler could use the processor for, and entering and leaving it would cost
// more than many of the calls themselves.
//
// raw3 and raw6 are given addresses as numbers. Where they are inlined, as they are, that is what syscall.RawSyscall6 is made
// for; nosplit keeps it right where they are not: the stack, and what is on it, does not move before the call.

//go:nosplit
func raw3(nr, a, b, c uintptr) (int, syscall.Errno) {
	r, _, e := syscall.RawSyscall(nr, a, b, c)
	return int(r), e
}

//go:nosplit
func raw6(nr, a, b, c, d, e, f uintptr) (int, syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(nr, a, b, c, d, e, f)
	return int(r), errno
}

// sysRecv receives into b, which is not empty, from a socket: recv(2).
func sysRecv(fd int32, b []byte) (int, syscall.Errno) {
	return raw6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
}

// sysRead reads into b, which is not empty: read(2).
func sysRead(fd int32, b []byte) (int, syscall.Errno) {
	return raw3(unix.SYS_READ, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)))
}

// sysSend sends b, which is not empty, without SIGPIPE: send(2).
func sysSend(fd int32, b []byte) (int, syscall.Errno) {
	return raw6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
}

// sysSplice moves up to n bytes from one descriptor to another, one of them a pipe: splice(2).
func sysSplice(from, to int32, n int) (int, syscall.Errno) {
	return raw6(unix.SYS_SPLICE, uintptr(from), 0, uintptr(to), 0, uintptr(n), unix.SPLICE_F_NONBLOCK|unix.SPLICE_F_MOVE)
}

// sysClose closes a descriptor: close(2).
func sysClose(fd int32) {
	// The error is of no use: the descriptor is gone whatever close(2) returns.
	_, _ = raw3(unix.SYS_CLOSE, uintptr(fd), 0, 0)
}

// sysShutdownWrite sends a FIN after all that was sent: shutdown(2).
func sysShutdownWrite(fd int32) {
	// It fails only where the peer has reset, which the next read finds.
	_, _ = raw3(unix.SYS_SHUTDOWN, uintptr(fd), unix.SHUT_WR, 0)
}

// sysSetInt sets a socket option that takes an int.
func sysSetInt(fd int32, level, name int, v int32) syscall.Errno {
	_, e := raw6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(name), uintptr(unsafe.Pointer(&v)), 4, 0)
	return e
}

// sysResetOnClose makes close send a reset and discard what is unsent: socket(7), SO_LINGER with a timeout of 0.
func sysResetOnClose(fd int32) {
	v := [2]int32{1, 0}
	_, _ = raw6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&v)), 8, 0)
}

// sysSocketError returns and clears the pending error of a socket.
func sysSocketError(fd int32) syscall.Errno {
	var v, n int32 = 0, 4
	if _, e := raw6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_ERROR,
		uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&n)), 0); e != 0 {
		return e
	}
	return syscall.Errno(v)
}

// sysPoll returns which events a descriptor has now, of those asked for and POLLERR and POLLHUP: poll(2). 0: none, or an
// error.
func sysPoll(fd int32, events int16) int16 {
	p := unix.PollFd{Fd: fd, Events: events}
	var now unix.Timespec
	if n, _ := raw6(unix.SYS_PPOLL, uintptr(unsafe.Pointer(&p)), 1, uintptr(unsafe.Pointer(&now)), 0, 0, 0); n <= 0 {
		return 0
	}
	return p.Revents
}

// sysQueued returns the bytes that a socket holds: TIOCINQ those unread, TIOCOUTQ those not yet acknowledged, tcp(7).
func sysQueued(fd int32, what uintptr) (int, syscall.Errno) {
	var v int32
	_, e := raw3(unix.SYS_IOCTL, uintptr(fd), what, uintptr(unsafe.Pointer(&v)))
	return int(v), e
}

// queuedBy is how much memory the kernel uses for the queues of a socket, in bytes: SO_MEMINFO, linux/sock_diag.h.
func queuedBy(fd int32) int64 {
	const received, unacknowledged = 0, 5 // SK_MEMINFO_RMEM_ALLOC, SK_MEMINFO_WMEM_QUEUED
	var v [9]uint32
	n := uint32(unsafe.Sizeof(v))
	if _, e := raw6(unix.SYS_GETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_MEMINFO, uintptr(unsafe.Pointer(&v)), uintptr(unsafe.Pointer(&n)), 0); e != 0 {
		return 0
	}
	return int64(v[received]) + int64(v[unacknowledged])
}

// sysEpollCtl changes for what events of fd the epoll instance is asked: epoll_ctl(2).
func sysEpollCtl(ep int32, op int, fd int32, ev *unix.EpollEvent) syscall.Errno {
	_, e := raw6(unix.SYS_EPOLL_CTL, uintptr(ep), uintptr(op), uintptr(fd), uintptr(unsafe.Pointer(ev)), 0, 0)
	return e
}

// sysEpollWait polls, or sleeps for up to ms milliseconds without telling the scheduler.
func sysEpollWait(ep int32, evs []unix.EpollEvent, ms int) (int, syscall.Errno) {
	return raw6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&evs[0])), uintptr(len(evs)), uintptr(ms), 0, 0)
}

// sysEpollSleep is sysEpollWait for as long as it takes: the scheduler may use the processor for other goroutines.
func sysEpollSleep(ep int32, evs []unix.EpollEvent, ms int) (int, syscall.Errno) {
	r, _, e := syscall.Syscall6(unix.SYS_EPOLL_PWAIT, uintptr(ep), uintptr(unsafe.Pointer(&evs[0])), uintptr(len(evs)), uintptr(ms), 0, 0)
	return int(r), e
}
