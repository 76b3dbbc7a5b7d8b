package proxy

import (
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/proxy/upstream"
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
	Name      string           `json:"name"`
	Address   string           `json:"address"` // as configured, host:port
	Usable    bool             `json:"usable"`  // it has an address that is neither failed by its check nor ejected, as far as is known
	Failing   bool             `json:"failing"` // the last attempt at every address failed
	Detail    string           `json:"detail"`  // why it is not usable, or how it fails
	Active    int64            `json:"active"`
	MaxConns  int              `json:"max_connections"` // 0: no limit
	Total     uint64           `json:"total"`
	BytesUp   uint64           `json:"bytes_up"`
	BytesDown uint64           `json:"bytes_down"`
	DNSAge    float64          `json:"dns_age_seconds"` // age of the answer in use; 0 for a literal address
	DNSError  string           `json:"dns_error,omitempty"`
	Storm     string           `json:"storm,omitempty"`     // what speaks for an upstream that leads back here
	Warm      *WarmStatus      `json:"warm,omitempty"`      // nil: none are kept
	Required  bool             `json:"required"`            // readiness takes this very upstream
	Admission *AdmissionStatus `json:"admission,omitempty"` // nil: nobody asks
	Addresses []AddressStatus  `json:"addresses"`
}

// AddressStatus is the standing of one upstream address.
type AddressStatus struct {
	Addr     netip.AddrPort `json:"address"`
	State    string         `json:"state"`          // one of AddressStates
	Why      string         `json:"why,omitempty"`  // why it is not usable
	Until    time.Time      `json:"until,omitzero"` // end of an operator's ejection; absent if it has none
	Backup   bool           `json:"backup"`
	Active   int64          `json:"active"`
	Failures uint64         `json:"failures"`   // connect attempts failed in a row
	Connect  float64        `json:"connect_ms"` // how long the last attempt that connected took; 0: none has
}

// AddressStates lists the values of the label state of l4fwd_upstream_addresses and of AddressStatus.State.
func AddressStates() []string {
	var all []string
	for _, s := range upstream.States() {
		all = append(all, string(s))
	}
	return all
}

// Status returns the state as of now.
func (s *Server) Status() Status {
	now := time.Now()
	engine, why := s.relay.Engine()
	t := s.policy.table.Load()
	st := Status{
		Engine: engine, EngineReason: why, Loops: t.opts.Loops, Active: s.relay.Stats().Active, MaxConns: t.opts.MaxConnections,
		Draining: s.stopped.Load(),
	}
	for _, ln := range t.opts.Listeners {
		names := slices.Compact(slices.Sorted(slices.Values(ln.upstreams())))
		l := ListenerStatus{Name: ln.Name, Addr: s.relay.Addr(ln.Name), Upstream: strings.Join(names, ","), Open: !s.stopped.Load()}
		c := s.counters.listener(ln.Name)
		l.Accepted = c.accepted()
		l.Refused, l.Reasons = c.refusals()
		l.Active = t.rules[c.index].active()
		st.Listeners = append(st.Listeners, l)
	}
	for _, u := range t.targets {
		st.Upstreams = append(st.Upstreams, u.status(now))
	}
	return st
}
