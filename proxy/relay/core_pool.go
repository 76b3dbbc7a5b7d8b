package relay

import (
	"math/rand/v2"
	"slices"
	"time"
)

// What the core does with pools of upstream connections. Those that wait, or are being established, are connections
// without a client, which the epoll instance watches in both engines.

// pool returns the pool of a connection without a client.
func (c *conn) pool() *pool { return c.flow.Tag.(*pool) }

// setWarm replaces the pools. Those that stay keep what they have.
func (l *core) setWarm(list []*Warm) {
	old := l.pools
	l.pools = nil
	for _, w := range list {
		i := slices.IndexFunc(old, func(p *pool) bool { return p.Warm == w })
		if i < 0 {
			l.pools = append(l.pools, &pool{Warm: w, want: w.share(l.id, l.opts.Loops)})
			continue
		}
		l.pools = append(l.pools, old[i])
		old = slices.Delete(slices.Clone(old), i, i+1)
	}
	for _, p := range old {
		l.dropPool(p)
	}
	for _, p := range l.pools {
		l.fill(p)
	}
}

// dropPool closes the connections of a pool that is not wanted any more.
func (l *core) dropPool(p *pool) {
	p.dropped = true
	l.releaseWhere(func(c *conn) bool { return c.pool() == p })
}

// releaseWarm gives up the pooled connections to endpoints for which match returns true.
func (l *core) releaseWarm(match func(*Endpoint) bool) {
	l.releaseWhere(func(c *conn) bool { return match(c.flow.Endpoint) })
	for _, p := range l.pools {
		if p.lacking {
			p.resting, p.lacking = false, false
		}
		l.fill(p)
	}
}

// releaseWhere closes the connections without a client for which match returns true, and gives up such attempts.
func (l *core) releaseWhere(match func(*conn) bool) {
	l.conns.each(func(c *conn) {
		if !c.pooled || !match(c) {
			return
		}
		if c.phase == phaseDialing {
			l.warmFailed(c, Operator)
		} else {
			l.evict(c, LeftReleased)
		}
	})
}

// poolOf returns the loop's part of w, nil if it has none.
func (l *core) poolOf(w *Warm) *pool {
	for _, p := range l.pools {
		if p.Warm == w {
			return p
		}
	}
	return nil
}

// fill begins to establish what is missing: one attempt at a time unless attempts are known to succeed.
func (l *core) fill(p *pool) {
	for !p.dropped && !p.resting && len(p.ready)+p.dialing < p.want && (p.sure && p.strikes == 0 || p.dialing == 0) {
		if !l.establish(p) {
			return
		}
	}
}

// establish begins to establish a connection. It returns false if that failed at once.
func (l *core) establish(p *pool) bool {
	ep := p.Keeper.Next(l.id)
	if ep == nil {
		l.pauseFor(p, restNone)
		p.lacking = true
		return false
	}
	c := l.conns.get()
	c.flow, c.pooled = Flow{Loop: l.id, Endpoint: ep, Tag: p}, true
	c.phase, c.mode = phaseDialing, modeReady
	c.ends[client].fd, c.ends[upstream].fd = -1, -1
	c.began = l.now
	c.expires = l.now + int64(ep.timeout())
	p.dialing++
	if r := l.io.connect(c); r != None {
		l.warmFailed(c, r)
		return false
	}
	l.timers.set(c.slot, c.expires)
	return true
}

// warmFailed ends an attempt for a pool that failed.
func (l *core) warmFailed(c *conn, r Reason) {
	p := c.pool()
	p.dialing--
	p.Keeper.Tried(l.id, c.flow.Endpoint, r, nanos(l.now-c.began))
	l.discard(c, true)
	if r != Operator {
		l.rest(p)
	}
}

// warmOpened puts a connection that was established into its pool.
func (l *core) warmOpened(c *conn) {
	p, e := c.pool(), &c.ends[upstream]
	p.dialing--
	p.sure = true
	p.ready = append(p.ready, c)
	p.Keeper.Tried(l.id, c.flow.Endpoint, None, nanos(max(l.now-c.began, 1)))
	c.phase = phaseWarm
	c.active = l.now
	c.expires = l.now + int64(p.MaxIdle) - int64(float64(p.MaxIdle/8)*rand.Float64()) // so that not all expire at once
	l.timers.set(c.slot, c.expires)
	if e.hup || e.reset {
		l.warmClosedByPeer(c)
		return
	}
	l.fill(p)
}

// warmClosedByPeer acts on the peer's end of a connection that waited.
func (l *core) warmClosedByPeer(c *conn) {
	p := c.pool()
	early := l.now-c.active < int64(p.MaxIdle)/earlyPart
	l.evict(c, LeftEnded)
	if early {
		l.rest(p)
	} else {
		l.fill(p)
	}
}

// warmExpired replaces a connection that nobody took.
func (l *core) warmExpired(c *conn) {
	p := c.pool()
	l.good(p)
	l.evict(c, LeftExpired)
	l.fill(p)
}

// good notes that the peer keeps connections that wait.
func (l *core) good(p *pool) {
	if p.strikes > 0 {
		p.strikes = 0
		p.noteRest(l.id, 0)
	}
}

// rest makes no attempt for a while, which is longer each time. What fails together, as connections do that a peer ends
// with its process, counts once.
func (l *core) rest(p *pool) {
	p.sure = false
	if p.resting || p.dropped {
		return
	}
	p.strikes++
	d := restFor(p.strikes, rand.Float64())
	p.noteRest(l.id, d)
	l.pauseFor(p, d)
}

// pauseFor makes no attempt for d, then fills the pool.
func (l *core) pauseFor(p *pool, d time.Duration) {
	p.resting = true
	p.rests++
	this := p.rests
	l.io.later(d, func() {
		if p.resting && p.rests == this {
			p.resting, p.lacking = false, false
			l.fill(p)
		}
	})
}

// evict takes a connection out of its pool and closes it.
func (l *core) evict(c *conn, why Leave) {
	l.unpool(c, why)
	l.discard(c, why == LeftEnded)
}

// unpool takes a connection out of its pool.
func (l *core) unpool(c *conn, why Leave) {
	p := c.pool()
	i := slices.Index(p.ready, c)
	p.ready = slices.Delete(p.ready, i, i+1)
	p.Keeper.Left(l.id, c.flow.Endpoint, why)
}

// discard closes a connection without a client.
func (l *core) discard(c *conn, reset bool) {
	l.timers.clear(c.slot)
	l.io.hangUp(c, upstream, reset)
	l.conns.put(c)
}

// warmFor returns a connection of the pool that c's endpoint names, to an address that will do for c; nil if there is none.
// It may give c another endpoint.
func (l *core) warmFor(c *conn) *conn {
	ep := c.flow.Endpoint
	if ep.Warm == nil || c.flow.Stale {
		return nil
	}
	p := l.poolOf(ep.Warm)
	if p == nil {
		return nil
	}
	l.candidates = l.candidates[:0]
	for _, w := range p.ready {
		l.candidates = append(l.candidates, w.flow.Endpoint)
	}
	ep = p.Keeper.Choose(&c.flow, ep, l.candidates)
	if ep == nil {
		return nil
	}
	c.flow.Endpoint = ep
	return p.to(ep)
}

// to returns the latest connection to the address of ep.
func (p *pool) to(ep *Endpoint) *conn {
	for _, w := range slices.Backward(p.ready) {
		if w.flow.Endpoint.Addr == ep.Addr {
			return w
		}
	}
	return nil
}
