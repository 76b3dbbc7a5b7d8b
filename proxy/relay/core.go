package relay

import (
	"net/netip"
	"sync/atomic"
	"time"
)

// core is what an event loop is made of whatever tells it of events: its connections, their timers and the policy's
// verdicts. It makes no system call; those are behind io, which is the engine's. It belongs to one goroutine.
type core struct {
	opts   *Options
	id     int
	shared *shared
	io     transport
	conns  slab
	pools  []*pool
	timers wheel
	bufs   buffers
	now    int64 // nanoseconds since shared.base, read once a turn
	fire   func(slot uint32)
	// scratch is room for what is dealt with at once.
	scratch []byte
	ready   []*Endpoint // likewise, for Keeper.Choose
	notice  int64       // nanoseconds until a connection that is half-closed gets attention
}

// shared is what the loops of a relay have in common.
type shared struct {
	base   time.Time // zero of the loops' clock, with a monotonic reading
	active atomic.Int64
	nextID atomic.Uint64
	pauses atomic.Uint64
	pipes  atomic.Int64
	kept   atomic.Int64 // what ended loops could not give back: requests, buffers
}

// transport is what an engine does for the core. None of it blocks.
type transport interface {
	// connect begins to connect c.ends[upstream] to c.flow.Endpoint; its end is reported by core.connected or
	// core.dialFailed. A reason other than None means that it failed at once.
	connect(c *conn) Reason
	// start is called once both ends are connected, to move what can be moved.
	start(c *conn)
	// greet sends b, at most MaxHeader bytes, to the upstream, which has just been connected to. It returns false if the
	// kernel did not take them all.
	greet(c *conn, b []byte) bool
	// prefaced is called when a client's first bytes are wanted.
	prefaced(c *conn)
	// hangUp closes one end, if it is open; reset tells whether the peer is to see a reset.
	hangUp(c *conn, s side, reset bool)
	// acked reports whether the peer has acknowledged all that it was sent, or never will.
	acked(c *conn, s side) bool
	// release frees what a half holds: its buffer, and its pipe.
	release(h *half)
	// keepalive sets the keepalive of the options on an end.
	keepalive(c *conn, s side)
	// attend is called when a connection has been relayed, or half-closed, for a while.
	attend(c *conn)
	// unread reports whether an end has bytes that were not read.
	unread(c *conn, s side) bool
	localAddr(fd int32) netip.AddrPort
	// adopted is called when c has got a connected upstream socket that the epoll instance watches for another connection
	// of the loop. It returns false if there is no memory to watch it for c.
	adopted(c *conn) bool
	// later calls f on the loop, after d.
	later(d time.Duration, f func())
}

const (
	lingerStep = 10 * time.Millisecond // how often a lingering end is asked whether it has acknowledged
	lingerMax  = 5 * time.Second       // and for how long at most
	quiet      = 1 * time.Second       // a connection on which nothing moved for so long is between two exchanges
	settled    = 5 * time.Second       // a connection this old is worth four more system calls for its keepalive
)

func nanos(n int64) time.Duration { return time.Duration(n) }

func (l *core) clock() int64           { return int64(time.Since(l.shared.base)) }
func (l *core) wall(t int64) time.Time { return l.shared.base.Add(time.Duration(t)) }

// admit takes over an accepted socket. It returns nil if the client was refused; fd is closed then.
func (l *core) admit(fd int32, ln *Listener, from netip.AddrPort) *conn {
	c := l.conns.get()
	c.flow = Flow{ID: l.shared.nextID.Add(1), Loop: l.id, Listener: ln, Client: from}
	c.ends[client] = end{fd: fd, wr: true}
	c.ends[upstream].fd = -1
	c.phase = phaseDialing
	c.opened, c.active = l.now, l.now
	if n := l.shared.active.Add(1); l.opts.MaxConnections > 0 && n > int64(l.opts.MaxConnections) {
		l.finish(c, LimitConnections)
		return nil
	}
	if r := l.opts.Handler.Accepted(&c.flow); r != None {
		l.finish(c, r)
		return nil
	}
	return c
}

// begin sends an admitted connection on its way.
func (l *core) begin(c *conn) {
	if c.flow.Preface {
		c.phase = phasePreface
		c.closed, c.expired = Probe, PrefaceTimeout
		c.expires = l.now + int64(l.opts.PrefaceTimeout)
		l.timers.set(c.slot, c.expires)
		l.io.prefaced(c)
		return
	}
	l.dial(c)
}

// dial tries endpoints as the policy names them until one is being connected to, or there is none left.
func (l *core) dial(c *conn) {
	c.phase = phaseDialing
	for {
		ep, r := l.opts.Handler.Dial(&c.flow)
		if ep == nil {
			if r == None {
				r = Internal
			}
			l.finish(c, r)
			return
		}
		c.flow.Endpoint = ep
		c.flow.Attempts++
		if w := l.warmFor(c); w != nil {
			l.adopt(c, w)
			return
		}
		c.dialed = l.now
		c.expires = l.now + int64(ep.timeout())
		if r = l.io.connect(c); r == None {
			l.timers.set(c.slot, c.expires)
			return
		}
		l.attemptFailed(c, r)
	}
}

func (l *core) attemptFailed(c *conn, r Reason) {
	l.io.hangUp(c, upstream, true)
	c.flow.Failure = r
	l.opts.Handler.Dialed(&c.flow, r, nanos(l.now-c.dialed))
}

// dialFailed ends an attempt and begins the next.
func (l *core) dialFailed(c *conn, r Reason) {
	if c.pooled {
		l.unheated(c, r)
		return
	}
	l.attemptFailed(c, r)
	l.dial(c)
}

// connected ends the dialing; the bytes may flow. The timer stays where it is: at its end the connection has
// settled, and gets what only long ones need.
func (l *core) connected(c *conn) {
	if c.pooled {
		l.heated(c)
		return
	}
	c.phase = phaseRelaying
	c.took = max(l.now-c.dialed, 1)
	c.active = l.now
	c.ends[upstream].wr = true
	if at := l.now + int64(min(l.opts.IdleTimeout, l.opts.HalfCloseTimeout, settled)); at < c.expires {
		l.timers.set(c.slot, at)
	}
	l.opts.Handler.Dialed(&c.flow, None, nanos(c.took))
	if f := c.flow.Endpoint.Header; f != nil {
		b := f(&c.flow, l.io.localAddr(c.ends[client].fd), l.scratch[:0])
		if len(b) > 0 && !l.io.greet(c, b) {
			l.finish(c, Internal)
			return
		}
	}
	l.io.start(c)
}

// expire acts on a timer that went off.
func (l *core) expire(slot uint32) {
	c := l.conns.at(slot)
	switch c.phase {
	case phasePreface:
		l.finish(c, c.expired)
	case phaseDialing:
		if l.now < c.expires {
			l.timers.set(slot, c.expires)
			return
		}
		l.dialFailed(c, ConnectTimeout)
	case phaseLingering:
		l.lingerOn(c)
	case phaseRelaying:
		l.expireIdle(c)
	case phaseWarm:
		l.staled(c)
	}
}

func (l *core) expireIdle(c *conn) {
	if !c.late {
		c.late = true
		l.io.keepalive(c, upstream)
	}
	if l.io.attend(c); c.phase != phaseRelaying {
		return
	}
	limit, reason := l.opts.IdleTimeout, IdleTimeout
	if c.halfClosed() {
		limit, reason = l.opts.HalfCloseTimeout, HalfCloseTimeout
	}
	if at := c.active + int64(limit); l.now < at {
		l.timers.set(c.slot, at)
		return
	}
	c.reason = reason // overrides the FIN or reset that began it: the timeout is what ended it
	l.finish(c, reason)
}

// tighten brings the timer forward when a half ended: half_close is usually shorter than idle.
func (l *core) tighten(c *conn) {
	if c.phase != phaseRelaying {
		return // set when the connection comes to it
	}
	l.timers.set(c.slot, l.now+min(int64(l.opts.HalfCloseTimeout), l.notice))
}

// settle acts on the state of both halves after something moved. It reports whether the connection is still open.
func (l *core) settle(c *conn) bool {
	if c.proof == disproved && l.replace(c) {
		return false
	}
	switch c.ending() {
	case endNot:
		return true
	case endResetClient:
		l.lingerAt(c, client)
	case endResetUpstream:
		l.lingerAt(c, upstream)
	default:
		l.finish(c, c.reason)
	}
	return false
}

// lingerAt resets the end s, but not before its peer has acknowledged what it was sent: a reset discards what is
// still on its way (tcp(7), SO_LINGER), and what was read before the other side's reset is to arrive.
func (l *core) lingerAt(c *conn, s side) {
	c.phase = phaseLingering
	c.linger = s
	if l.io.acked(c, s) {
		l.finish(c, c.reason)
		return
	}
	c.expires = l.now + int64(lingerMax)
	l.timers.set(c.slot, l.now+int64(lingerStep))
}

func (l *core) lingerOn(c *conn) {
	if l.now >= c.expires || l.io.acked(c, c.linger) {
		l.finish(c, c.reason)
		return
	}
	l.timers.set(c.slot, l.now+int64(lingerStep))
}

// finish ends a connection: the policy gets the summary, the sockets are closed, the slot is free.
func (l *core) finish(c *conn, reason Reason) {
	if c.phase == phaseDialing && c.flow.Endpoint != nil && c.ends[upstream].fd >= 0 {
		l.opts.Handler.Dialed(&c.flow, reason, nanos(l.now-c.dialed))
	}
	orderly := l.orderly(c, reason)
	s := c.summary(l, reason)
	l.opts.Handler.Closed(&s)
	l.timers.clear(c.slot)
	l.io.hangUp(c, client, !orderly)
	l.io.hangUp(c, upstream, !orderly)
	l.io.release(&c.halves[client])
	l.io.release(&c.halves[upstream])
	l.trust(c)
	l.conns.put(c)
	l.shared.active.Add(-1)
}

// orderly reports whether closing may look like a proper end to the peers. If bytes are lost by it, or the connection
// was in the middle of something, it must not: the peers are to see a reset.
func (l *core) orderly(c *conn, reason Reason) bool {
	if c.phase == phasePreface {
		return reason == Probe // nothing was to be passed on
	}
	if c.phase != phaseRelaying || c.halves[client].held() || c.halves[upstream].held() {
		return false
	}
	if c.halves[client].state == halfShut && c.halves[upstream].state == halfShut {
		return true
	}
	timedOut := reason == IdleTimeout || reason == HalfCloseTimeout
	return (timedOut || l.now-c.active >= int64(quiet)) && !l.io.unread(c, client) && !l.io.unread(c, upstream)
}

// endAll ends every connection.
func (l *core) endAll(reason Reason) {
	l.conns.each(func(c *conn) {
		if !c.pooled {
			l.finish(c, reason)
		}
	})
}

// endWhere ends the connections that match says yes to, and returns how many. Those that end already are left to it.
func (l *core) endWhere(match func(*Flow) bool, reason Reason) (n int) {
	l.conns.each(func(c *conn) {
		if !c.pooled && c.phase != phaseLingering && match(&c.flow) {
			l.finish(c, reason)
			n++
		}
	})
	return n
}

// show gives f the summary of each connection as of now.
func (l *core) show(f func(*Summary)) {
	l.conns.each(func(c *conn) {
		if !c.pooled {
			s := c.summary(l, None)
			f(&s)
		}
	})
}
