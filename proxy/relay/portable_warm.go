package relay

import (
	"context"
	"math/rand/v2"
	"net"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"
)

// portablePool is a Warm at work on the portable engine: a goroutine that establishes what is missing, and one for each
// connection that waits. A connection that its peer ends after it has sent something is found out only by its client.
type portablePool struct {
	*Warm
	eng    *portable
	ctx    context.Context
	cancel context.CancelCauseFunc
	work   sync.WaitGroup
	wake   chan struct{} // something is missing

	mu      sync.Mutex
	ready   []*portableWarm // the latest last
	strikes int
	dropped bool
}

// portableWarm is a connection that waits for a client.
type portableWarm struct {
	ep    *Endpoint
	sock  *net.TCPConn
	since time.Time
	taken chan struct{}
	done  chan struct{} // closed when nobody looks at the socket any more
}

// setWarm replaces the pools. One change at a time is the Relay's care.
func (e *portable) setWarm(list []*Warm) {
	e.mu.Lock()
	old := e.pools
	e.pools = map[*Warm]*portablePool{}
	for _, w := range list {
		if e.pools[w] = old[w]; old[w] == nil {
			e.pools[w] = newPortablePool(e, w)
		}
	}
	e.mu.Unlock()
	for w, p := range old {
		if !slices.Contains(list, w) {
			p.close()
		}
	}
}

func (e *portable) poolOf(w *Warm) *portablePool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pools[w]
}

func (e *portable) cool(match func(*Endpoint) bool) {
	e.mu.Lock()
	pools := e.pools
	e.mu.Unlock()
	for _, p := range pools {
		p.release(match)
	}
}

func newPortablePool(e *portable, w *Warm) *portablePool {
	p := &portablePool{Warm: w, eng: e, wake: make(chan struct{}, 1)}
	p.ctx, p.cancel = context.WithCancelCause(context.Background())
	p.work.Go(p.run)
	return p
}

// close ends the pool. Nothing of it is left on return.
func (p *portablePool) close() {
	p.mu.Lock()
	p.dropped = true
	p.mu.Unlock()
	p.cancel(endedBy(Operator))
	p.release(func(*Endpoint) bool { return true })
	p.work.Wait()
}

func (p *portablePool) release(match func(*Endpoint) bool) {
	p.mu.Lock()
	var out []*portableWarm
	for _, w := range p.ready {
		if match(w.ep) {
			out = append(out, w)
		}
	}
	p.mu.Unlock()
	for _, w := range out {
		if p.remove(w, LeftReleased) {
			w.unwatch()
			w.sock.Close()
		}
	}
}

// run establishes what is missing, one connection after the other.
func (p *portablePool) run() {
	for p.ctx.Err() == nil {
		if p.missing() {
			p.heat()
			continue
		}
		select {
		case <-p.wake:
		case <-p.ctx.Done():
		}
	}
}

func (p *portablePool) missing() bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready) < p.Count
}

func (p *portablePool) heat() {
	ep := p.Keeper.Next(0)
	if ep == nil {
		p.strike()
		return
	}
	begun := time.Now()
	sock, failure := p.eng.attempt(p.ctx, ep)
	if failure != None {
		p.Keeper.Tried(ep, failure, time.Since(begun))
		if failure != Operator {
			p.strike()
		}
		return
	}
	w := &portableWarm{ep: ep, sock: sock, since: time.Now(), taken: make(chan struct{}), done: make(chan struct{})}
	p.mu.Lock()
	dropped := p.dropped
	if !dropped {
		p.ready = append(p.ready, w)
		p.work.Add(1)
		p.Keeper.Tried(ep, None, max(time.Since(begun), 1))
	}
	p.mu.Unlock()
	if dropped {
		p.Keeper.Tried(ep, Operator, time.Since(begun))
		sock.Close()
		return
	}
	go func() {
		defer p.work.Done()
		p.watch(w)
	}()
}

// strike rests, longer each time until good is called.
func (p *portablePool) strike() {
	p.mu.Lock()
	p.strikes++
	d := restFor(p.strikes, rand.Float64())
	p.mu.Unlock()
	p.Keeper.Rest(0, d)
	select {
	case <-time.After(d):
	case <-p.ctx.Done():
	}
}

func (p *portablePool) good() {
	p.mu.Lock()
	was := p.strikes
	p.strikes = 0
	p.mu.Unlock()
	if was > 0 {
		p.Keeper.Rest(0, 0)
	}
}

// watch waits with a connection until it is taken, has waited long enough, or is ended by its peer.
func (p *portablePool) watch(w *portableWarm) {
	limit := p.MaxIdle - time.Duration(float64(p.MaxIdle/8)*rand.Float64())
	w.sock.SetReadDeadline(w.since.Add(limit))
	ended := w.peek()
	if !ended {
		select {
		case <-w.taken:
		case <-time.After(time.Until(w.since.Add(limit))):
		}
	}
	close(w.done)
	switch {
	case !ended:
		if p.remove(w, LeftExpired) {
			w.sock.Close()
			p.good()
		}
	case p.remove(w, LeftEnded):
		w.sock.Close()
		if time.Since(w.since) < p.MaxIdle/earlyPart {
			p.strike()
		}
	}
	p.nudge()
}

// peek returns true once the peer has ended, false once it has sent something or the deadline is reached.
func (w *portableWarm) peek() (ended bool) {
	raw, err := w.sock.SyscallConn()
	if err != nil {
		return true
	}
	raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == unix.EAGAIN || err == unix.EINTR {
			return false
		}
		ended = err != nil || n == 0
		return true
	})
	return ended
}

// unwatch returns once the socket is the caller's alone.
func (w *portableWarm) unwatch() {
	close(w.taken)
	w.sock.SetReadDeadline(past)
	<-w.done
	w.sock.SetReadDeadline(time.Time{})
}

// remove takes w out of the pool. It returns false if somebody else did.
func (p *portablePool) remove(w *portableWarm, why Leave) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.ready, w)
	if i < 0 {
		return false
	}
	p.ready = slices.Delete(p.ready, i, i+1)
	p.Keeper.Left(w.ep, why)
	return true
}

func (p *portablePool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take returns a connection to the address of f's endpoint, or to another one that will do and is f's endpoint then; nil
// if there is none.
func (p *portablePool) take(f *Flow) *net.TCPConn {
	w := p.to(f.Endpoint)
	if w == nil {
		var others []*Endpoint
		p.mu.Lock()
		for _, w := range p.ready {
			others = append(others, w.ep)
		}
		p.mu.Unlock()
		if len(others) == 0 {
			return nil
		}
		other := p.Keeper.Instead(f, f.Endpoint, others)
		if other == nil {
			return nil
		}
		f.Endpoint = other
		w = p.to(other)
	}
	if w == nil || !p.remove(w, LeftUsed) {
		return nil
	}
	w.unwatch()
	p.nudge()
	return w.sock
}

func (p *portablePool) to(ep *Endpoint) *portableWarm {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range slices.Backward(p.ready) {
		if w.ep.Addr == ep.Addr {
			return w
		}
	}
	return nil
}
