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
	closing    Summary             // of the connection that ends, which would be an allocation on its own
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
	collecting atomic.Int32 // see collect
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

// nanos turns nanoseconds on the loops' clock into a duration.
func nanos(n int64) time.Duration { return time.Duration(n) }

// clock returns the time on the loops' clock, in nanoseconds since shared.base; wall turns such a time into the calendar's.
func (l *core) clock() int64 { return int64(time.Since(l.shared.base)) }

// wall turns a time of clock into the calendar's, for people and for a successor, whose clock begins elsewhere.
func (l *core) wall(t int64) time.Time { return l.shared.base.Add(time.Duration(t)) }

// acknowledgement is how the peer of an end acknowledges what it is sent.
type acknowledgement struct {
	bytes      uint64        // acknowledged so far
	inFlight   bool          // bytes were sent that are not acknowledged
	closed     bool          // none is on its way, but there are some that its window has no room for
	unanswered bool          // no answer came to the last window probe, if one was sent
	silent     time.Duration // since the last packet that acknowledged anything, also what it had acknowledged before
}

// debt is what the peer of an end owes, as of the last look at it. The zero value: nothing.
type debt struct {
	bytes  uint64 // acknowledged
	since  int64  // first look that found so many, and something that is unanswered; 0: nothing was
	closed bool   // its window was
}

// stuckConn is a connection with bytes that its peer does not take.
type stuckConn struct {
	slot  uint32
	since int64 // when a byte last moved
	bytes int64 // held for it
}

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
