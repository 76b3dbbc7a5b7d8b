package relay

import (
	"net/netip"
	"time"
)

// How a loop of the io_uring engine comes to stand still. Every connection leaves the ring, so that no request of it is with the
// kernel: a receive that is left would take bytes that belong to the next process, and would keep the socket open after its close.

// restLook is how long a turn takes at most while a loop comes to rest.
const restLook = time.Millisecond

// standStill: see host. The loop turns on until it is at rest.
func (l *uringLoop) standStill(s *standstill) {
	l.freezing = s
	if l.can.AcceptPollFirst {
		for _, a := range l.lns {
			if a.fd >= 0 {
				l.setAccept(a, false)
			}
		}
	}
	l.conns.each(l.leave)
	l.noWait = true
}

// comeToRest stands still once nothing is with the kernel any more but the poll of the epoll instance.
func (l *uringLoop) comeToRest() {
	s := l.freezing
	if !s.ended() {
		if !l.atRest() {
			return
		}
		l.loop.standStill(s)
	}
	l.freezing = nil
	if l.done {
		return
	}
	l.conns.each(func(c *conn) {
		if c.mode == modeReady && c.calm == asleep {
			l.wake(c)
		}
	})
	if !l.can.AcceptPollFirst {
		return
	}
	for _, a := range l.lns {
		if a.fd >= 0 && !a.paused {
			l.setAccept(a, true)
		}
	}
}

// atRest reports whether the kernel has no request of a connection or a listener. The requests of what was closed count as well.
func (l *uringLoop) atRest() bool {
	if !l.idle() { // which is known without a look at thousands of connections
		return false
	}
	leaving := 0
	l.conns.each(func(c *conn) {
		if l.arrive(c); c.mode == modeLeaving { // one whose attempt was given up waits for nothing that comes
			leaving++
		}
	})
	return leaving == 0 && l.idle()
}

// idle reports whether the ring has nothing to do but to watch the epoll instance.
func (l *uringLoop) idle() bool {
	watched := 0
	if l.epollWatched {
		watched = 1
	}
	return l.live == watched && len(l.sends) == 0 && len(l.cancelling) == 0 && l.ring.Pending() == 0
}

// welcomeReady takes a client whose accept was under way when the loop began to come to rest.
func (l *uringLoop) welcomeReady(fd int32, ln *Listener, from netip.AddrPort) {
	c := l.admit(fd, ln, from)
	if c == nil {
		return
	}
	c.mode = modeReady
	if !l.watch(c, client) {
		l.finish(c, Internal)
		return
	}
	l.begin(c)
}
