package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/resolve"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// target is an upstream at work: its addresses, kept fresh, and what is counted on it.
type target struct {
	opts      Upstream
	listeners []Listener
	log       *zap.Logger
	set       *upstream.Set
	name      *resolve.Name // nil where the host is an address
	pairs     []*pair       // by listener; nil where the listener has another upstream

	dialErrors [reasons]atomic.Uint64
	down       atomic.Bool // every address fails; told once
	lastFail   atomic.Pointer[dialFailure]
	connect    *histogram
	firstByte  *histogram
	duration   *histogram
}

// dialFailure is how an attempt failed.
type dialFailure struct {
	addr   netip.AddrPort
	reason relay.Reason
	at     time.Time
}

// endpoints are what a connection of each listener is given for one address: they differ in where bytes are counted.
type endpoints struct {
	addr       *upstream.Address
	byListener []*relay.Endpoint
}

func newTarget(o Upstream, listeners []Listener, loops int, log *zap.Logger) *target {
	if o.Attempts <= 0 {
		o.Attempts = 3
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = relay.DefaultConnectTimeout
	}
	t := &target{
		opts:      o,
		listeners: listeners,
		log:       log,
		pairs:     make([]*pair, len(listeners)),
		connect:   newHistogram(connectBounds, loops),
		firstByte: newHistogram(firstByteBounds, loops),
		duration:  newHistogram(durationBounds, loops),
	}
	for i, ln := range listeners {
		if ln.Upstream == o.Name {
			t.pairs[i] = newPair(ln.Name, o.Name, loops)
		}
	}
	t.set = upstream.NewSet(t.endpoints)
	return t
}

// endpoints makes the endpoints of a new address.
func (t *target) endpoints(addr *upstream.Address) any {
	e := &endpoints{addr: addr, byListener: make([]*relay.Endpoint, len(t.pairs))}
	for i, p := range t.pairs {
		if p != nil {
			e.byListener[i] = &relay.Endpoint{Addr: addr.Addr, Timeout: t.opts.ConnectTimeout, Tally: p.tally, Tag: e}
		}
	}
	return e
}

// watch begins to keep the addresses fresh.
func (t *target) watch(r *resolve.Resolver) error {
	if a, err := netip.ParseAddr(t.opts.Host); err == nil {
		t.update([]netip.Addr{a})
		return nil
	}
	n, err := r.Watch(t.opts.Host, t.update)
	if err != nil {
		return fmt.Errorf("upstream %q: %w", t.opts.Name, err)
	}
	t.name = n
	return nil
}

func (t *target) update(addrs []netip.Addr) {
	aps := make([]netip.AddrPort, 0, len(addrs))
	for _, a := range addrs {
		ap := netip.AddrPortFrom(a.Unmap(), t.opts.Port)
		if name := t.ownListener(ap); name != "" {
			t.log.Error("an address of the upstream is this forwarder's own listener: it is left out, since connections would go in circles",
				zap.String("upstream", t.opts.Name), zap.String("host", t.opts.Host), zap.Stringer("address", ap), zap.String("listener", name))
			continue
		}
		aps = append(aps, ap)
	}
	t.set.Update(aps)
}

// ownListener returns the name of the listener that would accept a connection to ap, "" if none would.
func (t *target) ownListener(ap netip.AddrPort) string {
	for _, ln := range t.listeners {
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

// ready returns nil while there is an address to connect to, else why there is none.
func (t *target) ready() error {
	if len(t.set.Addresses()) > 0 {
		return nil
	}
	if t.name == nil {
		return fmt.Errorf("upstream %q has no address", t.opts.Name)
	}
	if why := t.name.Stats().LastError; why != "" {
		return fmt.Errorf("upstream %q has no address: %s", t.opts.Name, why)
	}
	return fmt.Errorf("upstream %q has no address yet: %s is being looked up", t.opts.Name, t.opts.Host)
}

func (t *target) status(now time.Time) UpstreamStatus {
	s := UpstreamStatus{
		Name:    t.opts.Name,
		Address: net.JoinHostPort(t.opts.Host, strconv.Itoa(int(t.opts.Port))),
	}
	s.Usable = len(t.set.Addresses()) > 0
	s.Failing = t.set.AllFailing()
	switch f := t.lastFail.Load(); {
	case !s.Usable:
		s.Detail = "no address"
	case s.Failing && f != nil:
		s.Detail = fmt.Sprintf("every address fails; last: %s at %s, %s ago", f.reason, f.addr, now.Sub(f.at).Round(time.Second))
	}
	if t.name != nil {
		st := t.name.Stats()
		s.DNSError = st.LastError
		if !st.Answered.IsZero() {
			s.DNSAge = now.Sub(st.Answered).Seconds()
		}
	}
	for _, p := range t.pairs {
		if p == nil {
			continue
		}
		b := p.tally.Sum()
		s.BytesUp += b.Up
		s.BytesDown += b.Down
		s.Active += p.active()
		for _, r := range reasonList {
			s.Total += p.ended(r)
		}
	}
	s.Total += uint64(max(s.Active, 0))
	for _, a := range t.set.Addresses() {
		s.Addresses = append(s.Addresses, AddressStatus{
			Addr: a.Addr, State: stateOf(a), Active: a.Active(), Failures: uint64(a.Failures()),
		})
	}
	return s
}

const (
	stateUsable  = "usable"
	stateFailing = "failing"
)

// stateOf says how the last attempt at an address went.
func stateOf(a *upstream.Address) string {
	if a.Failures() > 0 {
		return stateFailing
	}
	return stateUsable
}
