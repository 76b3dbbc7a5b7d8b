package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"reflect"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/resolve"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// slowStart is how long an address that was out takes to get its full share of the connections again.
const slowStart = 30 * time.Second

// target is an upstream at work: its addresses, kept fresh. What is counted on it is in its account.
type target struct {
	opts       Upstream
	server     *Server
	log        *zap.Logger
	account    *account
	set        *upstream.Set
	sources    []*source // the primary first
	hasBackups bool
	warm       *warmer // nil: no connection is kept warm

	mu        sync.Mutex    // of the answers of the sources
	listeners []Listener    // of this forwarder
	answered  chan struct{} // closed when the primary was looked up
	retired   []*target     // those it came in place of, with connections: see succeed

	down       atomic.Bool // every address fails; told once
	downTold   told
	onBackup   atomic.Bool // the last connection went to a backup, and that was told
	backupTold told
	lastFail   atomic.Pointer[dialFailure]
}

// source is a host and port that addresses of an upstream come from.
type source struct {
	host   string
	port   uint16
	backup bool
	name   *resolve.Name // nil where the host is an address
	answer []netip.Addr  // under target.mu; nil: none yet
}

// dialFailure is how an attempt failed.
type dialFailure struct {
	addr   netip.AddrPort
	reason relay.Reason
	at     time.Time
}

// endpoints are what connections are given for one address: one a pair, since these differ in where bytes are counted, and
// one a local address to connect from.
type endpoints struct {
	target  *target
	addr    *upstream.Address
	waiting atomic.Int64 // connections in the pool of target.warm
	local   []netip.Addr // those of its family, or the zero value alone: as the routing table says
	turn    atomic.Uint32
	byPair  sync.Map // *pair → []*relay.Endpoint, one for each of local
}

// of returns the endpoint for connections of p, from each local address in turn.
func (e *endpoints) of(p *pair) *relay.Endpoint {
	made, ok := e.byPair.Load(p)
	if !ok {
		made, _ = e.byPair.LoadOrStore(p, e.make(p))
	}
	all := made.([]*relay.Endpoint)
	if len(all) == 1 {
		return all[0]
	}
	return all[e.turn.Add(1)%uint32(len(all))]
}

func (e *endpoints) make(p *pair) (all []*relay.Endpoint) {
	for _, local := range e.local {
		all = append(all, &relay.Endpoint{
			Addr: e.addr.Addr, Timeout: e.target.opts.ConnectTimeout, Tally: p.tally, Tag: e, Header: e.target.header(), Local: local,
			Warm: e.target.warmPool(),
		})
	}
	return all
}

func newTarget(o Upstream, s *Server, listeners []Listener) *target {
	if o.Attempts <= 0 {
		o.Attempts = 3
	}
	if o.ConnectTimeout <= 0 {
		o.ConnectTimeout = relay.DefaultConnectTimeout
	}
	t := &target{
		opts:       o,
		server:     s,
		log:        s.log,
		sources:    []*source{{host: o.Host, port: o.Port}},
		hasBackups: len(o.Backups) > 0,
		account:    s.book.account(o.Name),
		listeners:  listeners,
		answered:   make(chan struct{}),
	}
	for _, b := range o.Backups {
		t.sources = append(t.sources, &source{host: b.Host, port: b.Port, backup: true})
	}
	t.set = upstream.NewSet(t.setOptions())
	t.warmUp()
	return t
}

// endpoints makes the endpoints of a new address.
func (t *target) endpoints(addr *upstream.Address) any {
	e := &endpoints{target: t, addr: addr}
	for _, local := range t.opts.SourceAddresses {
		if local.Unmap().Is4() == addr.Addr.Addr().Unmap().Is4() {
			e.local = append(e.local, local)
		}
	}
	if len(e.local) == 0 {
		e.local = []netip.Addr{{}}
	}
	return e
}

// bindable reports which of the addresses connections could not begin at: EADDRNOTAVAIL would look like a want of ports.
func bindable(locals []netip.Addr) error {
	for _, a := range locals {
		ln, err := net.ListenTCP("tcp", net.TCPAddrFromAddrPort(netip.AddrPortFrom(a, 0)))
		if errors.Is(err, syscall.EADDRNOTAVAIL) {
			return fmt.Errorf("source_addresses: %s is not an address of this machine; give it to an interface, or take it off the list", a)
		}
		if err == nil {
			err = ln.Close()
		}
		if err != nil {
			return fmt.Errorf("source_addresses: %s: %w", a, err)
		}
	}
	return nil
}

// enter takes one of the connections that max_connections allows, until leave.
func (t *target) enter() bool {
	n, limit := t.account.open.Add(1), int64(t.opts.MaxConnections)
	if limit <= 0 || n <= limit {
		return true
	}
	t.leave()
	return false
}

func (t *target) leave() { t.account.open.Add(-1) }

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

// stop ends what watch began, if it did. Connections to the addresses go on.
func (t *target) stop() {
	t.set.Close()
	t.forgetNames()
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, old := range t.retired {
		old.set.Close()
	}
	t.retired = nil
}

func (t *target) forgetNames() {
	for _, src := range t.sources {
		if src.name != nil {
			src.name.Close()
		}
	}
}

// succeed ends what watch began for a target that this one is in place of, but for one thing: if connections to an address
// that leaves the answer are to be closed, those of the old target are, too.
func (t *target) succeed(old *target) {
	sameNames := t.opts.Host == old.opts.Host && t.opts.Port == old.opts.Port && slices.Equal(t.opts.Backups, old.opts.Backups)
	if !sameNames || !old.opts.Removed.Close {
		old.stop()
		return
	}
	old.set.Retire()
	old.forgetNames()
	old.mu.Lock()
	all := append(old.retired, old)
	old.retired = nil
	old.mu.Unlock()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.retired = append(t.retired, all...)
	t.fill()
}

func (t *target) update(src *source, addrs []netip.Addr) {
	defer t.cool()
	t.mu.Lock()
	defer t.mu.Unlock()
	if !src.backup && src.answer == nil {
		defer close(t.answered)
	}
	src.answer = addrs
	t.fill()
}

// listenersAre looks at the addresses again, after the listeners have changed.
func (t *target) listenersAre(listeners []Listener) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if reflect.DeepEqual(t.listeners, listeners) {
		return
	}
	t.listeners = listeners
	t.fill()
}

// fill puts the answers into the set. The caller holds mu.
func (t *target) fill() {
	var primaries, backups []netip.AddrPort
	for _, src := range t.sources {
		if src.backup {
			backups = append(backups, t.others(src)...)
		} else {
			primaries = append(primaries, t.others(src)...)
		}
	}
	t.set.Update(primaries, backups)
	t.retired = slices.DeleteFunc(t.retired, func(old *target) bool {
		old.set.Update(primaries, backups)
		if old.set.InUse() {
			return false
		}
		old.set.Close()
		return true
	})
}

// others returns the addresses of a source but for those of this forwarder itself. The caller holds mu.
func (t *target) others(src *source) []netip.AddrPort {
	aps := make([]netip.AddrPort, 0, len(src.answer))
	for _, a := range src.answer {
		ap := netip.AddrPortFrom(a.Unmap(), src.port)
		if name := t.ownListener(ap); name != "" {
			t.log.Error("an address of the upstream is this forwarder's own listener: it is left out, since connections would go in circles",
				zap.String("upstream", t.opts.Name), zap.String("host", src.host), zap.Stringer("address", ap), zap.String("listener", name))
			continue
		}
		aps = append(aps, ap)
	}
	return aps
}

// leftOut says of an address that others left out why it did; "" if it left out none.
func (t *target) leftOut() string {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, src := range t.sources {
		for _, a := range src.answer {
			ap := netip.AddrPortFrom(a.Unmap(), src.port)
			if name := t.ownListener(ap); name != "" {
				return fmt.Sprintf("%s is this forwarder's own listener %q", ap, name)
			}
		}
	}
	return ""
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

func (src *source) String() string { return net.JoinHostPort(src.host, strconv.Itoa(int(src.port))) }
