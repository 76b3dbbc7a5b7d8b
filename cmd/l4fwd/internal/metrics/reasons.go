package metrics

import "github.com/l4fwd/l4fwd/proxy/relay"

// reasonDocs explains each reason in a sentence, for docs/METRICS.md.
var reasonDocs = map[relay.Reason]string{
	relay.ClientClosed:       "The client ended first, and both directions were delivered.",
	relay.UpstreamClosed:     "The upstream ended first, and both directions were delivered.",
	relay.ClientReset:        "The client reset the connection.",
	relay.UpstreamReset:      "The upstream reset the connection.",
	relay.ClientLost:         "The client answered no keepalive, or did not acknowledge bytes within `keepalive.user_timeout`.",
	relay.UpstreamLost:       "The upstream answered no keepalive, or did not acknowledge bytes within `keepalive.user_timeout`.",
	relay.IdleTimeout:        "No byte moved either way for `timeouts.idle`.",
	relay.HalfCloseTimeout:   "One direction had ended, and no byte moved in the other for `timeouts.half_close`. Both peers see a reset.",
	relay.ConnectRefused:     "The upstream's addresses refused the connection: nothing listens there.",
	relay.ConnectTimeout:     "No upstream address answered within `upstreams[].connect.timeout`.",
	relay.ConnectUnreachable: "The network has no way to the upstream's addresses.",
	relay.NoAddress:          "The upstream's name has no address: see the DNS metrics and the log.",
	relay.NoPorts:            "No local port was left towards the upstream's addresses.",
	relay.PrefaceTimeout:     "The client did not send its first bytes within `timeouts.preface`.",
	relay.ProxyHeaderBad:     "The PROXY protocol header was malformed.",
	relay.ProxyHeaderMissing: "A PROXY protocol header is required, and there was none.",
	relay.HelloBad:           "The first bytes were no TLS ClientHello.",
	relay.SNIMissing:         "The ClientHello names no server.",
	relay.SNIUnlisted:        "The ClientHello names a server that no route lists.",
	relay.SourceDenied:       "The client's address is not in the listener's `allow_sources`.",
	relay.VPCEDenied:         "The client's VPC endpoint is not in the listener's `allow_vpce`.",
	relay.LimitConnections:   "`limits.max_connections` were open.",
	relay.LimitSource:        "The client had `limits.per_source` connections to the listener open.",
	relay.LimitUpstream:      "The upstream had its `max_connections` open.",
	relay.LimitMemory:        "`limits.buffered` was exceeded, and the peer had not read for longest.",
	relay.LimitRate:          "`limits.accept_rate` was exceeded.",
	relay.DrainTimeout:       "The connection was still open when `drain.timeout` ended.",
	relay.Operator:           "An operator closed it, or ended the daemon at once.",
	relay.AddressRemoved:     "The address it was connected to is no longer one of the upstream.",
	relay.Internal:           "A fault of l4fwd or of the system: the log says more.",
	relay.Probe:              "A connection without a byte, but perhaps a PROXY header that says LOCAL, as a load balancer's health check makes; no error.",
}
