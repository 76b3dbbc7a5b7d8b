package relay

import (
	"math"
	"math/rand/v2"
	"slices"
	"time"
)

// What the core does with pools of upstream connections. Those that wait, or are being established, are connections
// without a client, which the epoll instance watches in both engines.

// pool is a loop's part of a Warm.
type pool struct {
	*Warm
	want    int
	ready   []*conn // the latest last
	dialing int
	sure    bool // the last attempt succeeded
	strikes int  // rests since the last good connection
	resting bool
	lacking bool // it rests since there is nothing to connect to
	rests   uint // counts the rests, so that the end of one that was cut short is not taken for another's
	dropped bool // nothing is wanted of it any more
}

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
		l.drop(p)
	}
	for _, p := range l.pools {
		l.fill(p)
	}
}

func (l *core) drop(p *pool) {
	p.dropped = true
	l.coolWhere(func(c *conn) bool { return c.pool() == p })
}

// cool gives up the connections of pools to the endpoints that match says yes to.
func (l *core) cool(match func(*Endpoint) bool) {
	l.coolWhere(func(c *conn) bool { return match(c.flow.Endpoint) })
	for _, p := range l.pools {
		if p.lacking {
			p.resting, p.lacking = false, false
		}
		l.fill(p)
	}
}

func (l *core) coolWhere(match func(*conn) bool) {
	l.conns.each(func(c *conn) {
		if !c.pooled || !match(c) {
			return
		}
		if c.phase == phaseDialing {
			l.unheated(c, Operator)
		} else {
			l.uncork(c, LeftReleased)
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
		if !l.heat(p) {
			return
		}
	}
}

// heat begins to establish a connection. It returns false if that failed at once.
func (l *core) heat(p *pool) bool {
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
	c.dialed = l.now
	c.expires = l.now + int64(ep.timeout())
	p.dialing++
	if r := l.io.connect(c); r != None {
		l.unheated(c, r)
		return false
	}
	l.timers.set(c.slot, c.expires)
	return true
}

// unheated ends an attempt for a pool that failed.
func (l *core) unheated(c *conn, r Reason) {
	p := c.pool()
	p.dialing--
	p.Keeper.Tried(l.id, c.flow.Endpoint, r, nanos(l.now-c.dialed))
	l.discard(c, true)
	if r != Operator {
		l.rest(p)
	}
}

// heated puts a connection that was established into its pool.
func (l *core) heated(c *conn) {
	p, e := c.pool(), &c.ends[upstream]
	p.dialing--
	p.sure = true
	p.ready = append(p.ready, c)
	p.Keeper.Tried(l.id, c.flow.Endpoint, None, nanos(max(l.now-c.dialed, 1)))
	c.phase = phaseWarm
	c.active = l.now
	c.expires = l.now + int64(p.MaxIdle) - int64(float64(p.MaxIdle/8)*rand.Float64()) // so that not all expire at once
	l.timers.set(c.slot, c.expires)
	if e.hup || e.reset {
		l.chilled(c)
		return
	}
	l.fill(p)
}

// chilled acts on the peer's end of a connection that waited.
func (l *core) chilled(c *conn) {
	p := c.pool()
	early := l.now-c.active < int64(p.MaxIdle)/earlyPart
	l.uncork(c, LeftEnded)
	if early {
		l.rest(p)
	} else {
		l.fill(p)
	}
}

// staled replaces a connection that nobody took.
func (l *core) staled(c *conn) {
	p := c.pool()
	l.good(p)
	l.uncork(c, LeftExpired)
	l.fill(p)
}

// good notes that the peer keeps connections that wait.
func (l *core) good(p *pool) {
	if p.strikes > 0 {
		p.strikes = 0
		p.Keeper.Rest(l.id, 0)
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
	p.Keeper.Rest(l.id, d)
	l.pauseFor(p, d)
}

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

// uncork takes a connection out of its pool and closes it.
func (l *core) uncork(c *conn, why Leave) {
	l.take(c, why)
	l.discard(c, why == LeftEnded)
}

// take takes a connection out of its pool.
func (l *core) take(c *conn, why Leave) {
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
	l.ready = l.ready[:0]
	for _, w := range p.ready {
		l.ready = append(l.ready, w.flow.Endpoint)
	}
	ep = p.Keeper.Choose(&c.flow, ep, l.ready)
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

// adopt gives c the upstream's connection of w, which ends, and begins to relay.
func (l *core) adopt(c, w *conn) {
	p, from := w.pool(), &w.ends[upstream]
	l.take(w, LeftUsed)
	to := &c.ends[upstream]
	*to = end{fd: from.fd, rd: from.rd, hup: from.hup, reset: from.reset, urgent: from.urgent, tag: to.tag + 1}
	from.fd = -1
	l.discard(w, false)
	c.dialed, c.expires = l.now, math.MaxInt64
	if !l.io.adopted(c) {
		l.dialFailed(c, Internal)
		return
	}
	c.flow.Warm = true
	c.proof = unproved
	l.connected(c)
	l.fill(p)
}

// replace gives a client whose connection from a pool has proved dead a fresh one. What it sent is sent again. It returns
// false if it cannot, and the client is to see what became of the one it had.
func (l *core) replace(c *conn) bool {
	h := &c.halves[client]
	if h.state == halfCut || !l.rewind(c) {
		l.overturn(c)
		if h.state == halfCut || c.omen == eventReset {
			return false
		}
		l.io.start(c) // what is left of the upstream is to be read
		return true
	}
	c.proof = proved
	l.io.hangUp(c, upstream, true)
	l.io.release(&c.halves[upstream])
	c.halves[upstream] = half{}
	c.first, c.took, c.late = 0, 0, false
	if h.state == halfShut {
		h.state = halfFIN
	}
	c.flow.Warm, c.flow.Stale, c.flow.Failure = false, true, None
	c.flow.Endpoint.Warm.Keeper.Stale(&c.flow)
	l.dial(c)
	return true
}

// overturn takes back that the upstream's connection is dead as one from a pool: it goes on, or ends, as any other.
func (l *core) overturn(c *conn) {
	l.trust(c)
	if c.omen == eventBroken {
		c.happen(client, eventBroken)
		l.io.release(&c.halves[client])
		return
	}
	c.ends[upstream].reset = c.omen == eventReset
	c.happen(upstream, c.omen)
}

// rewind puts what was sent back before what is held. It returns false, and has done nothing, if both are too much.
func (l *core) rewind(c *conn) bool {
	sent, h := c.replay, &c.halves[client]
	if sent == nil {
		return true
	}
	held := h.hold
	if held != nil && sent.to+held.to-held.from > bufferMax {
		return false
	}
	c.replay = nil
	h.bytes -= uint64(sent.to)
	h.hold = nil
	l.keep(c, client, sent.bytes())
	l.bufs.put(sent)
	if held != nil {
		l.keep(c, client, held.bytes())
		l.bufs.put(held)
	}
	return true
}

// remember keeps what was sent to an upstream whose connection is from a pool.
func (l *core) remember(c *conn, b []byte) {
	was := c.replay
	n := len(b)
	if was != nil {
		n += was.to
	}
	if n > MaxPreface {
		if c.proof == disproved {
			l.overturn(c)
		} else {
			l.trust(c)
		}
		return
	}
	if was == nil || n > len(was.b) {
		c.replay = l.bufs.get(n)
		if was != nil {
			c.replay.to = copy(c.replay.b, was.bytes())
			l.bufs.put(was)
		}
	}
	c.replay.to += copy(c.replay.b[c.replay.to:], b)
}

// trust ends the time in which the upstream's connection could be replaced.
func (l *core) trust(c *conn) {
	c.proof = proved
	if c.replay != nil {
		l.bufs.put(c.replay)
		c.replay = nil
	}
}

// answered notes the upstream's first byte.
func (l *core) answered(c *conn) {
	c.first = l.now
	switch c.proof {
	case unproved:
		if p := l.poolOf(c.flow.Endpoint.Warm); p != nil {
			l.good(p)
		}
		l.trust(c)
	case disproved: // a send failed, but this came before
		l.overturn(c)
	}
}
