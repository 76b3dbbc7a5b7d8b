package proxy

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// target is an upstream at work: its addresses, and what keeps them fresh. Its counters outlive it.
type target struct {
	opts       Upstream
	server     *Server
	log        *zap.Logger
	counters   *upstreamCounters
	set        *upstream.Set
	sources    []*source // the primaries first
	hasBackups bool
	warm       *warmKeeper // nil: no connection is kept warm
	admission  *admission  // nil: nobody asks whether the upstream admits this instance

	mu        sync.Mutex    // of the answers of the sources
	listeners []Listener    // of this forwarder
	answered  chan struct{} // closed when the first of the primaries was looked up
	looked    bool          // answered is closed

	fails     atomic.Bool // every address fails, and that was logged
	failsLog  throttle
	onBackup  atomic.Bool // the last connection went to a backup, and that was logged
	backupLog throttle
	lastFail  atomic.Pointer[dialFailure] // nil: no attempt failed
}

// dialFailure is how an attempt failed.
type dialFailure struct {
	addr   netip.AddrPort
	reason relay.Reason
	at     time.Time
}

// newTarget makes the target of an upstream, which does nothing before watch. before is the one that it is to replace, or nil.
func newTarget(o Upstream, s *Server, listeners []Listener, before *target) *target {
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
		sources:    sourcesOf(o),
		hasBackups: len(o.Backups) > 0,
		counters:   s.counters.upstream(o.Name),
		listeners:  listeners,
		answered:   make(chan struct{}),
	}
	if o.Check.Type == CheckHTTPS && o.Admission != AdmissionOff {
		t.admission = newAdmission(s.egress.current())
		if v, ok := s.known.Admitted[o.Name]; ok {
			t.admission.recall(v)
		}
	}
	t.set = upstream.NewSet(t.setOptions(before))
	t.keepWarm()
	return t
}

// sourcesOf lists where the addresses of an upstream come from: its own host, the others, the backups.
func sourcesOf(o Upstream) []*source {
	all := []*source{{host: o.Host, port: o.Port}}
	for _, p := range o.Others {
		all = append(all, &source{host: p.Host, port: p.Port})
	}
	for _, b := range o.Backups {
		all = append(all, &source{host: b.Host, port: b.Port, backup: true})
	}
	return all
}

// succeed puts the target in the place of an older one of that name, which ends. What is known of the upstream stays known.
func (t *target) succeed(old *target) {
	t.set.Succeed(t.sameNames(old))
	old.forgetNames()
	if t.opts.Host != old.opts.Host || t.opts.Port != old.opts.Port {
		t.counters.storm.forget()
	}
	if t.admission != nil && old.admission != nil && t.opts.Host == old.opts.Host {
		t.admission.inherit(old.admission.get())
	}
	t.fails.Store(old.fails.Load())
	t.failsLog.last.Store(old.failsLog.last.Load())
	t.onBackup.Store(old.onBackup.Load())
	t.backupLog.last.Store(old.backupLog.last.Load())
	t.lastFail.CompareAndSwap(nil, old.lastFail.Load())
}

// stop ends the checks and the lookups. Connections go on.
func (t *target) stop() {
	t.set.Close()
	t.forgetNames()
}

// enter takes one of the connections that max_connections allows, until leave. It returns false if there is none left.
func (t *target) enter() bool {
	n, limit := t.counters.open.Add(1), int64(t.opts.MaxConnections)
	if limit <= 0 || n <= limit {
		return true
	}
	t.leave()
	return false
}

// leave gives back what enter took.
func (t *target) leave() { t.counters.open.Add(-1) }

// bindable returns an error for the first of the addresses that no connection can begin at. Without this check
// EADDRNOTAVAIL would look like a shortage of ports.
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
