package relay

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

const epollSupported = true

// epoll is the engine of event loops on epoll(7).
type epoll struct {
	shared shared
	loops  []*loop
	bound  []netip.AddrPort
	ended  sync.WaitGroup
	mu     sync.Mutex // one stop at a time
}

func startEpoll(o Options) (engine, error) {
	e := &epoll{shared: shared{base: time.Now()}}
	for i := range o.Loops {
		l, err := newLoop(i, &o, &e.shared)
		if err != nil {
			e.discard()
			return nil, fmt.Errorf("start event loop %d: %w", i, err)
		}
		e.loops = append(e.loops, l)
	}
	if err := e.listenAll(&o); err != nil {
		e.discard()
		return nil, err
	}
	for _, l := range e.loops {
		for i := range l.lns {
			if !l.setAccept(&l.lns[i], true) {
				e.discard()
				return nil, fmt.Errorf("start event loop %d: the kernel has no room to watch listener %q", l.id, l.lns[i].ln.Name)
			}
		}
	}
	for _, l := range e.loops {
		e.ended.Go(l.run)
	}
	return e, nil
}

func newLoop(id int, o *Options, s *shared) (*loop, error) {
	l := &loop{}
	return l, l.init(id, o, s)
}

// init makes l a loop of the epoll engine. An error leaves nothing open.
func (l *loop) init(id int, o *Options, s *shared) error {
	*l = loop{
		core:   core{opts: o, id: id, shared: s, notice: int64(settled)},
		ep:     -1,
		events: make([]unix.EpollEvent, turnEvents),
		buf:    make([]byte, bufferMax),
		pipes:  pipes{open: &s.pipes, max: max(pipesMax/o.Loops, 2)},
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

// listenAll opens the listeners. The error is a ListenError.
func (e *epoll) listenAll(o *Options) error {
	for i := range o.Listeners {
		addr, err := e.listen(&o.Listeners[i], o.Keepalive)
		if err != nil {
			return &ListenError{Listener: o.Listeners[i].Name, Addr: o.Listeners[i].Addr, Err: err}
		}
		e.bound = append(e.bound, addr)
	}
	return nil
}

// listen gives each loop a socket for ln.
func (e *epoll) listen(ln *Listener, k Keepalive) (netip.AddrPort, error) {
	var fds []int
	var addr netip.AddrPort
	var err error
	if ln.FD == 0 {
		fds, addr, err = openListeners(ln.Addr, len(e.loops), k)
		if err != nil {
			return addr, err
		}
	}
	for i, l := range e.loops {
		a := acceptor{ln: ln}
		if fds != nil {
			a.fd = int32(fds[i])
		} else {
			fd, bound, err := inheritedListener(ln.FD, k)
			if err != nil {
				return addr, err
			}
			a.fd, addr, a.shared = int32(fd), bound, len(e.loops) > 1
		}
		l.lns = append(l.lns, a)
	}
	return addr, nil
}

// discard closes loops that never ran.
func (e *epoll) discard() {
	for _, l := range e.loops {
		l.close()
	}
}

func (e *epoll) addrs() []netip.AddrPort { return e.bound }

// all runs f on every loop and returns when each has; a loop that has ended is left out.
func (e *epoll) all(f func(*loop)) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.each(f)
}

func (e *epoll) each(f func(*loop)) {
	var wg sync.WaitGroup
	for _, l := range e.loops {
		wg.Add(1)
		if !l.mail.post(func() { f(l); wg.Done() }) {
			wg.Done()
		}
	}
	wg.Wait()
}

func (e *epoll) stopAccepting() { e.all((*loop).stopAccepting) }

func (e *epoll) closeAll(r Reason) { e.all(func(l *loop) { l.endAll(r) }) }

// stop keeps the lock until the loops have ended: what was posted to one that is about to end would never be called.
func (e *epoll) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.each(func(l *loop) { l.done = true })
	e.ended.Wait()
}

func (e *epoll) alive(ctx context.Context) error {
	turned := make(chan int, len(e.loops))
	for _, l := range e.loops {
		if !l.mail.post(func() { turned <- l.id }) {
			return fmt.Errorf("event loop %d has ended", l.id)
		}
	}
	missing := make(map[int]bool, len(e.loops))
	for _, l := range e.loops {
		missing[l.id] = true
	}
	for len(missing) > 0 {
		select {
		case id := <-turned:
			delete(missing, id)
		case <-ctx.Done():
			for id := range missing {
				return fmt.Errorf("event loop %d does not turn: %w", id, ctx.Err())
			}
		}
	}
	return nil
}

func (e *epoll) stats() Stats {
	s := Stats{
		Active:       e.shared.active.Load(),
		AcceptPauses: e.shared.pauses.Load(),
		Pipes:        int(e.shared.pipes.Load()),
	}
	for _, l := range e.loops {
		s.Busy = append(s.Busy, time.Duration(l.busy.Load()).Seconds())
	}
	return s
}
