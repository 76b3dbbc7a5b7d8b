package relay

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// portable is the engine of systems without epoll, and the oracle of the other engines in the tests: plain net, blocking
// calls, a goroutine for each direction and one that watches over both. Obvious rather than fast.
//
// It keeps the rules of core_half.go and core_cause.go with three exceptions. A reset of an end whose FIN was read before is found only by the
// next write to it. An upstream that resets in the instant of connecting looks like one that refused, and what it sent
// is lost (see dialReason). And on systems other than Linux a reset may be taken for a FIN where a write to the same end
// found it first (see portableConn.wasReset).
type portable struct {
	opts    Options
	tuning  atomic.Pointer[Tuning]
	serving sync.WaitGroup // connections

	active atomic.Int64
	ids    atomic.Uint64
	pauses atomic.Uint64

	buffered atomic.Int64  // bytes that stuck connections hold, as measured last
	stopped  chan struct{} // closed by stop

	lns []*portableListener // one change at a time is the Relay's care

	mu    sync.Mutex
	conns map[*portableConn]struct{}
	pools map[*Warm]*portablePool
}

// past is a deadline that has been reached: setting it wakes whoever is blocked on the socket.
var past = time.Unix(1, 0)

// forget is the last act of a connection.
func (e *portable) forget(c *portableConn) {
	e.mu.Lock()
	delete(e.conns, c)
	e.mu.Unlock()
	e.active.Add(-1)
}

// all returns the connections as of now.
func (e *portable) all() []*portableConn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Keys(e.conns))
}

// addrPort returns a TCP address; IPv4 mapped into IPv6 is unmapped.
func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}

// portableConn is one connection of the portable engine. Its life is the function live, read from top to bottom.
type portableConn struct {
	eng     *portable
	refused Reason // decided before its goroutine began
	opened  time.Time

	mu      sync.Mutex // of what others may look at; its own goroutine locks to change it and to let the handler
	flow    Flow
	ends    [2]*net.TCPConn // by side; the upstream's is nil until it is connected
	connect time.Duration   // how long the successful attempt took
	over    bool            // the handler was told of its end

	said atomic.Bool // the client sent bytes for the policy to see
	ctx  context.Context
	kill context.CancelCauseFunc // ends the connection from without; the cause is an endedBy

	// Shared by the two halves while they run.
	halves  [2]portableHalf // by source
	reason  atomic.Uint32   // why it ends, unless it is ended from within
	active  atomic.Int64    // when a byte last moved, since opened
	first   atomic.Int64    // when the upstream's first byte came, since opened
	broken  [2]atomic.Bool  // a write found that this end was reset
	finSent [2]atomic.Bool  // this end was sent the other's FIN
	lingers atomic.Bool     // one end was reset; the other is still to acknowledge what it was sent
	debts   [2]debt         // by side; of the goroutine that watches over both halves
	proof   atomic.Uint32   // a proof, of the upstream's connection
	replay  []byte          // what the client sent while it was unproved; its half's while that runs
}

// portableListener is a listening socket of the portable engine, with a goroutine that accepts.
type portableListener struct {
	eng      *portable
	ln       atomic.Pointer[Listener] // its heir may take its place
	tcp      *net.TCPListener
	stopping chan struct{}
	ended    chan struct{} // closed when the goroutine has ended
}

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

// portableHalf is one direction while it is relayed, with halfState as its fate.
type portableHalf struct {
	c        *portableConn
	from     side
	src, dst *net.TCPConn
	bytes    atomic.Uint64 // delivered
	busy     atomic.Bool   // it waits in a write
	held     int           // bytes read but not delivered when it ended
	state    halfState     // how it ended; halfOpen: it was interrupted
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

// endedBy is the cause with which a connection's context is cancelled.
type endedBy Reason

func (r endedBy) Error() string { return Reason(r).String() }
