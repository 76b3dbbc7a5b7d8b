package relay

import (
	"context"
	"time"
)

// Look is one live connection as an operator sees it: its summary so far, with Reason None, where it is in its life, and what the
// kernel says of both sockets.
type Look struct {
	Summary
	State  LookState
	Idle   time.Duration // since a byte last moved, or since it was accepted
	Splice [2]bool       // upload, download: the direction goes through a pipe now, without a copy
	Legs   [2]Leg        // client, upstream
	Stalls Stall
}

// LookState is where a connection is in its life.
type LookState uint8

// The states of a connection. An end that is closed counts once its FIN was read.
const (
	LookPreface        LookState = iota // the client's first bytes are awaited
	LookDialing                         // the upstream is being connected to
	LookRelaying                        // both directions are open
	LookHalfClosedUp                    // the client has ended its direction
	LookHalfClosedDown                  // the upstream has ended its direction
	LookClosing                         // both have ended, or one is gone and the other gets the rest
)

var lookStates = [...]string{"preface", "dialing", "relaying", "half_closed_up", "half_closed_down", "closing"}

// LookStates lists the texts of all states.
func LookStates() []string { return lookStates[:] }

func (s LookState) String() string { return lookStates[s] }

// Stall says which peer does not take the bytes that wait for it.
type Stall uint8

// Who stalls. If both do, it is the client.
const (
	StallNone Stall = iota
	StallClient
	StallUpstream
)

var stalls = [...]string{"none", "client", "upstream"}

// Stalls lists the texts of all values.
func Stalls() []string { return stalls[:] }

func (s Stall) String() string { return stalls[s] }

// Leg is what the kernel says of one socket: tcp(7), TCP_INFO.
type Leg struct {
	Known       bool          // false: there is no socket, or the kernel does not say
	RTT         time.Duration // smoothed round-trip time
	Retransmits uint32        // segments sent again, in all
	InFlight    uint32        // segments sent and not acknowledged
	Unsent      uint32        // bytes that the kernel has not sent yet
	Window      uint32        // bytes that the peer says it has room for; 0 also where the kernel does not say
	Silent      time.Duration // since the peer last acknowledged anything
	Held        int64         // bytes that the relay has read and not yet given to this socket
}

// stallAfter is how long nothing may move towards a peer before it counts as stalling, unless its window is shut.
const stallAfter = time.Second

// stalled reports whether the peer of a leg does not take the bytes that wait for it. idle is how long no byte has moved.
func (g *Leg) stalled(idle time.Duration) bool {
	switch {
	case g.InFlight > 0:
		// Nothing comes back: a path that is dark. Or only duplicates come back: a window that shrank to 0 with segments on their way.
		return g.Silent >= stallAfter || idle >= stallAfter
	case g.Unsent > 0:
		return true // none is on its way, and there are some: the window is shut
	}
	return g.Held > 0 && idle >= stallAfter
}

// judge sets Stalls from the legs.
func (k *Look) judge() {
	switch {
	case k.Legs[client].stalled(k.Idle):
		k.Stalls = StallClient
	case k.Legs[upstream].stalled(k.Idle):
		k.Stalls = StallUpstream
	}
}

const (
	// LookBatch is how many connections Relay.Look shows at most between two calls of its ready.
	LookBatch = 128
	// lookSlice is how long a loop is held at most, beside the one connection that goes beyond it.
	lookSlice = 200 * time.Microsecond
	lookSteps = 16 // slots between two looks at the clock
)

// Look shows each live connection to f. ready is called before each batch of at most LookBatch connections, on the caller's
// goroutine, to make room for them. f is called on the loops, never from two at once, and must neither block nor keep the Look or
// its Flow. A loop is held for lookSlice at a time and serves its connections in between: those that come or go meanwhile may be
// shown or not, none is shown twice. It returns early with the error of ctx. held is the
// longest time that a loop was held without a pause.
func (r *Relay) Look(ctx context.Context, ready func(), f func(*Look)) (held time.Duration, err error) {
	return r.eng.look(ctx, ready, f)
}

// CloseOne ends the connection with an id for a reason. It returns false if none is open under that id: ids are never used again.
func (r *Relay) CloseOne(id uint64, reason Reason) bool { return r.eng.closeOne(id, reason) }

// LastID is the highest id that a connection has had.
func (r *Relay) LastID() uint64 { return r.eng.lastID() }

// lookFrom shows connections from a slot on to f, asking leg for the sockets. It returns the slot to go on from, -1 at the end.
func (l *core) lookFrom(slot int, leg func(*Leg, *conn, side), f func(*Look)) int {
	var k Look
	begun, shown := l.clock(), 0
	for end := len(l.conns.pages) * slabPage; slot < end; slot++ {
		if shown == LookBatch || slot%lookSteps == 0 && shown > 0 && l.clock()-begun > int64(lookSlice) {
			return slot
		}
		if c := l.conns.at(uint32(slot)); c.phase != phaseFree && c.hasClient() {
			l.lookAt(&k, c, leg)
			f(&k)
			shown++
		}
	}
	return -1
}

// lookAt describes a connection as of now.
func (l *core) lookAt(k *Look, c *conn, leg func(*Leg, *conn, side)) {
	*k = Look{Summary: c.summary(l, None), State: c.lookState(), Idle: nanos(max(l.now-c.active, 0))}
	for _, s := range [...]side{client, upstream} {
		h := &c.halves[s]
		k.Splice[s] = h.splice
		g := &k.Legs[s.other()]
		g.Held = int64(max(h.holding(), int(h.sending))) + int64(h.inPipe)
		if c.ends[s.other()].fd >= 0 && (s.other() == client || c.took > 0) {
			leg(g, c, s.other())
		}
	}
	if c.phase == phaseRelaying || c.phase == phaseLingering {
		k.judge()
	}
}

// holding is how many bytes the half has in a buffer.
func (h *half) holding() int {
	if h.hold == nil {
		return 0
	}
	return len(h.hold.bytes())
}

// lookState says where a connection is in its life.
func (c *conn) lookState() LookState {
	up, down := c.halves[client].state != halfOpen, c.halves[upstream].state != halfOpen
	switch {
	case c.phase == phasePreface:
		return LookPreface
	case c.phase == phaseDialing:
		return LookDialing
	case c.phase == phaseLingering, up && down:
		return LookClosing
	case up:
		return LookHalfClosedUp
	case down:
		return LookHalfClosedDown
	}
	return LookRelaying
}

// endOne ends the connection with an id, also one that is ending already.
func (l *core) endOne(id uint64, reason Reason) bool {
	for _, p := range l.conns.pages {
		for i := range p {
			if c := &p[i]; c.phase != phaseFree && c.hasClient() && c.flow.ID == id {
				l.finish(c, reason)
				return true
			}
		}
	}
	return false
}
