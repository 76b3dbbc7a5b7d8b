package relay

// Reason says why a connection ended or was refused. The list is closed: each value is a label of
// l4fwd_connections_total or l4fwd_refused_total, the field "reason" of the access log and a row of docs/METRICS.md.
type Reason uint8

// None is the zero value: nothing has ended, nothing is refused.
const (
	None Reason = iota

	// How a connection that was relayed ended.
	ClientClosed     // the client sent the first FIN, and both directions were delivered
	UpstreamClosed   // the upstream sent the first FIN, and both directions were delivered
	ClientReset      // the client reset the connection
	UpstreamReset    // the upstream reset the connection
	ClientLost       // the client answered no keepalive, or did not acknowledge bytes in time
	UpstreamLost     // the upstream answered no keepalive, or did not acknowledge bytes in time
	IdleTimeout      // no byte moved either way for timeouts.idle
	HalfCloseTimeout // one direction had ended and no byte moved in the other for timeouts.half_close

	// Why no upstream connection came about.
	ConnectRefused
	ConnectTimeout
	ConnectUnreachable
	NoAddress // the upstream's name has no usable address
	NoPorts   // no local port left towards the upstream

	// What was wrong with the first bytes.
	PrefaceTimeout
	ProxyHeaderBad
	ProxyHeaderMissing
	HelloBad
	SNIMissing
	SNIUnlisted

	// Who may not enter.
	SourceDenied
	VPCEDenied

	// Which limit was reached.
	LimitConnections
	LimitSource
	LimitUpstream
	LimitRate
	LimitMemory // too much was held for peers that do not read, and this one had not read for longest

	// What ended it from within.
	DrainTimeout
	Operator
	AddressRemoved
	Internal

	// Probe is a connection that carried no byte: the health check of a load balancer. It is no error.
	Probe

	reasonCount
)

// What Handler.Dialed is told of an attempt that another one for the same client beat. No connection ends for these.
const (
	Outpaced   = reasonCount + 1 + iota // it began before the one that connected
	Superseded                          // it began after that one, so that it says nothing of the address
)

// NumReasons is one more than the largest Reason, for arrays that are indexed by one.
const NumReasons = int(reasonCount)

var reasonText = [reasonCount]string{
	None:               "",
	ClientClosed:       "client_closed",
	UpstreamClosed:     "upstream_closed",
	ClientReset:        "client_reset",
	UpstreamReset:      "upstream_reset",
	ClientLost:         "client_lost",
	UpstreamLost:       "upstream_lost",
	IdleTimeout:        "idle_timeout",
	HalfCloseTimeout:   "half_close_timeout",
	ConnectRefused:     "connect_refused",
	ConnectTimeout:     "connect_timeout",
	ConnectUnreachable: "connect_unreachable",
	NoAddress:          "no_address",
	NoPorts:            "no_ports",
	PrefaceTimeout:     "preface_timeout",
	ProxyHeaderBad:     "proxy_header_bad",
	ProxyHeaderMissing: "proxy_header_missing",
	HelloBad:           "hello_bad",
	SNIMissing:         "sni_missing",
	SNIUnlisted:        "sni_unlisted",
	SourceDenied:       "source_denied",
	VPCEDenied:         "vpce_denied",
	LimitConnections:   "limit_connections",
	LimitSource:        "limit_source",
	LimitUpstream:      "limit_upstream",
	LimitRate:          "limit_rate",
	LimitMemory:        "limit_memory",
	DrainTimeout:       "drain_timeout",
	Operator:           "operator",
	AddressRemoved:     "address_removed",
	Internal:           "internal",
	Probe:              "probe",
}

// String returns the reason as metrics and logs spell it; None is the empty string.
func (r Reason) String() string {
	switch {
	case r == Outpaced:
		return "outpaced"
	case r == Superseded:
		return "superseded"
	case r >= reasonCount:
		return "internal"
	}
	return reasonText[r]
}

// Expected reports whether the reason is an ordinary end rather than a fault: the access log leaves these out
// when it is set to errors.
func (r Reason) Expected() bool {
	switch r {
	case ClientClosed, UpstreamClosed, Probe:
		return true
	}
	return false
}

// Refusal reports whether the reason turns a client away before an upstream connection was tried.
func (r Reason) Refusal() bool {
	switch r {
	case PrefaceTimeout, ProxyHeaderBad, ProxyHeaderMissing, HelloBad, SNIMissing, SNIUnlisted,
		SourceDenied, VPCEDenied, LimitConnections, LimitSource, LimitUpstream, LimitRate:
		return true
	}
	return false
}

// Reasons lists every reason but None, in the order of the documentation.
func Reasons() []Reason {
	all := make([]Reason, 0, reasonCount-1)
	for r := None + 1; r < reasonCount; r++ {
		all = append(all, r)
	}
	return all
}
