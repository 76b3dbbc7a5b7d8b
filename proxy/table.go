package proxy

import (
	"cmp"
	"fmt"
	"reflect"
	"slices"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// table is the policy's rules and upstreams. It is compiled from Options, never changed, and replaced whole by a reload. The
// counters are elsewhere and outlive it.
type table struct {
	opts    Options
	rules   []*rule   // by listenerCounters.index; of a listener that is gone the last one, since a client of it may still be on its way; nil once that is forgotten
	targets []*target // in the order of opts.Upstreams
}

// compile makes the table of o. An upstream that is in old with the same options keeps its target. fresh are the other
// targets: the caller has them watched, and in the end either stops them or has them succeed those of old. compile changes
// nothing that old uses.
func (s *Server) compile(o Options, old *table) (next *table, fresh []*target, err error) {
	if err := o.checkLimits(); err != nil {
		return nil, nil, err
	}
	next = &table{opts: o}
	if old != nil {
		next.rules = slices.Clone(old.rules)
	}
	byName := make(map[string]*target)
	for _, u := range o.Upstreams {
		t := old.same(u)
		if t == nil {
			if t, err = s.compileTarget(o, u, old); err != nil {
				return nil, nil, fmt.Errorf("upstream %q: %w", u.Name, err)
			}
			fresh = append(fresh, t)
		}
		byName[u.Name] = t
		next.targets = append(next.targets, t)
	}
	for _, ln := range o.Listeners {
		r, err := s.compileRule(o, ln, byName)
		if err != nil {
			return nil, nil, fmt.Errorf("listener %q: %w", ln.Name, err)
		}
		if r.matcher != nil {
			r.counters.routed.Store(true)
		}
		next.add(r)
	}
	return next, fresh, nil
}

// compileTarget makes the target of an upstream that is new or has other options than in old.
func (s *Server) compileTarget(o Options, u Upstream, old *table) (*target, error) {
	if err := cmp.Or(s.checkable(u), bindable(u.SourceAddresses)); err != nil {
		return nil, err
	}
	return newTarget(u, s, o.Listeners, old.named(u.Name)), nil
}

// add puts a rule where the relay's listeners find it.
func (t *table) add(r *rule) {
	for len(t.rules) <= r.counters.index {
		t.rules = append(t.rules, nil)
	}
	t.rules[r.counters.index] = r
}

// same returns the target of an upstream that has not changed.
func (t *table) same(u Upstream) *target {
	if t == nil {
		return nil
	}
	for i, had := range t.opts.Upstreams {
		if reflect.DeepEqual(had, u) {
			return t.targets[i]
		}
	}
	return nil
}

// named returns the target of that name, nil if there is none.
func (t *table) named(name string) *target {
	if t == nil {
		return nil
	}
	for _, at := range t.targets {
		if at.opts.Name == name {
			return at
		}
	}
	return nil
}

// names reports whether an upstream of the table is resolved by that name.
func (t *table) names(host string) bool {
	return slices.ContainsFunc(t.targets, func(at *target) bool {
		return slices.ContainsFunc(at.sources, func(src *source) bool { return src.host == host })
	})
}

// rule returns the rule of a listener's clients.
func (t *table) rule(ln *relay.Listener) *rule { return t.rules[ln.Tag.(*listenerCounters).index] }

// listeners returns the listeners for the relay.
func (s *Server) listeners(o Options) []relay.Listener {
	var all []relay.Listener
	for _, ln := range o.Listeners {
		all = append(all, relay.Listener{Name: ln.Name, Addr: ln.Addr, FD: ln.FD, Tag: s.counters.listener(ln.Name)})
	}
	return all
}
