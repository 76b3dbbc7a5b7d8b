package relay

import (
	"context"
	"fmt"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sys/unix"
)

const epollSupported = true

// epoll is the engine of event loops on epoll(7).
type epoll struct {
	shared shared
	loops  []*loop
	bound  []netip.AddrPort // of the listeners of Options
	ended  sync.WaitGroup

	mu        sync.Mutex // one change at a time
	stopped   bool       // the loops take nothing any more
	keepalive Keepalive  // of sockets opened from now on
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
		for _, a := range l.lns {
			if !l.setAccept(a, true) {
				e.discard()
				return nil, fmt.Errorf("start event loop %d: the kernel has no room to watch listener %q", l.id, a.ln.Name)
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
		opened, addr, err := e.listen(&o.Listeners[i], o.Keepalive)
		if err != nil {
			return err
		}
		for i, l := range e.loops {
			l.attach(opened[i])
		}
		e.bound = append(e.bound, addr)
	}
	e.keepalive = o.Keepalive
	return nil
}

// listen opens a socket for each loop. The error is a ListenError.
func (e *epoll) listen(ln *Listener, k Keepalive) ([]*acceptor, netip.AddrPort, error) {
	fds, addr, err := e.sockets(ln, k)
	if err != nil {
		return nil, addr, &ListenError{Listener: ln.Name, Addr: ln.Addr, Err: err}
	}
	opened := make([]*acceptor, len(fds))
	for i, fd := range fds {
		opened[i] = &acceptor{fd: int32(fd), ln: ln, shared: ln.FD != 0 && len(fds) > 1}
	}
	return opened, addr, nil
}

func (e *epoll) sockets(ln *Listener, k Keepalive) (fds []int, addr netip.AddrPort, err error) {
	if ln.FD == 0 {
		return openListeners(ln.Addr, len(e.loops), k)
	}
	for range e.loops {
		fd, bound, err := inheritedListener(ln.FD, k)
		if err != nil {
			closeAllFDs(fds)
			return nil, addr, err
		}
		fds, addr = append(fds, fd), bound
	}
	return fds, addr, nil
}

// setListeners: see Relay.SetListeners.
func (e *epoll) setListeners(next []listening, opened func()) error {
	e.mu.Lock()
	k := e.keepalive
	e.mu.Unlock()
	fresh := make([][]*acceptor, len(e.loops)) // by loop
	for i := range next {
		if next[i].from != nil {
			continue
		}
		each, addr, err := e.listen(next[i].ln, k)
		if err != nil {
			for _, all := range fresh {
				for _, a := range all {
					sysClose(a.fd)
				}
			}
			return err
		}
		next[i].addr = addr
		for l, a := range each {
			fresh[l] = append(fresh[l], a)
		}
	}
	opened()
	to := heirs(next)
	e.each(func(l *loop, done func()) { l.relisten(to, fresh[l.id], done) })
	return nil
}

// discard closes loops that never ran.
func (e *epoll) discard() {
	for _, l := range e.loops {
		l.close()
	}
}

func (e *epoll) addrs() []netip.AddrPort { return e.bound }

// each has f called on every loop and returns when each has called done; a loop that has ended is left out.
func (e *epoll) each(f func(l *loop, done func())) {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ask(f)
}

// ask is each; the caller holds mu.
func (e *epoll) ask(f func(l *loop, done func())) {
	if e.stopped {
		return
	}
	var wg sync.WaitGroup
	for _, l := range e.loops {
		wg.Add(1)
		if !l.mail.post(func() { f(l, wg.Done) }) {
			wg.Done()
		}
	}
	wg.Wait()
}

// all runs f on every loop and returns when each has.
func (e *epoll) all(f func(*loop)) {
	e.each(func(l *loop, done func()) { f(l); done() })
}

func (e *epoll) stopAccepting() {
	e.each(func(l *loop, done func()) { l.drop(func(*acceptor) bool { return true }, done) })
}

func (e *epoll) closeAll(r Reason) { e.all(func(l *loop) { l.endAll(r) }) }

func (e *epoll) closeWhere(match func(*Flow) bool, r Reason) int {
	var n atomic.Int64
	e.all(func(l *loop) { n.Add(int64(l.endWhere(match, r))) })
	return int(n.Load())
}

// flows goes from loop to loop, so that none waits for another.
func (e *epoll) flows(f func(*Summary)) {
	for i := range e.loops {
		e.all(func(l *loop) {
			if l.id == i {
				l.show(f)
			}
		})
	}
}

func (e *epoll) setWarm(pools []*Warm) { e.all(func(l *loop) { l.setWarm(pools) }) }

func (e *epoll) warmth(w *Warm) (n int) {
	for i := range e.loops {
		n += w.share(i, len(e.loops))
	}
	return n
}

func (e *epoll) cool(match func(*Endpoint) bool) { e.all(func(l *loop) { l.cool(match) }) }

func (e *epoll) tune(t Tuning) {
	e.mu.Lock()
	e.keepalive = t.Keepalive
	e.mu.Unlock()
	e.all(func(l *loop) { l.tune(t) })
}

// stop keeps the lock until the loops have ended: what was posted to one that is about to end would never be called.
func (e *epoll) stop() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.ask(func(l *loop, done func()) { l.done = true; done() })
	e.stopped = true
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
