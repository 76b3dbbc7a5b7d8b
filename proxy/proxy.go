// Package proxy is the policy of the forwarder: who may enter, where to, when to stop. The mechanism is in
// proxy/relay, names are kept fresh by proxy/resolve, addresses and their standing by proxy/upstream.
package proxy

import (
	"context"
	"net/netip"
	"sync"
	"sync/atomic"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/resolve"
)

// Server is a running forwarder. Its methods are safe for concurrent use.
type Server struct {
	log      *zap.Logger
	relay    *relay.Relay
	resolver *resolve.Resolver
	policy   *policy
	counters *counters
	lookups  lookups
	prober   Prober
	egress   egress
	started  atomic.Bool // relay is set
	stopped  atomic.Bool
	known    saved // by the process before; empty once Start has compiled
	once     sync.Once
	progress *progress

	reloading sync.Mutex // one at a time, and none beside Close
	noWarm    bool       // no connection is kept warm any more; under reloading
	removed   removed    // what reloads removed and is not forgotten yet; under reloading
}

// ListenError says which listener could not be opened; it wraps the system's error, such as EADDRINUSE or EACCES.
type ListenError = relay.ListenError

// Start opens the listeners and begins to look names up; it does not wait for an answer. The caller ends it with Close.
func Start(o Options) (*Server, error) {
	if o.Log == nil {
		o.Log = zap.NewNop()
	}
	if o.Loops <= 0 {
		o.Loops = relay.DefaultLoops()
	}
	access := o.AccessLogger
	if access == nil {
		access = o.Log
	}
	s := &Server{log: o.Log, prober: o.Prober, counters: newCounters(o.Loops), policy: &policy{log: o.Log, access: newAccessLog(o.Access, access)}}
	s.policy.server = s
	if err := s.prepare(o); err != nil {
		return nil, err
	}
	r, err := relay.Start(s.relayOptions(o))
	if err != nil {
		s.unwind()
		return nil, err
	}
	s.relay = r
	pools := s.policy.table.Load().pools()
	if f := r.Adopted(); f != nil {
		f.SetPools(pools)
	} else {
		s.started.Store(true)
		r.SetWarm(pools)
	}
	s.progress = newProgress(s)
	s.logAs(o)
	return s, nil
}

// prepare makes the first table and begins to look its names up. After an error nothing of it runs.
func (s *Server) prepare(o Options) error {
	var fresh []*target
	known, err := readSaved(o.Known, o.Jump)
	if err == nil {
		fresh, err = s.compileFirst(o, known)
	}
	if err != nil {
		s.policy.access.close()
		return err
	}
	s.resolver = resolve.New(resolve.Options{
		Servers: o.DNS.Servers, MinTTL: o.DNS.MinTTL, MaxTTL: o.DNS.MaxTTL, Timeout: o.DNS.Timeout, OnLookup: s.lookedUp, Saved: known.Names,
	})
	for _, t := range fresh {
		if err := t.watch(s.resolver); err != nil {
			s.unwind()
			return err
		}
	}
	return nil
}

// compileFirst puts the first table and the limits in force, with what the process before knew. fresh are the targets, to be watched.
func (s *Server) compileFirst(o Options, known saved) (fresh []*target, err error) {
	s.known = known
	s.egress.recall(known)
	first, fresh, err := s.compile(o, nil)
	s.known = saved{} // what a reload makes later goes on from the target before
	if err != nil {
		return nil, err
	}
	s.policy.table.Store(first)
	s.limit(o)
	s.policy.limits.Take(known.Taken)
	return fresh, nil
}

// relayOptions are the options of the relay that serves o.
func (s *Server) relayOptions(o Options) relay.Options {
	return relay.Options{
		Engine: o.Engine, Loops: o.Loops, Steered: o.Steered, Handler: s.policy, Listeners: s.listeners(o), Tuning: o.tuning(), Adopt: s.adopting(o.Adopt),
	}
}

// targets are the upstreams in use.
func (s *Server) targets() []*target { return s.policy.table.Load().targets }

// unwind ends what Start began if the relay does not start.
func (s *Server) unwind() {
	s.closeTargets()
	s.resolver.Close()
	s.policy.access.close()
}

// Addrs returns the address of each listener, in the order of Options, with the port the kernel chose.
func (s *Server) Addrs() []netip.AddrPort { return s.relay.Addrs() }

// Alive returns nil once every loop has turned, or an error that names one that did not before ctx ended.
func (s *Server) Alive(ctx context.Context) error { return s.relay.Alive(ctx) }

// StopAccepting serves the clients the kernel has queued and closes the listeners. Open connections go on.
func (s *Server) StopAccepting() {
	s.stopped.Store(true)
	s.relay.StopAccepting()
}

// Wait returns nil when no connection is open, or ctx's error.
func (s *Server) Wait(ctx context.Context) error { return s.relay.Wait(ctx) }

// Close ends every connection for the reason given, and everything that Start began. It waits for a Reload under way.
func (s *Server) Close(reason relay.Reason) {
	s.once.Do(func() {
		s.stopped.Store(true)
		s.reloading.Lock()
		defer s.reloading.Unlock()
		s.stopSweeps()
		s.progress.close()
		s.closeTargets()
		s.relay.Close(reason)
		s.resolver.Close()
		s.policy.access.close()
	})
}

// closeTargets ends the checks and the timers. Addresses are picked still.
func (s *Server) closeTargets() {
	for _, t := range s.targets() {
		t.set.Close()
	}
	for _, t := range s.policy.adopted.targets {
		t.set.Close()
	}
}
