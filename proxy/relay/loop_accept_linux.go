package relay

import (
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// acceptSome takes one client, and more only where the listener keeps being reported: asking an empty queue is a wasted
// call, and what is left is reported again.
func (l *loop) acceptSome(a *acceptor) {
	if a.turn+1 == l.turns {
		a.burst = min(max(2*a.burst, 1), acceptBurst)
	} else {
		a.burst = 1
	}
	a.turn = l.turns
	if !l.accept(a, a.burst) {
		a.turn = 0 // begins with one again
	}
}

// accept takes up to limit clients from the kernel's queue. It returns false once the queue is empty, or nothing can be taken from it.
func (l *loop) accept(a *acceptor, limit int) bool {
	for range limit {
		l.sa.room()
		n, e := raw6(unix.SYS_ACCEPT4, uintptr(a.fd), uintptr(unsafe.Pointer(&l.sa.raw)), uintptr(unsafe.Pointer(&l.sa.len)),
			unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			l.host.welcome(int32(n), a.ln, l.sa.addr())
		case unix.EAGAIN:
			return false
		default:
			if starved(e) {
				l.pause(a)
				return false
			} // Any other error is that of the connection, which is gone: accept(2).
		}
	}
	return true
}

// starved reports whether accept failed for a reason that stays for a while: no descriptor or memory, or no listener.
func starved(e syscall.Errno) bool {
	switch e {
	case unix.EMFILE, unix.ENFILE, unix.ENOBUFS, unix.ENOMEM, unix.EBADF, unix.EINVAL, unix.ENOTSOCK:
		return true
	}
	return false
}

// pause leaves new clients in the kernel's queue for a while: there is no descriptor or memory for them, and the event
// would be reported again at once.
func (l *loop) pause(a *acceptor) {
	l.shared.pauses.Add(1)
	l.host.setAccept(a, false)
	a.paused = true
	l.mail.later(acceptPause, func() { l.resume(a) })
}

// resume accepts from a paused listener again.
func (l *loop) resume(a *acceptor) {
	if !a.paused || a.closed != nil || a.fd < 0 {
		return
	}
	if !l.host.setAccept(a, true) { // no memory for it: later
		l.mail.later(acceptPause, func() { l.resume(a) })
		return
	}
	a.paused = false
}

// takeQueued serves the clients that the kernel has queued for a listener, and closes it.
func (l *loop) takeQueued(a *acceptor) {
	for n := 0; n < listenBacklog && l.accept(a, acceptBurst); n += acceptBurst {
	}
	sysClose(a.fd)
	a.fd = -1
}
