package proxy

import (
	"encoding/json"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/preface"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// Options is everything the forwarder does, compiled from the configuration. It is not changed after Start: Reload puts other
// Options in its place.
type Options struct {
	Listeners []Listener // at least one, names unique
	Upstreams []Upstream // at least one, names unique

	// Known is what Save returned in the process that this one takes over from; nil: nothing.
	Known json.RawMessage
	// Jump is by how much the clock was set since: Known's times are moved by it.
	Jump time.Duration

	// Adopt, if it is not nil, has the server take over from that of another process. It starts frozen then, see Server.Adopted.
	Adopt *relay.Adoption

	Engine         string // auto, uring, epoll or portable
	Loops          int    // event loops; 0: one for each processor
	Steered        bool   // see relay.Options
	MaxConnections int    // open connections over all listeners; 0: no limit
	PerSource      int    // open connections of a source (an IPv4 address, an IPv6 /64) to a listener; 0: no limit
	Buffered       int64  // bytes held for peers that do not read, see relay.Tuning; 0: follows from the machine
	AcceptRate     int    // clients admitted a second over all listeners, as many at once; 0: no limit

	PrefaceTimeout, IdleTimeout, HalfCloseTimeout time.Duration
	Keepalive                                     relay.Keepalive

	DNS DNS

	Prober Prober // makes the checks of upstreams; not used without any

	Access   AccessLog     // which connections get an access-log line when they end
	Starts   bool          // connections get a line when they have reached their upstream, too
	Progress time.Duration // how often connections that last get a line; 0: never
	Log      *zap.Logger   // events; nil: nothing is logged

	// AccessLogger gets the access log, at level info; nil: Log gets it.
	AccessLogger *zap.Logger
}

// Listener accepts clients on one address.
type Listener struct {
	Name     string
	Addr     netip.AddrPort // the unspecified IPv6 address takes IPv4 as well
	FD       int            // an open listening socket (socket activation); 0: one is opened
	Upstream string         // name of the upstream that serves all its clients; not used with Routes
	Routes   []Route        // the first that has the name a client asks for serves it; a client that none has is refused

	AcceptProxy  AcceptProxy    // whether PROXY headers are expected; the source that one names is the client then
	AllowSources []netip.Prefix // who may enter; empty: all
	AllowVPCE    []string       // through which VPC endpoints, as PROXY headers tell; empty: all
}

// Route names the upstream of TLS clients by the host name they ask for.
type Route struct {
	SNI      []string // host names, or *. and the rest of one; at least one. See CheckPattern
	Upstream string
}

// AcceptProxy says whether a listener expects PROXY headers: off, optional, required.
type AcceptProxy = preface.Mode

// The choices of AcceptProxy. With ProxyOptional whoever reaches the listener can claim any source.
const (
	ProxyOff      = preface.Off
	ProxyOptional = preface.Optional
	ProxyRequired = preface.Required
)

// Upstream is a destination by name or address.
type Upstream struct {
	Name           string
	Host           string // host name or IP address
	Port           uint16
	Others         []HostPort    // further primaries, of equal standing with Host
	Backups        []HostPort    // used only while no primary address is usable
	ConnectTimeout time.Duration // of one attempt; 0: 5s
	Attempts       int           // connect attempts a connection makes at most; 0: 3
	Stagger        time.Duration // without an answer for so long the next address is tried beside the first; 0: one after the other
	MaxConnections int           // beyond it a client is refused with LimitUpstream; 0: no limit
	Balance        Balance
	Check          Check
	Admission      Admission // with a check of type CheckHTTPS
	Required       bool      // this instance is not ready while the upstream has no usable address
	Outlier        Outlier
	Removed        Removed
	Warm           Warm
	SendProxy      SendProxy // the PROXY header that connections begin with
	// SourceAddresses are local addresses to connect from, in turn those of the family of the address that is connected to.
	// Without one of that family the routing table decides.
	SourceAddresses []netip.Addr
}

// HostPort is a host name or IP address, and a port.
type HostPort struct {
	Host string
	Port uint16
}

// Check is active checking of each address of an upstream; the zero value checks nothing.
type Check struct {
	Type              CheckType
	Path              string // CheckHTTPS: what is asked for, beginning with a slash
	Interval, Timeout time.Duration
	Rise, Fall        int // checks in a row that must pass before an address is used again, or fail before it is out
}

// Outlier is passive ejection of addresses; the zero value ejects nothing.
type Outlier struct {
	Failures          int           // attempts in a row that fail before an address is ejected
	Ejection          time.Duration // for how long the first time
	MaxEjectedPercent int           // of the addresses
}

// Removed says what becomes of connections to an address that left the DNS answer; the zero value keeps them.
type Removed struct {
	Close bool          // they are closed
	After time.Duration // so long after the address left
}

// DNS says how names are resolved; the zero value uses the system's resolv.conf and the defaults of resolve.Options.
type DNS struct {
	Servers                 []netip.AddrPort
	MinTTL, MaxTTL, Timeout time.Duration
}

// tuning returns what the relay can change while it runs.
func (o Options) tuning() relay.Tuning {
	return relay.Tuning{
		PrefaceTimeout: o.PrefaceTimeout, IdleTimeout: o.IdleTimeout, HalfCloseTimeout: o.HalfCloseTimeout,
		Keepalive: o.Keepalive, MaxConnections: o.MaxConnections, Buffered: o.Buffered,
	}
}
