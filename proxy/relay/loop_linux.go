package relay

import (
	"net/netip"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// loop is one event loop of the epoll engine: a goroutine that owns its connections, its listening sockets and an epoll
// instance. Nothing in it is shared but the mailbox and the figures.
type loop struct {
	core
	ep       int32
	events   []unix.EpollEvent
	lns      []*acceptor
	again    []uint32 // slots of connections that used up their budget
	spare    []uint32
	buf      []byte // what a read fills; never kept over a turn
	sa       sockaddr
	pipes    pipes
	host     host
	mail     mailbox
	done     bool
	turns    uint64
	woken    int64        // when there was something to do last
	advanced uint64       // turn in which timers were looked at last
	busy     atomic.Int64 // nanoseconds worked, estimated from every busySample-th turn
}

// host is what the engines do differently about listeners.
type host interface {
	// welcome takes an accepted client.
	welcome(fd int32, ln *Listener, from netip.AddrPort)
	// setAccept begins or ends to accept from a listener. It returns false if there is no memory for it.
	setAccept(a *acceptor, on bool) bool
	// retire serves the clients that the kernel has queued for a listener, closes it, and calls closed.
	retire(a *acceptor, closed func())
}

// acceptor is a listening socket of a loop.
type acceptor struct {
	fd     int32
	index  int // in loop.lns
	ln     *Listener
	shared bool   // other loops accept from the same socket
	paused bool   // waits for descriptors or memory
	burst  int    // how many to accept in one go
	turn   uint64 // in which it was reported last

	// Of the io_uring engine.
	calls  []acceptCall
	armed  int    // calls that the kernel has
	closed func() // not nil: it is closed, and this called, once the kernel has none
}

const (
	turnEvents  = 256 // events taken a turn
	acceptBurst = 16  // connections accepted a turn and listener at most, so that a flood does not starve the others
	busySample  = 16
	catchUp     = 100 // turns of full batches before timers are looked at all the same
	// napMillis is how long a loop sleeps without telling the scheduler. While there is traffic it is woken by the kernel
	// alone; only a loop that had nothing to do for that long pays for the scheduler. A nap holds a processor of the
	// runtime, so there is to be one more of them (GOMAXPROCS) than loops, and it ends early when the runtime wants the
	// processor: its preemption signal, sent by the collector at once and by sysmon after 10 ms, interrupts it. A loop
	// that had work within this time naps again then: once it sleeps in a system call the runtime knows of, sysmon takes
	// its processor away and looks after it every 20 µs for a while, which costs more than the traffic of a slow stream.
	// The time is long enough for its timer to come after the kernel's next tick, so that going to sleep does not
	// program the timer hardware, which is dear on virtual machines.
	napMillis = 50

	keyMail     = -1 // event keys that are no connection: the mailbox, and -2-i for listener i
	keyListener = -2
)

func (l *loop) run() {
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

func (l *loop) dispatch(ev *unix.EpollEvent) {
	if ev.Fd < 0 {
		if ev.Fd == keyMail {
			l.mail.deliver()
			return
		}
		if a := l.lns[keyListener-ev.Fd]; a.fd >= 0 { // not closed by an earlier event of this batch
			l.acceptSome(a)
		}
		return
	}
	c := l.conns.lookup(uint32(ev.Fd)>>1, uint32(ev.Pad))
	if c == nil {
		return // ended by an earlier event of this batch
	}
	l.ready(c, side(ev.Fd&1), ev.Events)
}

// ready acts on an event of a connection's end.
func (l *loop) ready(c *conn, s side, events uint32) {
	const gone = unix.EPOLLHUP | unix.EPOLLERR
	e := &c.ends[s]
	if events&(unix.EPOLLIN|unix.EPOLLPRI|unix.EPOLLRDHUP|gone) != 0 {
		e.rd = true
		if events&(unix.EPOLLRDHUP|gone) != 0 && !e.hup {
			e.hup = true
			l.tighten(c) // what is held may keep the end from being read
		}
		if events&unix.EPOLLPRI != 0 {
			e.urgent = true
		}
	}
	if events&unix.EPOLLOUT != 0 {
		e.wr = true
	}
	if c.phase == phaseDialing && s == upstream {
		l.dialEvent(c, events)
		return
	}
	switch c.phase {
	case phaseRelaying:
		if events&gone != 0 && c.halves[s].state != halfOpen {
			// Nobody reads this end any more, so a reset shows only here: what is meant for it is lost.
			c.happen(s.other(), eventBroken)
		}
		l.drive(c)
	case phasePreface:
		l.readPreface(c)
	case phaseDialing:
		if events&gone != 0 {
			l.clientGone(c)
		}
	case phaseLingering:
		if events&gone != 0 && s == c.linger {
			l.finish(c, c.reason)
		}
	case phaseWarm:
		if e.hup {
			l.chilled(c)
		}
	}
}

// clientGone ends the dialing for a client that has reset, unless it sent bytes before, which are to be delivered.
func (l *loop) clientGone(c *conn) {
	if c.halves[client].held() {
		return
	}
	if n, e := sysQueued(c.ends[client].fd, unix.TIOCINQ); e == 0 && n > 0 {
		return
	}
	l.finish(c, ClientReset)
}

// runAgain gives those that used up their budget another one.
func (l *loop) runAgain() {
	l.again, l.spare = l.spare[:0], l.again
	for _, slot := range l.spare {
		if c := l.conns.at(slot); c.queued {
			c.queued = false
			if c.phase == phaseRelaying {
				l.drive(c)
			}
		}
	}
}

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

// pause leaves new clients in the kernel's queue for a while: there is no descriptor or memory for them, and the event
// would be reported again at once.
func (l *loop) pause(a *acceptor) {
	l.shared.pauses.Add(1)
	l.host.setAccept(a, false)
	a.paused = true
	l.mail.later(acceptPause, func() { l.resume(a) })
}

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

// takeQueued serves the clients that the kernel has queued for a listener, and closes it.
func (l *loop) takeQueued(a *acceptor) {
	for n := 0; n < listenBacklog && l.accept(a, acceptBurst); n += acceptBurst {
	}
	sysClose(a.fd)
	a.fd = -1
}

func (l *loop) close() {
	for _, a := range l.lns {
		if a.fd >= 0 {
			sysClose(a.fd)
		}
	}
	l.shared.kept.Add(int64(l.bufs.inUse + l.pipes.used))
	l.pipes.close()
	l.mail.close()
	sysClose(l.ep)
}
