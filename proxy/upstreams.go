package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/resolve"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// slowStart is how long an address that was out takes to get its full share of the connections again.
const slowStart = 30 * time.Second

// target is an upstream at work: its addresses, kept fresh, and what is counted on it.
type target struct {
	opts       Upstream
	server     *Server
	log        *zap.Logger
	set        *upstream.Set
	sources    []*source // the primary first
	hasBackups bool
	pairs      []*pair // by listener; nil where the listener has another upstream

	mu sync.Mutex // of the addresses of the sources

	open       atomic.Int64 // connections that made an attempt, kept only with a limit
	dialErrors [reasons]atomic.Uint64
	down       atomic.Bool // every address fails; told once
	onBackup   atomic.Bool // the last connection went to a backup
	lastFail   atomic.Pointer[dialFailure]
	connect    *histogram
	firstByte  *histogram
	duration   *histogram
}

// source is a host and port that addresses of an upstream come from.
type source struct {
	host   string
	port   uint16
	backup bool
	name   *resolve.Name    // nil where the host is an address
	addrs  []netip.AddrPort // under target.mu
}

// dialFailure is how an attempt failed.
type dialFailure struct {
	addr   netip.AddrPort
	reason relay.Reason
	at     time.Time
}

// endpoints are what a connection of each listener is given for one address: they differ in where bytes are counted.
type endpoints struct {
	target     *target
	addr       *upstream.Address
	byListener []*relay.Endpoint
}

func newTarget(o Upstream, s *Server) *target {
	if o.Attempts <= 0 {
		o.Attempts = 3
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = relay.DefaultConnectTimeout
	}
	loops := s.opts.Loops
	t := &target{
		opts:       o,
		server:     s,
		log:        s.log,
		sources:    []*source{{host: o.Host, port: o.Port}},
		hasBackups: len(o.Backups) > 0,
		pairs:      make([]*pair, len(s.opts.Listeners)),
		connect:    newHistogram(connectBounds, loops),
		firstByte:  newHistogram(firstByteBounds, loops),
		duration:   newHistogram(durationBounds, loops),
	}
	for _, b := range o.Backups {
		t.sources = append(t.sources, &source{host: b.Host, port: b.Port, backup: true})
	}
	for i, ln := range s.opts.Listeners {
		if ln.uses(o.Name) {
			t.pairs[i] = newPair(ln.Name, o.Name, loops)
		}
	}
	t.set = upstream.NewSet(t.setOptions())
	return t
}

// endpoints makes the endpoints of a new address.
func (t *target) endpoints(addr *upstream.Address) any {
	e := &endpoints{target: t, addr: addr, byListener: make([]*relay.Endpoint, len(t.pairs))}
	for i, p := range t.pairs {
		if p != nil {
			e.byListener[i] = &relay.Endpoint{Addr: addr.Addr, Timeout: t.opts.ConnectTimeout, Tally: p.tally, Tag: e, Header: t.header()}
		}
	}
	return e
}

// enter takes one of the connections that max_connections allows, until leave.
func (t *target) enter() bool {
	if t.opts.MaxConnections <= 0 {
		return true
	}
	if t.open.Add(1) <= int64(t.opts.MaxConnections) {
		return true
	}
	t.open.Add(-1)
	return false
}

func (t *target) leave() {
	if t.opts.MaxConnections > 0 {
		t.open.Add(-1)
	}
}

// refresh has the names looked up early: the addresses may have moved.
func (t *target) refresh() {
	for _, src := range t.sources {
		if src.name != nil {
			src.name.Refresh()
		}
	}
}

// watch begins to keep the addresses fresh.
func (t *target) watch(r *resolve.Resolver) error {
	for _, src := range t.sources {
		if a, err := netip.ParseAddr(src.host); err == nil {
			t.update(src, []netip.Addr{a})
			continue
		}
		n, err := r.Watch(src.host, func(addrs []netip.Addr) { t.update(src, addrs) })
		if err != nil {
			return fmt.Errorf("upstream %q: %w", t.opts.Name, err)
		}
		src.name = n
	}
	return nil
}

func (t *target) update(src *source, addrs []netip.Addr) {
	aps := make([]netip.AddrPort, 0, len(addrs))
	for _, a := range addrs {
		ap := netip.AddrPortFrom(a.Unmap(), src.port)
		if name := t.ownListener(ap); name != "" {
			t.log.Error("an address of the upstream is this forwarder's own listener: it is left out, since connections would go in circles",
				zap.String("upstream", t.opts.Name), zap.String("host", src.host), zap.Stringer("address", ap), zap.String("listener", name))
			continue
		}
		aps = append(aps, ap)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	src.addrs = aps
	var primaries, backups []netip.AddrPort
	for _, s := range t.sources {
		if s.backup {
			backups = append(backups, s.addrs...)
		} else {
			primaries = append(primaries, s.addrs...)
		}
	}
	t.set.Update(primaries, backups)
}

// ownListener returns the name of the listener that would accept a connection to ap, "" if none would.
func (t *target) ownListener(ap netip.AddrPort) string {
	for _, ln := range t.server.opts.Listeners {
		if ln.Addr.Port() != ap.Port() {
			continue
		}
		if ln.Addr.Addr().Unmap() == ap.Addr() || ln.Addr.Addr().IsUnspecified() && ofThisHost(ap.Addr()) {
			return ln.Name
		}
	}
	return ""
}

// ofThisHost reports whether an address is one of this machine's. Where the system does not tell, only loopback is.
func ofThisHost(a netip.Addr) bool {
	if a.IsLoopback() {
		return true
	}
	all, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(all, func(n net.Addr) bool {
		p, err := netip.ParsePrefix(n.String())
		return err == nil && p.Addr() == a
	})
}

func (src *source) String() string { return net.JoinHostPort(src.host, strconv.Itoa(int(src.port))) }
