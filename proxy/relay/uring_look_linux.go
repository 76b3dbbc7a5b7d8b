package relay

import (
	"time"

	"golang.org/x/sys/unix"
)

// lookAfter is how long after a receive that stays was asked for, or brought something, its socket is looked at.
const lookAfter = 100 * time.Millisecond

// A receive that stays may wait for an event although its socket has something to read:
//
//   - At the mark of urgent data tcp_recvmsg gives up with EAGAIN where a signal is pending, as the one is by which Go's
//     runtime asks for its processor. The receive takes that for an empty socket. A poll for POLLPRI does not wake up for
//     urgent data (IO_ASYNC_POLL_COMMON in io_uring/poll.c): it finds only those that are there when it is asked for.
//   - A receive can miss a FIN that comes together with data, on kernels without the fix of CVE-2026-23473.
//
// Both are rare, and a request a message would be needed to exclude them. So what is left lying is found by a look at a
// socket now and then, for as long as it is in use, and the poll of watchReset finds the ends.

// lookLater has the ends of c looked at, unless that is to come already.
func (l *uringLoop) lookLater(c *conn) {
	if c.look || c.halfClosed() {
		return
	}
	c.look = true
	l.timers.set(c.slot, l.now+int64(lookAfter))
}

// attend: an end that has sent its FIN is received from no more, so a reset of it would not be seen in modeRing. A socket
// with something that its receive does not bring is served in modeReady.
func (l *uringLoop) attend(c *conn) (again int64) {
	if c.halfClosed() {
		l.leave(c)
		return 0
	}
	if !c.look || c.mode != modeRing {
		return 0
	}
	if l.stuck(c, client) || l.stuck(c, upstream) {
		l.leave(c)
		return 0
	}
	if c.look = l.now < c.active+int64(lookAfter); c.look {
		return int64(lookAfter) // one look after the last message
	}
	return 0
}

// giveUp: see transport. The halves are judged once the kernel has no request of the connection.
func (l *uringLoop) giveUp(c *conn) {
	switch c.mode {
	case modeRing:
		l.leave(c)
	case modeReady:
		l.settle(c)
	}
}

// stuck reports whether the end s has something to read, while its receive waits and nothing moves.
func (l *uringLoop) stuck(c *conn, s side) bool {
	e := &c.ends[s]
	if !e.watch || !e.recv {
		return false
	}
	events := sysPoll(e.fd, unix.POLLIN|unix.POLLPRI)
	return events&unix.POLLPRI != 0 || events != 0 && l.now >= c.active+int64(lookAfter)
}
