package relay

// phase is where a connection is in its life.
//
//	preface ──► dialing ──► relaying ──► free
//	   │           │            │
//	   └───────────┴────────────┴──────► lingering ──► free
//
// A connection of a pool has no client: dialing ──► warm ──► free. Its socket may go on as another connection's. So may that
// of an attempt beside another: dialing ──► free.
type phase uint8

const (
	phaseFree      phase = iota // the slot holds no connection
	phasePreface                // collecting the client's first bytes for the policy
	phaseDialing                // an upstream connection is being established
	phaseRelaying               // both ends are connected
	phaseLingering              // one end is gone; the other is reset once it has acknowledged all it was sent
	phaseWarm                   // the upstream is connected, and waits for a client
)

// end is one of the two sockets of a connection.
type end struct {
	fd    int32 // -1: none
	rd    bool  // a read may give something
	wr    bool  // a write may take something
	hup   bool  // the peer's FIN or reset is known to be behind the unread bytes: rd stays until it was read
	reset bool  // the peer is known to have reset; the error was consumed by another call
	// urgent: the peer sent urgent data. Reads stop at its mark (tcp(7)), so a short one does not mean drained, and a
	// splice cannot tell the mark from the end. The urgent byte itself is not passed on.
	urgent bool
	fin    bool // the peer is known to have sent its FIN before it reset: what it sent ends in order
	lost   bool // the peer is known not to answer any more, rather than to have reset

	// Of the io_uring engine: requests that the kernel has.
	recv  bool  // a receive
	dial  bool  // a connect
	watch bool  // a poll for a reset
	got   uint8 // messages received, up to steady
	tag   uint8 // counts the sockets that were this end, so that a completion for an earlier one is told apart
}

// mode is how a connection of the io_uring engine is served.
//
//	ring ──► leaving ──► ready        bulk, a reader that is slow, a reset, half-closed for a while
//	 ▲                     │
//	 └─────────────────────┘          small messages again
//
// In modeRing each direction is one request at a time: a receive, then the send of what it brought together with the next
// receive. Nothing that stalls is handled there: whatever is not a message that the destination took at once, a FIN, or a reset
// with nothing left to deliver, takes the connection to modeReady, where it is served as by the epoll engine. modeLeaving waits until
// the kernel has no request of it any more.
type mode uint8

const (
	modeRing mode = iota
	modeLeaving
	modeReady
)

// conn is one relayed connection. It lives in a slab, belongs to one loop for all its life and is never shared.
type conn struct {
	flow       Flow
	slot       uint32
	gen        uint32 // counts the slot's users, so that events for an earlier one are told apart
	ends       [2]end
	halves     [2]half // by source: halves[client] is the upload
	phase      phase
	mode       mode  // of the io_uring engine
	calm       uint8 // small messages in a row in modeReady, or asleep
	queued     bool  // waits in the loop's list of connections that used up their budget
	racer      bool  // has no client: an attempt for race.owner beside its own
	pooled     bool  // has no client, and is one of a pool, which is flow.Tag, or is to become one
	reason     Reason
	look       bool      // of the io_uring engine: its ends are to be looked at, see lookLater
	late       bool      // keepalive was set on the upstream's socket
	proof      proof     // whether the upstream's connection is known to live
	deathEvent halfEvent // what disproved it
	linger     side      // phaseLingering: the end that is left
	failed     bool      // the client's socket has, by a reset most likely; bytes that came before may be unread
	closed     Reason    // phasePreface: why the connection ends if the client ends it now
	expired    Reason    // phasePreface: why it ends when time runs out
	unseen     bool      // phasePreface: bytes came that the policy has not seen, since the connection was leaving modeRing
	opened     int64     // nanoseconds on the loop's clock, as all times here
	began      int64     // while dialing: the current attempt; after it: the upstream's first byte, 0: not yet
	took       int64     // how long the successful attempt took
	active     int64     // when a byte last moved
	expires    int64     // when the phase's own limit is reached
	race       *race     // attempts beside each other; nil: none
	replay     *buffer   // what was sent while unproved; nil: nothing
}

// ending returns what the connection as it is asks for.
func (c *conn) ending() ending {
	u, d := &c.halves[client], &c.halves[upstream]
	return endingOf(u.state, d.state, u.held(), d.held())
}

// hasClient reports whether a client is connected, which those of a pool and attempts beside others have not.
func (c *conn) hasClient() bool { return !c.pooled && !c.racer }

// halfClosed reports whether a direction has ended, or is known to end behind what is held.
func (c *conn) halfClosed() bool {
	return c.halves[client].state != halfOpen || c.halves[upstream].state != halfOpen || c.ends[client].hup || c.ends[upstream].hup
}

// race is what attempts beside each other share. It ends before the connection it belongs to does.
type race struct {
	owner  *conn
	beside []*conn // attempts under way beside the owner's own, the latest last
}

// proof says what is known of the upstream's connection of a conn.
type proof uint8

const (
	proved    proof = iota // it was established for this client, or has brought a byte
	unproved               // it is from a pool
	disproved              // it was from a pool, and is dead
)

// pending returns how many attempts are under way.
func (c *conn) pending() (n int) {
	if c.race != nil {
		n = len(c.race.beside)
	}
	if c.ends[upstream].fd >= 0 {
		n++
	}
	return n
}

// stuck reports whether a half holds bytes that its destination does not take.
func (c *conn) stuck() bool {
	return c.halves[client].held() && !c.ends[upstream].wr || c.halves[upstream].held() && !c.ends[client].wr
}

// abandoned reports whether the client has reset the connection while its upstream takes nothing: what the client sent
// before is held, or was not read yet.
func (c *conn) abandoned() bool {
	return !c.ends[upstream].wr && (c.halves[client].state == halfCut || c.failed && c.halves[client].state == halfOpen)
}

// firstLook is when the timer of an attempt that has just begun is to fire: when the next address is to be tried beside it.
func (c *conn) firstLook() int64 {
	if d := c.flow.Endpoint.Stagger; d > 0 {
		return min(c.began+int64(d), c.expires)
	}
	return c.expires
}
