package proxy

import (
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/resolve"
)

// lookups counts DNS lookups by name and result.
type lookups struct {
	mu     sync.Mutex
	counts map[[2]string]uint64
	failed map[string]bool // names whose last lookup failed
}

// lookedUp counts a lookup and logs what an operator wants to know of it: the first failure in a row, and what changed. A
// name that only a reload under way knows concerns no client yet, and how the reload ends is told by it.
func (s *Server) lookedUp(l resolve.Lookup) {
	used := s.policy.table.Load().names(l.Name)
	s.lookups.mu.Lock()
	if s.lookups.counts == nil {
		s.lookups.counts = make(map[[2]string]uint64)
		s.lookups.failed = make(map[string]bool)
	}
	s.lookups.counts[[2]string{l.Name, l.Result.String()}]++
	was := s.lookups.failed[l.Name]
	s.lookups.failed[l.Name] = used && l.Err != nil
	s.lookups.mu.Unlock()

	switch {
	case !used && l.Err != nil:
		s.log.Debug("dns lookup failed for a configuration that is not in use", zap.String("name", l.Name), zap.Stringer("result", l.Result), zap.Error(l.Err))
	case !used:
		s.log.Debug("dns answer for a configuration that is not in use", zap.String("name", l.Name), zap.String("addresses", join(l.Addrs)))
	case l.Err != nil && !was && len(l.Addrs) == 0:
		s.log.Warn("dns lookup failed, and there is no earlier answer: clients are refused with no_address until one comes; "+
			"check the name in upstreams[].address, and dns.servers",
			zap.String("name", l.Name), zap.Stringer("result", l.Result), zap.Error(l.Err))
	case l.Err != nil && !was:
		s.log.Warn("dns lookup failed: the last good answer stays in use",
			zap.String("name", l.Name), zap.Stringer("result", l.Result), zap.Error(l.Err), zap.Int("addresses_in_use", len(l.Addrs)))
	case l.Err != nil:
		s.log.Debug("dns lookup failed again", zap.String("name", l.Name), zap.Stringer("result", l.Result), zap.Error(l.Err))
	case was:
		s.log.Info("dns answers again", zap.String("name", l.Name), zap.String("addresses", join(l.Addrs)))
	case l.Changed:
		s.log.Info("dns answer changed", zap.String("name", l.Name), zap.String("addresses", join(l.Addrs)),
			zap.String("added", join(l.Added)), zap.String("removed", join(l.Removed)), zap.Duration("ttl", l.TTL))
	}
}

// LookupResults lists the values of the label result of l4fwd_dns_lookups_total.
func LookupResults() []string {
	var all []string
	for _, r := range resolve.Results() {
		all = append(all, r.String())
	}
	return all
}

func join[T interface{ String() string }](list []T) string {
	text := make([]string, len(list))
	for i, v := range list {
		text[i] = v.String()
	}
	return strings.Join(text, ",")
}

// Status returns the state as of now.
func (s *Server) Status() Status {
	now := time.Now()
	engine, why := s.relay.Engine()
	t := s.policy.table.Load()
	st := Status{
		Engine: engine, EngineReason: why, Loops: t.opts.Loops, Active: s.relay.Stats().Active, MaxConns: t.opts.MaxConnections,
		Draining: s.stopped.Load(),
	}
	for _, ln := range t.opts.Listeners {
		names := slices.Compact(slices.Sorted(slices.Values(ln.upstreams())))
		l := ListenerStatus{Name: ln.Name, Addr: s.relay.Addr(ln.Name), Upstream: strings.Join(names, ","), Open: !s.stopped.Load()}
		g := s.book.gate(ln.Name)
		l.Accepted = g.accepted()
		l.Refused, l.Reasons = g.refusals()
		l.Active = t.rules[g.index].active()
		st.Listeners = append(st.Listeners, l)
	}
	for _, u := range t.targets {
		st.Upstreams = append(st.Upstreams, u.status(now))
	}
	return st
}

// Stats returns all figures as of now.
func (s *Server) Stats() Stats {
	st := Stats{
		Relay: s.relay.Stats(), Draining: s.stopped.Load(), AccessDropped: s.policy.access.dropped.Load(),
		Accepted: make(map[string]uint64), Refused: make(map[[2]string]uint64), Ended: make(map[[3]string]uint64),
		Active: make(map[[2]string]int64), Bytes: make(map[[2]string]relay.Bytes),
		Connect: make(map[string]HistogramStats), FirstByte: make(map[string]HistogramStats), Duration: make(map[string]HistogramStats),
		Warm: make(map[string]int64), WarmUsed: make(map[[2]string]uint64), WarmRests: make(map[string]uint64),
		Dials: make(map[[2]string]uint64), Addresses: make(map[[2]string]int), AnswerAge: make(map[string]time.Duration),
	}
	for _, g := range s.book.allGates() {
		st.Accepted[g.listener] = g.accepted()
		for _, r := range reasonList {
			if n := g.refused(r); n > 0 {
				st.Refused[[2]string{g.listener, r.String()}] = n
			}
		}
		if g.routed.Load() {
			g.lobby.stats(&st)
		}
	}
	for _, a := range s.book.allAccounts() {
		a.stats(&st)
	}
	for _, t := range s.targets() {
		t.stats(&st)
	}
	s.lookups.mu.Lock()
	st.Lookups = maps.Clone(s.lookups.counts)
	s.lookups.mu.Unlock()
	return st
}

func (p *pair) stats(st *Stats) {
	st.Active[[2]string{p.listener, p.upstream}] = p.active()
	for _, r := range reasonList {
		if n := p.ended(r); n > 0 {
			st.Ended[[3]string{p.listener, p.upstream, r.String()}] = n
		}
	}
}

func (a *account) stats(st *Stats) {
	for _, p := range a.allPairs() {
		p.stats(st)
		st.Bytes[[2]string{p.listener, p.upstream}] = p.tally.Sum()
	}
	for _, r := range reasonList {
		if n := a.dialErrors[r].Load(); n > 0 {
			st.Dials[[2]string{a.upstream, r.String()}] = n
		}
	}
	st.Connect[a.upstream], st.FirstByte[a.upstream], st.Duration[a.upstream] = a.connect.stats(), a.firstByte.stats(), a.duration.stats()
}

func (t *target) stats(st *Stats) {
	name := t.opts.Name
	if t.warm != nil {
		st.Warm[name] = t.warm.ready.Load()
		t.account.warmStats(st)
	}
	for _, state := range AddressStates() {
		st.Addresses[[2]string{name, state}] = 0
	}
	now := time.Now()
	for _, a := range t.set.Standings(now) {
		st.Addresses[[2]string{name, string(a.State)}]++
	}
	for _, src := range t.sources {
		if src.name == nil {
			continue
		}
		if at := src.name.Stats().Answered; !at.IsZero() {
			st.AnswerAge[src.host] = now.Sub(at)
		}
	}
}
