package relay

import (
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
