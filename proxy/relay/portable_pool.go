package relay

import (
	"context"
	"slices"
	"time"
)

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

// releaseWarm: see Relay.ReleaseWarm.
func (e *portable) releaseWarm(match func(*Endpoint) bool) {
	e.mu.Lock()
	pools := e.pools
	e.mu.Unlock()
	for _, p := range pools {
		p.release(match)
		p.look()
	}
}

// warmTotal: see engine. There is one pool, not one a loop.
func (e *portable) warmTotal(w *Warm) int { return w.share(0, 1) }

// newPortablePool returns a pool whose goroutine runs until close.
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

// release closes the waiting connections to endpoints for which match returns true.
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
			p.establish()
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

// establish makes one attempt, and puts the connection into the pool.
func (p *portablePool) establish() {
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
