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

// Conn is a connection. A descriptor is 0 where there is none.
type Conn struct {
	ID       uint64
	Loop     int
	Listener string // empty for one that waits in a pool
	Client   netip.AddrPort
	Phase    string // preface, dialing, relaying, lingering or warm

	Attempts int
	Failure  string // of the last attempt
	Preface  bool
	Silent   string
	Warm     bool
	Stale    bool

	Reason  string // why it ends, as far as that is known
	Closed  string // in preface: why, if the client ends it now
	Expired string // likewise: if time runs out

	Opened, Began, Active, Expires, Fires int64
	Took                                  int64 // nanoseconds

	Late, Failed   bool
	Proof          string // of the upstream's connection: empty (proved), unproved or disproved
	BrokenBy       string // disproved: fin, reset or broken
	LingerUpstream bool   // lingering: the upstream's end is the one that is left
	Replay         []byte
	Endpoint       *Endpoint
	Beside         []Attempt
	Near           End  // the client's
	Far            End  // the upstream's
	Upload         Half // from the client
	Download       Half // from the upstream
	Session        *Session
}

// End is one socket of a connection.
type End struct {
	FD                            int
	HUP, Reset, Urgent, FIN, Lost bool
	Owed                          Owed
}

// Owed is what a peer owed when it was last looked at.
type Owed struct {
	Bytes  uint64
	Since  int64
	Closed bool
}

// Half is one direction of a connection.
type Half struct {
	State    string // open, fin, shut, cut or dead
	Held     []byte // read and not delivered
	PipeR    int    // a pipe for splicing, with Piped bytes in it
	PipeW    int
	PipeSize int
	Piped    int
	Streak   uint8
	Splice   bool
	Bulk     uint8 // 0 no large read yet, 1 small buffers, 2 the usual ones
	Bytes    uint64
}

// Endpoint is an upstream address.
type Endpoint struct {
	Upstream string
	Addr     netip.AddrPort
	Local    netip.Addr
}

// Attempt is an attempt to connect beside the connection's own.
type Attempt struct {
	Endpoint       Endpoint
	FD             int
	Began, Expires int64
}

// Session is what the policy knows of a connection beyond its listener.
type Session struct {
	Upstream string // chosen by a route; empty: not yet
	Counted  string // the upstream it counts as active of; empty: none yet
	Ticket   bool   // it counts as one of its source
	Detail   string
	Tried    []netip.AddrPort

	ProxyVersion int // of the PROXY header that was read
	Local        bool
	Source, Dest netip.AddrPort
	TLVs         []byte
	VPCE, SNI    string
}
