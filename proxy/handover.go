package proxy

import (
	"context"
	"net/netip"
	"slices"

	"github.com/l4fwd/l4fwd/proxy/handoff"
	"github.com/l4fwd/l4fwd/proxy/limit"
	"github.com/l4fwd/l4fwd/proxy/preface"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// How a forwarder passes to another process: the sockets and connections by the relay, and here what the policy knows of each
// connection. The order of calls is that of package handoff: Sockets and Base, Freeze, then Export and SaveCounters, then Resume or
// Release. The new process starts with Options.Adopt, and calls Take and TakeCounters, then Begin.

// Sockets returns the listening sockets, for the state that the new process gets. They stay the server's. An error wraps
// relay.ErrNoHandover where nothing can be handed over.
func (s *Server) Sockets() ([]handoff.Socket, error) { return s.relay.Sockets() }

// Base returns the beginning of the loops' clock, in nanoseconds of CLOCK_MONOTONIC; 0 where nothing can be handed over.
func (s *Server) Base() int64 { return s.relay.Base() }

// Freeze has all connections stand still: see relay.Relay.Freeze. Reload waits meanwhile.
func (s *Server) Freeze(ctx context.Context) (*relay.Frozen, error) { return s.relay.Freeze(ctx) }

// Adopted returns the frozen state in which a server with Options.Adopt starts; nil without.
func (s *Server) Adopted() *relay.Frozen { return s.relay.Adopted() }

// adopting completes what the relay takes over.
func (s *Server) adopting(a *relay.Adoption) *relay.Adoption {
	if a == nil {
		return nil
	}
	own := *a
	own.Began = func() {
		s.started.Store(true)
		if a.Began != nil {
			a.Began()
		}
	}
	return &own
}

// adopted is what connections of another process need that is not in the configuration: rules and targets of names that are gone.
// It is used while the relay stands still, by one goroutine.
type adopted struct {
	listeners map[string]*relay.Listener
	rules     map[[2]string]*rule // by listener, upstream
	targets   map[string]*target
}

// target returns the target of an upstream. One that is not in the configuration any more has no addresses but those of its connections.
func (p *policy) adoptedTarget(name string) *target {
	if t := p.table.Load().named(name); t != nil {
		return t
	}
	a := &p.adopted
	if a.targets == nil {
		a.targets = map[string]*target{}
	}
	if a.targets[name] == nil {
		a.targets[name] = newTarget(Upstream{Name: name}, p.server, nil, nil)
	}
	return a.targets[name]
}

// adoptedRule returns the rule in force for a listener, if its connections may go to t, else one that is like it used to be. nil stands for
// no target yet.
func (p *policy) adoptedRule(listener string, t *target) *rule {
	now := p.table.Load()
	counters := p.server.counters.listener(listener)
	if counters.index < len(now.rules) {
		if r := now.rules[counters.index]; r != nil && (t == nil || slices.Contains(r.targets, t)) {
			return r
		}
	}
	key := [2]string{listener}
	if t != nil {
		key[1] = t.opts.Name
	}
	a := &p.adopted
	if a.rules == nil {
		a.rules = map[[2]string]*rule{}
	}
	if a.rules[key] == nil {
		a.rules[key] = lostRule(counters, t)
	}
	return a.rules[key]
}

// lostRule returns a rule for connections of a listener, or a route, that is not in the configuration any more. Without a target it
// refuses the client once its first bytes are known.
func lostRule(c *listenerCounters, t *target) *rule {
	r := &rule{counters: c, unrouted: c.unrouted, preface: preface.Config{Proxy: ProxyOptional}}
	if t == nil {
		r.preface.Hello = true
		r.matcher, _ = preface.NewMatcher(nil) // no pattern can be wrong
		return r
	}
	r.targets, r.byRoute = []*target{t}, []*traffic{t.counters.from(c.name)}
	r.unrouted = r.byRoute[0]
	return r
}

// SaveEndpoint: see relay.Mover.
func (p *policy) SaveEndpoint(ep *relay.Endpoint) handoff.Endpoint {
	return handoff.Endpoint{Upstream: ep.Tag.(*endpoints).target.opts.Name, Addr: ep.Addr, Local: ep.Local}
}

// SaveFlow: see relay.Mover.
func (p *policy) SaveFlow(f *relay.Flow) *handoff.Session {
	ses := sessionOf(f)
	if ses == nil {
		return nil
	}
	r := &ses.parser.Result
	v := &handoff.Session{
		Ticket: ses.ticket != (limit.Ticket{}), Detail: ses.detail,
		ProxyVersion: r.Version, Local: r.Local, Source: r.Source, Dest: r.Dest, TLVs: slices.Clone(r.TLVs), VPCE: r.VPCE, SNI: r.SNI,
	}
	if ses.target != nil {
		v.Upstream = ses.target.opts.Name
	}
	if ses.counts != nil {
		v.Counted = ses.counts.upstream
	}
	for _, a := range ses.tried {
		v.Tried = append(v.Tried, a.Addr)
	}
	return v
}

// TakeListener: see relay.Mover.
func (p *policy) TakeListener(name string) *relay.Listener {
	a := &p.adopted
	if a.listeners == nil {
		a.listeners = map[string]*relay.Listener{}
	}
	if a.listeners[name] == nil {
		a.listeners[name] = &relay.Listener{Name: name, Tag: p.server.counters.listener(name)}
	}
	return a.listeners[name]
}

// TakeEndpoint: see relay.Mover.
func (p *policy) TakeEndpoint(saved handoff.Endpoint, listener string, counted bool) *relay.Endpoint {
	t := p.adoptedTarget(saved.Upstream)
	e := t.set.Adopt(saved.Addr, counted).Tag.(*endpoints)
	return e.from(p.adoptedRule(listener, t).traffic(t), saved.Local)
}

// TakeFlow: see relay.Mover.
func (p *policy) TakeFlow(f *relay.Flow, saved *handoff.Session) {
	var t *target
	switch {
	case f.Endpoint != nil:
		t = f.Endpoint.Tag.(*endpoints).target
	case saved != nil && saved.Upstream != "":
		t = p.adoptedTarget(saved.Upstream)
	}
	r := p.adoptedRule(f.Listener.Name, t)
	if f.Attempts > 0 {
		t.counters.open.Add(1)
	}
	if saved == nil {
		f.Tag = r
		if f.Attempts > 0 {
			r.traffic(t).cells[f.Loop].active.Add(1)
		}
		return
	}
	p.takeSession(f, r, t, saved)
}

// takeSession makes the session of a connection and counts it.
func (p *policy) takeSession(f *relay.Flow, r *rule, t *target, saved *handoff.Session) {
	ses := newSession(f, r)
	ses.detail = saved.Detail
	ses.parser.Result = preface.Result{
		Version: saved.ProxyVersion, Local: saved.Local, Source: saved.Source, Dest: saved.Dest, TLVs: saved.TLVs, VPCE: saved.VPCE, SNI: saved.SNI,
	}
	if saved.Upstream != "" {
		ses.target = p.adoptedTarget(saved.Upstream)
	}
	if saved.Ticket {
		ses.ticket = r.counters.sources.Reenter(ses.source(f).Addr())
	}
	if t != nil {
		for _, a := range saved.Tried {
			ses.addTried(t.set.Adopt(a, false))
		}
	}
	if t != nil && saved.Counted != "" {
		ses.move(f.Loop, r.traffic(t))
	} else {
		ses.move(f.Loop, r.unrouted)
	}
}

// TakeWarm: see relay.Mover.
func (p *policy) TakeWarm(saved handoff.Endpoint) *relay.Endpoint {
	t := p.table.Load().named(saved.Upstream)
	if t == nil || t.warm == nil {
		return nil
	}
	a := t.set.Rejoin(saved.Addr)
	if a == nil {
		return nil
	}
	e := a.Tag.(*endpoints)
	e.waiting.Add(1)
	t.warm.ready.Add(1)
	return e.from(t.warm.traffic, saved.Local)
}

// from returns the endpoint for connections that count in tr and are from a local address, or the usual one if that is not
// configured any more.
func (e *endpoints) from(tr *traffic, local netip.Addr) *relay.Endpoint {
	ep := e.of(tr)
	made, _ := e.byTraffic.Load(tr)
	for _, other := range made.([]*relay.Endpoint) {
		if other.Local == local {
			return other
		}
	}
	return ep
}
