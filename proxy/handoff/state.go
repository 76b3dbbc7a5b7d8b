package handoff

import (
	"encoding/json"
	"net/netip"
)

// The state's schema. testdata holds a state of each version, which a test reads for
// ever. A field may be added: who does not know it ignores it, and who misses it gets the zero value, which must do. A field never
// changes its meaning; where it would, Version is raised and the old reading kept.
//
// Times are nanoseconds of CLOCK_MONOTONIC, clock_gettime(2), which all processes of a machine share and which no change of the
// calendar's clock moves. Reasons and states are words, not numbers, which differ between versions.

// State is what passes before the connections: JSON.
type State struct {
	Version int    `json:"version"`
	Build   string `json:"build"`
	PID     int    `json:"pid"`
	Engine  string `json:"engine"`
	Loops   int    `json:"loops"`

	Base int64 `json:"base,omitempty"` // the beginning of the loops' clock

	Sockets []Socket        `json:"sockets"`
	Parts   map[string]Part `json:"parts,omitempty"` // by name
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
