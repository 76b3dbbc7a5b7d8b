package relay

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// loopGroup is the loops of a Linux engine, and what it asks of all of them.
type loopGroup struct {
	shared shared
	began  int64 // shared.base, in nanoseconds of CLOCK_MONOTONIC
	loops  []*loop
	bound  []netip.AddrPort // of the listeners of Options
	ended  sync.WaitGroup

	mu        sync.Mutex  // one change at a time; held while the loops stand still
	stopped   bool        // the loops take nothing any more
	keepalive Keepalive   // of sockets opened from now on
	still     *standstill // nil: the loops turn
	adopting  bool        // the loops have not begun yet
	enroller  enroller    // while adopting
}

// listenAll opens the listeners. The error is a ListenError.
func (g *loopGroup) listenAll(o *Options) error {
	for i := range o.Listeners {
		if adopted, err := g.adoptListener(&o.Listeners[i], o); adopted || err != nil {
			if err != nil {
				return err
			}
			continue
		}
		opened, addr, err := g.listen(&o.Listeners[i], o.Keepalive)
		if err != nil {
			return err
		}
		for i, l := range g.loops {
			l.attach(opened[i])
		}
		g.bound = append(g.bound, addr)
	}
	g.keepalive = o.Keepalive
	return nil
}

// listen opens a socket for each loop. The error is a ListenError.
func (g *loopGroup) listen(ln *Listener, k Keepalive) ([]*acceptor, netip.AddrPort, error) {
	fds, addr, err := g.sockets(ln, k)
	if err != nil {
		return nil, addr, &ListenError{Listener: ln.Name, Addr: ln.Addr, Err: err}
	}
	opened := make([]*acceptor, len(fds))
	for i, fd := range fds {
		opened[i] = &acceptor{fd: int32(fd), ln: ln, shared: ln.FD != 0 && len(fds) > 1}
	}
	return opened, addr, nil
}

// sockets opens a listening socket for each loop, or duplicates the one that was handed in. An error leaves none open.
func (g *loopGroup) sockets(ln *Listener, k Keepalive) (fds []int, addr netip.AddrPort, err error) {
	if ln.FD == 0 {
		return openListeners(ln.Addr, len(g.loops), k)
	}
	for range g.loops {
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
func (g *loopGroup) setListeners(next []listening, opened func()) error {
	g.mu.Lock()
	k := g.keepalive
	g.mu.Unlock()
	fresh := make([][]*acceptor, len(g.loops)) // by loop
	for i := range next {
		if next[i].from != nil {
			continue
		}
		each, addr, err := g.listen(next[i].ln, k)
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
	g.each(func(l *loop, done func()) { l.relisten(to, fresh[l.id], done) })
	return nil
}

// discard closes loops that never ran.
func (g *loopGroup) discard() {
	for _, l := range g.loops {
		l.close()
	}
}

// addrs: see engine.
func (g *loopGroup) addrs() []netip.AddrPort { return g.bound }

// each has f called on every loop and returns when each has called done; a loop that has ended is left out.
func (g *loopGroup) each(f func(l *loop, done func())) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ask(f)
}

// ask is each; the caller holds mu.
func (g *loopGroup) ask(f func(l *loop, done func())) {
	if g.stopped {
		return
	}
	var wg sync.WaitGroup
	for _, l := range g.loops {
		wg.Add(1)
		if !l.mail.post(func() { f(l, wg.Done) }) {
			wg.Done()
		}
	}
	wg.Wait()
}

// all runs f on every loop and returns when each has.
func (g *loopGroup) all(f func(*loop)) {
	g.each(func(l *loop, done func()) { f(l); done() })
}

// stopAccepting: see engine.
func (g *loopGroup) stopAccepting() {
	g.each(func(l *loop, done func()) { l.closeListeners(func(*acceptor) bool { return true }, done) })
}

// closeAll: see engine.
func (g *loopGroup) closeAll(r Reason) { g.all(func(l *loop) { l.endAll(r) }) }

// closeWhere: see engine.
func (g *loopGroup) closeWhere(match func(*Flow) bool, r Reason) int {
	var n atomic.Int64
	g.all(func(l *loop) { n.Add(int64(l.endWhere(match, r))) })
	return int(n.Load())
}

// flows goes from loop to loop, so that none waits for another.
func (g *loopGroup) flows(f func(*Summary)) {
	for i := range g.loops {
		g.all(func(l *loop) {
			if l.id == i {
				l.show(f)
			}
		})
	}
}

// setWarm: see engine.
func (g *loopGroup) setWarm(pools []*Warm) { g.all(func(l *loop) { l.setWarm(pools) }) }

// warmTotal: see engine.
func (g *loopGroup) warmTotal(w *Warm) (n int) {
	for i := range g.loops {
		n += w.share(i, len(g.loops))
	}
	return n
}

// releaseWarm: see engine.
func (g *loopGroup) releaseWarm(match func(*Endpoint) bool) {
	g.all(func(l *loop) { l.releaseWarm(match) })
}

// tune: see engine.
func (g *loopGroup) tune(t Tuning) {
	g.mu.Lock()
	g.keepalive = t.Keepalive
	g.mu.Unlock()
	g.all(func(l *loop) { l.tune(t) })
}

// stop keeps the lock until the loops have ended: what was posted to one that is about to end would never be called.
func (g *loopGroup) stop() {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.ask(func(l *loop, done func()) { l.done = true; done() })
	g.stopped = true
	g.ended.Wait()
}

// alive: see engine. It asks each loop to answer by its mailbox.
func (g *loopGroup) alive(ctx context.Context) error {
	turned := make(chan int, len(g.loops))
	for _, l := range g.loops {
		if !l.mail.post(func() { turned <- l.id }) {
			return fmt.Errorf("event loop %d has ended", l.id)
		}
	}
	missing := make(map[int]bool, len(g.loops))
	for _, l := range g.loops {
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

// stats: see engine.
func (g *loopGroup) stats() Stats {
	s := Stats{
		Active:       g.shared.active.Load(),
		AcceptPauses: g.shared.pauses.Load(),
		Pipes:        int(g.shared.pipes.Load()),
		Buffered:     g.shared.buffered.Load(),
	}
	for _, l := range g.loops {
		s.Busy = append(s.Busy, time.Duration(l.busy.Load()).Seconds())
	}
	return s
}
