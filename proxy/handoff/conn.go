package handoff

import "net/netip"

// Conn is a connection. A descriptor is 0 where there is none. Package relay fills it in core_export.go and reads it in core_take.go.
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
