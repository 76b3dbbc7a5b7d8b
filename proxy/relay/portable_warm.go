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
	rests   time.Time // until when no attempt is made
	lacking bool      // since there is nothing to connect to
	dropped bool
}

// portableWarm is a connection that waits for a client.
type portableWarm struct {
	ep    *Endpoint
	sock  *net.TCPConn
	since time.Time
	until time.Time // when it expires
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
		p.look()
	}
}

func (e *portable) warmth(w *Warm) int { return w.share(0, 1) }

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
		missing, rest := p.missing()
		if missing && rest <= 0 {
			p.heat()
			continue
		}
		var rested <-chan time.Time
		if missing {
			rested = time.After(rest)
		}
		select {
		case <-p.wake:
		case <-rested:
		case <-p.ctx.Done():
		}
	}
}

// missing reports whether there are too few connections, and how long no attempt is made.
func (p *portablePool) missing() (bool, time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return len(p.ready) < p.share(0, 1), time.Until(p.rests)
}

func (p *portablePool) heat() {
	ep := p.Keeper.Next(0)
	if ep == nil {
		p.lack()
		return
	}
	begun := time.Now()
	sock, failure := p.eng.attempt(p.ctx, ep)
	if failure != None {
		p.Keeper.Tried(0, ep, failure, time.Since(begun))
		if failure != Operator {
			p.strike()
		}
		return
	}
	w := p.newWarm(ep, sock)
	if !p.add(w, time.Since(begun)) {
		p.Keeper.Tried(0, ep, Operator, time.Since(begun))
		sock.Close()
		return
	}
	go func() {
		defer p.work.Done()
		p.watch(w)
	}()
}

// newWarm returns a connection that may be taken. Its deadline is set here, since whoever takes it sets another.
func (p *portablePool) newWarm(ep *Endpoint, sock *net.TCPConn) *portableWarm {
	w := &portableWarm{ep: ep, sock: sock, since: time.Now(), taken: make(chan struct{}), done: make(chan struct{})}
	w.until = w.since.Add(p.MaxIdle - time.Duration(float64(p.MaxIdle/8)*rand.Float64()))
	sock.SetReadDeadline(w.until)
	return w
}

// add puts a connection into the pool. It returns false if the pool is closed.
func (p *portablePool) add(w *portableWarm, took time.Duration) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.dropped {
		return false
	}
	p.ready = append(p.ready, w)
	p.work.Add(1)
	p.Keeper.Tried(0, w.ep, None, max(took, 1))
	return true
}

// strike makes no attempt for a while, longer each time until good is called. What fails during a rest counts with what
// began it.
func (p *portablePool) strike() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.rests) {
		return
	}
	p.strikes++
	d := restFor(p.strikes, rand.Float64())
	p.rests, p.lacking = time.Now().Add(d), false
	p.Keeper.Rest(0, d)
}

// lack rests since there is nothing to connect to.
func (p *portablePool) lack() {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.rests, p.lacking = time.Now().Add(restNone), true
}

// look ends such a rest.
func (p *portablePool) look() {
	p.mu.Lock()
	if p.lacking {
		p.rests = time.Time{}
	}
	p.mu.Unlock()
	p.nudge()
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
	ended := w.peek()
	if !ended {
		select {
		case <-w.taken:
		case <-time.After(time.Until(w.until)):
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
	p.Keeper.Left(0, w.ep, why)
	return true
}

func (p *portablePool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// take returns the connection that the policy chooses for f, to f's endpoint or to another one, which is f's then; nil if
// there is none.
func (p *portablePool) take(f *Flow) *net.TCPConn {
	var ready []*Endpoint
	p.mu.Lock()
	for _, w := range p.ready {
		ready = append(ready, w.ep)
	}
	p.mu.Unlock()
	ep := p.Keeper.Choose(f, f.Endpoint, ready)
	if ep == nil {
		return nil
	}
	f.Endpoint = ep
	for { // one that ends in this instant is not to be had
		w := p.to(ep)
		if w == nil {
			return nil
		}
		if p.remove(w, LeftUsed) {
			w.unwatch()
			p.nudge()
			return w.sock
		}
	}
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
