package handoff

import (
	"encoding/json"
	"net/netip"
	"time"
)

// The state's schema. testdata holds a state of each version, which a test reads for
// ever. A field may be added: who does not know it ignores it, and who misses it gets the zero value, which must do. A field never
// changes its meaning; where it would, Version is raised and the old reading kept.
//
// Times are nanoseconds of CLOCK_MONOTONIC, clock_gettime(2), which all processes of a machine share and which no change of the
// calendar's clock moves. Parts may have times of the calendar's clock: see Jump. Reasons and states are words, not numbers, which differ between versions.

// State is what passes before the connections: JSON.
type State struct {
	Version int    `json:"version"`
	Build   string `json:"build"`
	PID     int    `json:"pid"`
	Engine  string `json:"engine"`
	Loops   int    `json:"loops"`

	Base int64 `json:"base,omitempty"` // the beginning of the loops' clock

	// Both clocks when this was written: see Jump.
	Wall  int64 `json:"wall,omitempty"`  // Unix nanoseconds
	Clock int64 `json:"clock,omitempty"` // CLOCK_MONOTONIC

	Sockets []Socket        `json:"sockets"`
	Parts   map[string]Part `json:"parts,omitempty"` // by name
}

// minJump is the shortest jump of the calendar's clock that counts: both clocks are read one after the other, and NTP moves that one
// a little all the time.
const minJump = time.Second

// Jump returns by how much the calendar's clock was set forward (negative: back) since the state was written. A deadline in a part, such
// as the end of an ejection, is later by as much on the clock of now. 0: it was not set, or the state does not say so.
func (s *State) Jump() time.Duration {
	if s.Wall == 0 || s.Clock == 0 {
		return 0
	}
	jump := time.Duration((time.Now().UnixNano() - s.Wall) - (Now() - s.Clock))
	if jump.Abs() < minJump {
		return 0
	}
	return jump
}

// Part is what one owner of state has to say, as JSON. It carries a version of its own.
type Part = json.RawMessage

// Socket is a listening socket.
type Socket struct {
	Use    string         `json:"use"` // relay, health or admin
	Name   string         `json:"name,omitempty"`
	Addr   netip.AddrPort `json:"addr,omitzero"` // where it listens
	Loop   int            `json:"loop,omitempty"`
	Shared bool           `json:"shared,omitempty"` // the same socket as that of the other loops
	FD     int            `json:"-"`                // travels beside
}

// The uses of a socket.
const (
	UseRelay  = "relay"
	UseHealth = "health"
	UseAdmin  = "admin"
)

// Final is what is known once the loops stand still: JSON.
type Final struct {
	NextID uint64          `json:"next_id"` // the last id that was given to a connection
	Still  int64           `json:"still"`   // since when the loops stand still
	Conns  int             `json:"conns"`
	Parts  map[string]Part `json:"parts,omitempty"`
}
