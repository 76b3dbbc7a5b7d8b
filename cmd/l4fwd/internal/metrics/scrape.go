package metrics

import (
	"time"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
)

// Scrape is the daemon's state at the moment of a scrape.
type Scrape struct {
	Stats        proxy.Stats
	Rates        Rates
	Build        Build
	Draining     bool
	Loaded       time.Time // when the configuration in use was loaded
	ReloadFailed bool
	Files        int    // open descriptors of the process; -1: unknown
	Sockets      int    // those of the listeners
	LinesDropped uint64 // log lines lost since the start
	Limits       []Limit

	Handovers Handovers

	EIP       *eip.Stats       // nil: there is no eip.pool
	Lifecycle *lifecycle.State // nil: it is not watched
}

// Handovers are how many upgrades went how, and how long connections stood still in the last one that succeeded.
type Handovers struct {
	Taken, Failed, Refused uint64
	Pause                  time.Duration
}

// Limit is a limit in force.
type Limit struct {
	Name               string // one of LimitNames
	Listener, Upstream string // empty: it is one of all of them together
	Value              float64
}

// LimitNames are the values of the label limit.
func LimitNames() []string {
	return []string{"connections", "connections_per_source", "accepts_per_second", "buffered_bytes", "upstream_connections"}
}

// Build is what is known of the running binary.
type Build struct {
	Version  string `json:"version"`
	Commit   string `json:"commit"`
	Go       string `json:"go"`
	Platform string `json:"platform"`
	FIPS140  string `json:"fips140,omitempty"` // version of the FIPS 140-3 module in use, empty without one
}
