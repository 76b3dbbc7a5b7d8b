package proxy

import (
	"net/netip"
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// Status is the forwarder's state at one moment, as `l4fwd status --output json` shows it.
type Status struct {
	Engine       string           `json:"engine"`
	EngineReason string           `json:"engine_reason"`
	Loops        int              `json:"loops"`
	Draining     bool             `json:"draining"`
	Active       int64            `json:"active"`
	MaxConns     int              `json:"max_connections"`
	Listeners    []ListenerStatus `json:"listeners"`
	Upstreams    []UpstreamStatus `json:"upstreams"`
}

// ListenerStatus is one listener's state.
type ListenerStatus struct {
	Name     string         `json:"name"`
	Addr     netip.AddrPort `json:"address"`
	Upstream string         `json:"upstream"` // several, by routes, are separated by commas
	Active   int64          `json:"active"`
	Accepted uint64         `json:"accepted"`
	Refused  uint64         `json:"refused"`
	// Reasons are those of Refused, each with its number; without those that did not occur.
	Reasons map[string]uint64 `json:"refused_by_reason,omitempty"`
	Open    bool              `json:"open"`
}

// UpstreamStatus is one upstream's state.
type UpstreamStatus struct {
	Name      string          `json:"name"`
	Address   string          `json:"address"` // as configured, host:port
	Usable    bool            `json:"usable"`  // it has an address that is neither failed by its check nor ejected
	Failing   bool            `json:"failing"` // the last attempt at every address failed
	Detail    string          `json:"detail"`  // why it is not usable, or how it fails
	Active    int64           `json:"active"`
	MaxConns  int             `json:"max_connections"` // 0: no limit
	Total     uint64          `json:"total"`
	BytesUp   uint64          `json:"bytes_up"`
	BytesDown uint64          `json:"bytes_down"`
	DNSAge    float64         `json:"dns_age_seconds"` // age of the answer in use; 0 for a literal address
	DNSError  string          `json:"dns_error,omitempty"`
	Warm      *WarmStatus     `json:"warm,omitempty"` // nil: none are kept
	Addresses []AddressStatus `json:"addresses"`
}

// AddressStatus is the standing of one upstream address.
type AddressStatus struct {
	Addr     netip.AddrPort `json:"address"`
	State    string         `json:"state"`         // one of AddressStates
	Why      string         `json:"why,omitempty"` // why it is in no good state
	Backup   bool           `json:"backup"`
	Active   int64          `json:"active"`
	Failures uint64         `json:"failures"` // connect attempts failed in a row
}

// Stats are the figures that metrics are made from. Maps and slices are the caller's.
type Stats struct {
	Relay         relay.Stats
	Draining      bool
	Accepted      map[string]uint64         // by listener
	Refused       map[[2]string]uint64      // by listener, reason
	Ended         map[[3]string]uint64      // by listener, upstream, reason; without an upstream where no route was chosen
	Active        map[[2]string]int64       // by listener, upstream; without an upstream where no route is chosen yet
	Bytes         map[[2]string]relay.Bytes // by listener, upstream
	Connect       map[string]HistogramStats // by upstream: seconds to connect
	FirstByte     map[string]HistogramStats // by upstream: seconds from accept to the first upstream byte
	Duration      map[string]HistogramStats // by upstream: seconds from accept to end
	Dials         map[[2]string]uint64      // by upstream, reason: failed connect attempts
	Addresses     map[[2]string]int         // by upstream, state (one of AddressStates)
	Warm          map[string]int64          // by upstream, where connections are kept warm: those that wait
	WarmUsed      map[[2]string]uint64      // by upstream, where connections are kept warm, and result (one of WarmResults)
	WarmRests     map[string]uint64         // by upstream, where connections are kept warm: rests of its loops
	Lookups       map[[2]string]uint64      // by name, result
	AnswerAge     map[string]time.Duration  // by name; absent before the first answer
	AccessDropped uint64                    // access-log lines dropped because the log did not keep up
}

// HistogramStats is a histogram at one moment, with cumulative counts by upper bound in seconds.
type HistogramStats struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64
}
