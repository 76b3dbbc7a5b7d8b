package relay

import (
	"net/netip"

	"golang.org/x/sys/unix"
)

// run turns the loop until done is set, then closes it.
func (l *loop) run() {
	if l.first != nil {
		l.standStill(l.first)
	}
	for !l.done {
		n := l.wait()
		for i := range l.events[:n] {
			l.dispatch(&l.events[i])
		}
		if len(l.again) > 0 {
			l.runAgain()
		}
		// A full batch means that there is more to see: after a pause of the process, what seems idle is about to be read.
		if n < turnEvents || l.turns-l.advanced > catchUp {
			l.timers.advance(l.now, l.fire)
			l.advanced = l.turns
		}
	}
	l.close()
}

// wait returns the number of events to work on; it sleeps while there is nothing to do.
func (l *loop) wait() int {
	if l.turns++; l.turns%busySample == 0 {
		l.busy.Add(busySample * (l.clock() - l.now))
	}
	limit := -1
	if len(l.again) > 0 {
		limit = 0
	} else if at, ok := l.timers.next(); ok {
		limit = int(max(at-l.now, 0)/1_000_000) + 1
	}
	nap := limit
	if uint(limit) > napMillis {
		nap = napMillis
	}
	n, e := sysEpollWait(l.ep, l.events, nap)
	if n <= 0 && nap != limit && l.clock()-l.woken >= napMillis*1_000_000 {
		n, e = sysEpollSleep(l.ep, l.events, limit)
	}
	l.now = l.clock()
	if e != 0 { // EINTR: the runtime's signal. Going back to the caller lets it have the processor.
		return 0
	}
	if n > 0 {
		l.woken = l.now
	}
	return n
}

// welcome: see host.
func (l *loop) welcome(fd int32, ln *Listener, from netip.AddrPort) {
	c := l.admit(fd, ln, from)
	if c == nil {
		return
	}
	if !l.watch(c, client) {
		l.finish(c, Internal)
		return
	}
	l.begin(c)
}

// enter: see host.
func (l *loop) enter(*conn) bool { return false }

// setAccept adds or removes the registration of a listening socket.
func (l *loop) setAccept(a *acceptor, on bool) bool {
	op := unix.EPOLL_CTL_DEL
	if on {
		op = unix.EPOLL_CTL_ADD
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: int32(keyListener - a.index)}
	if a.shared {
		ev.Events |= unix.EPOLLEXCLUSIVE
	}
	return sysEpollCtl(l.ep, op, a.fd, &ev) == 0
}

// retire: see host. A socket that was handed in stays open elsewhere, and with it the registration, which close would not
// end.
func (l *loop) retire(a *acceptor, closed func()) {
	l.setAccept(a, false)
	l.takeQueued(a)
	closed()
}
