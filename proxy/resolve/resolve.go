// Package resolve keeps the addresses of host names fresh.
//
// A watched name has one goroutine. It looks the name up (hosts file, then A and
// AAAA side by side from the servers of resolv.conf), publishes the addresses as an
// immutable snapshot, and sleeps until shortly before the smallest TTL of the alias
// chain ends. A good answer is used until a better one comes, however old: neither
// NXDOMAIN nor a dead server ever takes the last addresses away.
//
//	          ok: wait TTL, up to 10 % less
//	       ┌────────────────────────────────┐
//	       ▼                                │
//	asking ─► answered ─────────────────────┤
//	       ▲ └► negative: MinTTL … 30s ─────┤  the last good answer stays in use
//	       │ └► failed:   1s … 30s ─────────┤  until the first one: 250ms … 5s for both
//	       └────────────────────────────────┘
//	          Refresh: now, but 1s after the last lookup at the earliest
//
// The package has no logger and no metrics: OnLookup is called for each lookup, and
// Stats has the rest. Comments at parseConf, candidates and givesWay explain where it
// differs from glibc.
package resolve

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

const (
	defaultMinTTL  = 5 * time.Second
	defaultMaxTTL  = 5 * time.Minute
	defaultTimeout = 2 * time.Second
	defaultConf    = "/etc/resolv.conf"
	defaultHosts   = "/etc/hosts"
	dnsPort        = 53
)

// ErrClosed is returned by Watch of a closed resolver.
var ErrClosed = errors.New("resolver is closed")

// Options of a Resolver; the zero value works.
type Options struct {
	// Servers to ask, in this order; a port of 0 means 53. With servers given
	// resolv.conf is not read at all: names are absolute, there are two rounds, no
	// rotation. Empty: those of resolv.conf.
	Servers []netip.AddrPort

	MinTTL  time.Duration // an answer is used at least so long; default 5s
	MaxTTL  time.Duration // and at most so long; default 5m, never below MinTTL
	Timeout time.Duration // of a question to one server, over UDP and again over TCP; default 2s; `options timeout` of resolv.conf goes first

	ResolvConf string // default /etc/resolv.conf; read again when it changes
	Hosts      string // default /etc/hosts; read again when it changes

	// OnLookup is called for each lookup in the name's goroutine: the next lookup of
	// this name waits for it. It must not close the name or the resolver. It is not
	// called for a lookup that Close cuts short. May be nil.
	OnLookup func(Lookup)

	// Saved are the answers of the process before: a name begins with its one, as with that
	// of an earlier watch.
	Saved []Saved
}

// withDefaults fills in what the caller left zero.
func (o Options) withDefaults() Options {
	if o.MinTTL <= 0 {
		o.MinTTL = defaultMinTTL
	}
	if o.MaxTTL <= 0 {
		o.MaxTTL = defaultMaxTTL
	}
	o.MaxTTL = max(o.MaxTTL, o.MinTTL)
	if o.Timeout <= 0 {
		o.Timeout = defaultTimeout
	}
	if o.ResolvConf == "" {
		o.ResolvConf = defaultConf
	}
	if o.Hosts == "" {
		o.Hosts = defaultHosts
	}
	if o.OnLookup == nil {
		o.OnLookup = func(Lookup) {}
	}
	o.Servers = withPorts(o.Servers)
	return o
}

// withPorts returns the servers, those without a port with the port of DNS.
func withPorts(given []netip.AddrPort) []netip.AddrPort {
	servers := make([]netip.AddrPort, len(given))
	for i, s := range given {
		if s.Port() == 0 {
			s = netip.AddrPortFrom(s.Addr(), dnsPort)
		}
		servers[i] = s
	}
	return servers
}

// Resolver looks names up and keeps them fresh. Its methods may be called from
// several goroutines.
type Resolver struct {
	opts     Options
	exchange exchanger      // the network; tests put another in
	random   func() float64 // in [0,1), for jitter; must be safe for several goroutines

	ctx    context.Context
	cancel context.CancelFunc
	conf   confFile
	turn   atomic.Uint32 // `options rotate`: which server is first

	mu     sync.Mutex
	closed bool
	names  map[*Name]struct{}
}

// New returns a resolver that does nothing yet. Close it when done.
func New(o Options) *Resolver {
	r := &Resolver{
		opts:     o.withDefaults(),
		exchange: exchange,
		random:   rand.Float64,
		names:    make(map[*Name]struct{}),
	}
	r.conf.path = r.opts.ResolvConf
	r.ctx, r.cancel = context.WithCancel(context.Background())
	return r
}

// Watch starts to keep name fresh until Close. The name is an IP address, which is
// never looked up, or a host name; a trailing dot makes it absolute. It does not
// wait for the first answer.
//
// notify may be nil. It is called from the name's goroutine with each set of
// addresses that differs from the one before, the first included (also the single
// one of an IP address). The slice is shared and only to be read; it is never empty.
// notify must not close the name or the resolver, which wait for it.
//
// A name may be watched more than once, as happens around a reload: the later one
// starts with the last good answer of the earlier.
func (r *Resolver) Watch(name string, notify func([]netip.Addr)) (*Name, error) {
	literal, err := parseName(name)
	if err != nil {
		return nil, fmt.Errorf("watch %q: %w", name, err)
	}
	if notify == nil {
		notify = func([]netip.Addr) {}
	}
	n := newName(r, name, notify)

	r.mu.Lock()
	defer r.mu.Unlock()
	if r.closed {
		n.cancel()
		return nil, fmt.Errorf("watch %q: %w", name, ErrClosed)
	}
	if literal.IsValid() {
		n.stats.Literal = true
		n.addrs.Store(&[]netip.Addr{literal})
	} else if older := r.sameName(name); older != nil {
		n.inherit(older)
	} else {
		n.recall(r.opts.Saved)
	}
	r.names[n] = struct{}{}
	go n.run()
	return n, nil
}

// Close stops all names and returns when their goroutines ended; a lookup under way
// is cut short.
func (r *Resolver) Close() {
	r.cancel()
	r.mu.Lock()
	r.closed = true
	names := make([]*Name, 0, len(r.names))
	for n := range r.names {
		names = append(names, n)
	}
	r.mu.Unlock()
	for _, n := range names {
		n.Close()
	}
}

// sameName returns an open name of that spelling that has addresses. The caller
// holds r.mu.
func (r *Resolver) sameName(name string) *Name {
	for n := range r.names {
		if strings.EqualFold(n.name, name) && n.Addrs() != nil {
			return n
		}
	}
	return nil
}

// forget ends what newName began in the resolver.
func (r *Resolver) forget(n *Name) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.names, n)
}

// config returns what to ask and how, read anew if resolv.conf changed.
func (r *Resolver) config() *config {
	if len(r.opts.Servers) > 0 {
		c := defaultConfig()
		c.servers, c.timeout = r.opts.Servers, r.opts.Timeout
		return c
	}
	c := *r.conf.get() // a copy: the cached one is shared
	if c.timeout == 0 {
		c.timeout = r.opts.Timeout
	}
	return &c
}
