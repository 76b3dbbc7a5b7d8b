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
	scratch    []byte
	candidates []*Endpoint         // likewise, for Keeper.Choose
	debts      map[uint32]*[2]debt // by slot, of connections that owe something
	stuckOnes  []stuckConn         // likewise, of measure
	buffered   int64               // its part of shared.buffered
	measuring  bool                // measure is to be called
	trimming   bool                // trim is
	notice     int64               // nanoseconds until a connection that is half-closed gets attention
}

// shared is what the loops of a relay have in common.
type shared struct {
	base   time.Time // zero of the loops' clock, with a monotonic reading
	active atomic.Int64
	nextID atomic.Uint64
	pauses atomic.Uint64

	buffered   atomic.Int64 // bytes that stuck connections hold, as measured last
	collecting atomic.Bool  // memory is being given back
	pipes      atomic.Int64
	kept       atomic.Int64 // what ended loops could not give back: requests, buffers
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
	// acked reports whether the peer has acknowledged all that it was sent, or never will. Of an upstream that has kept its
	// window closed for a while, this is said as well: its client is gone.
	acked(c *conn, s side) bool
	// windowShut reports whether the peer of an end has left several window probes without room: it does not read.
	windowShut(c *conn, s side) bool
	// release frees what a half holds: its buffer, and its pipe.
	release(h *half)
	// keepalive sets the keepalive of the options on an end.
	keepalive(c *conn, s side)
	// attend is called when a connection has been relayed, or half-closed, for a while. It returns after how many
	// nanoseconds it is to be called again at the latest; 0: whenever.
	attend(c *conn) int64
	// acknowledged tells how the peer of an end acknowledges what it is sent.
	acknowledged(c *conn, s side) acknowledgement
	// queued is how much memory the kernel uses for what an end has received and not read, and was sent and has not
	// acknowledged, in bytes.
	queued(c *conn, s side) int64
	// lost reports whether a socket that has failed did since its peer does not answer.
	lost(c *conn, s side) bool
	// giveUp acts on an end whose peer is lost, of which the halves know already.
	giveUp(c *conn)
	// unread reports whether an end has bytes that were not read.
	unread(c *conn, s side) bool
	localAddr(fd int32) netip.AddrPort
	// adopted is called when c has got a connected upstream socket that the epoll instance watches for another connection
	// of the loop. It returns false if there is no memory to watch it for c.
	adopted(c *conn) bool
	// later calls f on the loop, after d.
	later(d time.Duration, f func())
}

func nanos(n int64) time.Duration { return time.Duration(n) }

// clock returns the time on the loops' clock, in nanoseconds since shared.base; wall turns such a time into the calendar's.
func (l *core) clock() int64           { return int64(time.Since(l.shared.base)) }
func (l *core) wall(t int64) time.Time { return l.shared.base.Add(time.Duration(t)) }

// expire acts on a timer that went off.
func (l *core) expire(slot uint32) {
	c := l.conns.at(slot)
	switch c.phase {
	case phasePreface:
		l.finish(c, c.expired)
	case phaseDialing:
		if l.now < c.expires {
			l.overdue(c) // the timer of an attempt fires early only for this
			return
		}
		l.dialFailed(c, ConnectTimeout)
	case phaseLingering:
		l.lingerOn(c)
	case phaseRelaying:
		l.expireIdle(c)
	case phaseWarm:
		l.warmExpired(c)
	}
}

// expireIdle acts on the timer of a connection that is relayed: it has been open for a while, or idle for too long.
func (l *core) expireIdle(c *conn) {
	if !c.late && l.now >= c.opened+int64(settled) {
		c.late = true
		l.io.keepalive(c, upstream)
	}
	if c.abandoned() {
		l.expireAbandoned(c)
		return
	}
	if l.collectDebts(c) {
		return
	}
	again := l.io.attend(c)
	if c.phase != phaseRelaying {
		return
	}
	if again == 0 {
		again = l.debtPeriod()
	}
	limit, reason := l.opts.IdleTimeout, IdleTimeout
	if c.halfClosed() {
		limit, reason = l.opts.HalfCloseTimeout, HalfCloseTimeout
	}
	if at := c.active + int64(limit); l.now < at {
		l.timers.set(c.slot, c.nextLook(l.now, at, again))
		return
	}
	c.reason = reason // overrides the FIN or reset that began it: the timeout is what ended it
	l.finish(c, reason)
}

// nextLook returns when a relayed connection that may be idle until at is to be looked at again.
func (c *conn) nextLook(now, at, again int64) int64 {
	if again > 0 {
		at = min(at, now+again)
	}
	if !c.late {
		at = min(at, max(c.opened+int64(settled), now))
	}
	return at
}

// tighten brings the timer forward when a half ended: half_close is usually shorter than idle.
func (l *core) tighten(c *conn) {
	if c.phase != phaseRelaying {
		return // set when the connection comes to it
	}
	l.timers.set(c.slot, l.now+min(int64(l.opts.HalfCloseTimeout), l.notice))
}
