package relay

import "net/netip"

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

// side names one of the two ends of a connection.
type side uint8

const (
	client   side = 0
	upstream side = 1
)

func (s side) other() side { return s ^ 1 }

// halfState is the state of one direction, from its source to its destination. Bytes that were read but not yet
// delivered are held by the half: in a buffer or in a pipe.
//
//	        FIN read            drained
//	open ──────────────► fin ────────────► shut     (FIN passed on)
//	 │ │   source reset
//	 │ └────────────────► cut                       (destination is reset once drained)
//	 │ destination gone (from any but shut)
//	 └──────────────────► dead                      (source is reset once the other half is done)
type halfState uint8

const (
	halfOpen halfState = iota
	halfFIN            // the source's FIN was read; bytes may still be held
	halfShut           // all was delivered, and the FIN after it
	halfCut            // the source was reset; bytes may still be held
	halfDead           // the destination is gone, nothing is delivered any more
	halfStates
)

// halfEvent is what can happen to a half.
type halfEvent uint8

const (
	eventFIN     halfEvent = iota // a read from the source returned its end
	eventReset                    // the source was reset
	eventDrained                  // the half holds no byte
	eventBroken                   // the destination does not take bytes any more
	halfEvents
)

// halfNext is the transition table of a half. Rows are states, columns events.
var halfNext = [halfStates][halfEvents]halfState{
	//          FIN       reset     drained   broken
	halfOpen: {halfFIN, halfCut, halfOpen, halfDead},
	halfFIN:  {halfFIN, halfFIN, halfShut, halfDead}, // after its FIN a source has nothing more to lose
	halfShut: {halfShut, halfShut, halfShut, halfShut},
	halfCut:  {halfCut, halfCut, halfCut, halfDead},
	halfDead: {halfDead, halfDead, halfDead, halfDead},
}

// ending is what the states of both halves ask for.
type ending uint8

const (
	endNot           ending = iota // go on
	endClose                       // both ends are done: close them
	endResetClient                 // close the upstream; reset the client once it has acknowledged what it was sent
	endResetUpstream               // the same the other way round
)

// endingOf judges a connection by its halves. A cut half counts only once it is drained: what was read before a reset is
// delivered before the reset is.
func endingOf(up, down halfState, upHeld, downHeld bool) ending {
	switch {
	case down == halfCut && !downHeld:
		if up == halfCut {
			return endClose // both ends are gone
		}
		return endResetClient
	case up == halfCut && !upHeld:
		return endResetUpstream
	case up == halfDead && down == halfDead:
		return endClose
	case up == halfDead && down == halfShut:
		return endResetClient // what it sent was lost, and it must know
	case down == halfDead && up == halfShut:
		return endResetUpstream
	case up == halfShut && down == halfShut:
		return endClose
	}
	return endNot
}

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

// half is one direction of a connection, identified by its source.
type half struct {
	hold    *buffer // bytes read and not yet delivered; nil: none
	pipe    *pipe   // for splicing; owned while not nil
	inPipe  int32   // bytes in it
	sending int32   // bytes in a send that the kernel was asked for and that is not known to have succeeded
	streak  uint8   // large reads in a row (copying) or small ones (splicing)
	splice  bool    // the half is in bulk and goes through the pipe
	state   halfState
	bulk    bulk   // how far it is trusted with memory
	bytes   uint64 // delivered
}

// bulk is how far a half is trusted with memory.
type bulk uint8

const (
	bulkNone    bulk = iota // no large read yet
	bulkUnknown             // small buffers: its destination has not acknowledged much
	bulkProved
)

// held reports whether bytes were read that are not known to be delivered.
func (h *half) held() bool { return h.hold != nil || h.inPipe > 0 || h.sending > 0 }

// mode is how a connection of the io_uring engine is served.
//
//	ring ──► leaving ──► ready        bulk, a reader that is slow, a reset, half-closed for a while
//	 ▲                     │
//	 └─────────────────────┘          small messages again
//
// In modeRing each direction is one request at a time: a receive, then the send of what it brought together with the next
// receive. Nothing that ends or stalls is handled there: whatever is not a message that the destination took at once, or
// a FIN, takes the connection to modeReady, where it is served as by the epoll engine. modeLeaving waits until
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
	calm       uint8 // small messages in a row in modeReady
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
	opened     int64     // nanoseconds on the loop's clock, as all times here
	began      int64     // while dialing: the current attempt; after it: the upstream's first byte, 0: not yet
	took       int64     // how long the successful attempt took
	active     int64     // when a byte last moved
	expires    int64     // when the phase's own limit is reached
	race       *race     // attempts beside each other; nil: none
	replay     *buffer   // what was sent while unproved; nil: nothing
}

// happen applies an event to the half whose source is s, notes the first cause of the end, and draws the
// consequences for the other half: an end that was reset takes nothing any more.
func (c *conn) happen(s side, e halfEvent) {
	if c.provesDead(s, e) {
		return
	}
	h := &c.halves[s]
	was := h.state
	h.state = halfNext[was][e]
	if h.state == was {
		return
	}
	switch h.state {
	case halfFIN:
		c.because(closedBy[s])
	case halfCut:
		c.because(c.failureOf(s))
		c.happen(s.other(), eventBroken)
	case halfDead:
		// The destination was reset. What it sent before is still to be read; the reset is found behind it.
		d := s.other()
		e := &c.ends[d]
		e.rd, e.hup = true, true
		if e.fin {
			c.because(closedBy[d])
		} else {
			c.because(c.failureOf(d))
			e.reset = true
		}
	}
}

var (
	closedBy = [2]Reason{client: ClientClosed, upstream: UpstreamClosed}
	resetBy  = [2]Reason{client: ClientReset, upstream: UpstreamReset}
	lostBy   = [2]Reason{client: ClientLost, upstream: UpstreamLost}
)

// because notes why the connection ends. The first cause stays, since an end that has sent its FIN and is closed
// resets whatever still arrives: every TLS peer that does not wait for the other's close_notify does. But an upstream
// that resets instead of answering a client's FIN has cut its answer short, and what was on its way to a peer that is lost
// has not arrived.
func (c *conn) because(r Reason) {
	if overrides(r, c.reason) {
		c.reason = r
	}
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

// summary makes the summary as of now.
func (c *conn) summary(l *core, reason Reason) Summary {
	silent := c.halves[client].bytes == 0 && c.halves[upstream].bytes == 0 && !c.halves[client].held()
	if silent && (reason == ClientClosed || reason == ClientReset) {
		reason = Probe
	}
	s := Summary{
		Flow:      &c.flow,
		Reason:    reason,
		Connected: c.took > 0,
		Up:        c.halves[client].bytes,
		Down:      c.halves[upstream].bytes,
		Opened:    l.wall(c.opened),
		Connect:   nanos(c.took),
		Duration:  nanos(l.now - c.opened),
	}
	if c.flow.Warm {
		s.Connect = 0
	}
	if s.Connected && c.began > 0 {
		s.FirstByte = nanos(max(c.began-c.opened, 1))
		s.Duration = max(s.Duration, s.FirstByte) // both may be of the turn in which it was accepted
	}
	if fd := c.ends[upstream].fd; fd >= 0 && s.Connected {
		s.local = func() netip.AddrPort { return l.io.localAddr(fd) }
	}
	return s
}
