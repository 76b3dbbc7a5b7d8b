package relay

import (
	"os"
	"sync/atomic"

	"golang.org/x/sys/unix"
)

// loop is one event loop of a Linux engine: a goroutine that owns its connections, its listening sockets and an epoll
// instance. Nothing in it is shared but the mailbox and the figures. The epoll engine is no more than that; a uringLoop
// adds a ring.
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
	first    *standstill // not nil: before the first turn
	turns    uint64
	woken    int64        // when there was something to do last
	advanced uint64       // turn in which timers were looked at last
	busy     atomic.Int64 // nanoseconds worked, estimated from every busySample-th turn
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

// init makes l a loop. An error leaves nothing open.
func (l *loop) init(id int, o *Options, s *shared) error {
	share, size := pipeShare(o.Loops)
	*l = loop{
		core:   core{opts: o, id: id, shared: s, notice: int64(settled), debts: map[uint32]*[2]debt{}},
		ep:     -1,
		events: make([]unix.EpollEvent, turnEvents),
		buf:    make([]byte, bufferMax),
		pipes:  pipes{open: &s.pipes, max: share, size: size},
	}
	l.mail.fd = -1
	l.io = l
	l.scratch = l.buf
	l.host = l
	l.fire = l.expire
	l.timers.tick = uint64(l.clock()) / wheelTick
	ep, err := unix.EpollCreate1(unix.EPOLL_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("epoll_create1", err)
	}
	l.ep = int32(ep)
	if err := l.mail.open(); err != nil {
		sysClose(l.ep)
		return err
	}
	ev := unix.EpollEvent{Events: unix.EPOLLIN, Fd: keyMail}
	if errno := sysEpollCtl(l.ep, unix.EPOLL_CTL_ADD, l.mail.fd, &ev); errno != 0 {
		l.close()
		return os.NewSyscallError("epoll_ctl", errno)
	}
	return nil
}

// close closes all that the loop has open. Its connections have ended.
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

// tune has the loop go by t from now on.
func (l *loop) tune(t Tuning) {
	o := *l.opts
	o.Tuning = t
	l.opts = &o
	for _, a := range l.lns {
		if a.fd >= 0 {
			inheritOptions(int(a.fd), t.Keepalive)
		}
	}
}

// release gives back the buffer and the pipe of a half.
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
