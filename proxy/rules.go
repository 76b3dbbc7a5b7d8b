package proxy

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/l4fwd/l4fwd/proxy/limit"
	"github.com/l4fwd/l4fwd/proxy/preface"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// preface and relay must agree on the size of a preface: this does not compile unless the two constants are equal.
const (
	_ = uint(preface.MaxBytes - relay.MaxPreface)
	_ = uint(relay.MaxPreface - preface.MaxBytes)
)

// rule is how the clients of one listener are judged and where they go. It is immutable, and a connection keeps the rule by
// which it was accepted.
type rule struct {
	counters  *listenerCounters
	preface   preface.Config
	sources   *preface.Sources   // nil admits all
	endpoints *preface.Endpoints // nil admits all
	matcher   *preface.Matcher   // nil: there are no routes, and targets[0] serves all
	targets   []*target          // by route
	byRoute   []*traffic         // by route
	unrouted  *traffic           // of connections that have no upstream yet
	perSource bool               // the connections of a source are limited, by counters.sources
}

// compileRule makes the rule of a listener. upstreams are the targets by name.
func (s *Server) compileRule(o Options, ln Listener, upstreams map[string]*target) (r *rule, err error) {
	r = &rule{
		counters: s.counters.listener(ln.Name), perSource: o.PerSource != 0, sources: preface.NewSources(ln.AllowSources),
		preface: preface.Config{Proxy: ln.AcceptProxy, Hello: len(ln.Routes) > 0},
	}
	r.endpoints, err = preface.NewEndpoints(ln.AllowVPCE)
	switch {
	case err != nil:
		return nil, err
	case r.endpoints != nil && ln.AcceptProxy == ProxyOff:
		return nil, errors.New("VPC endpoints can be judged only where PROXY headers are accepted")
	}
	for _, name := range ln.upstreams() {
		t := upstreams[name]
		if t == nil {
			return nil, fmt.Errorf("there is no upstream %q", name)
		}
		r.targets = append(r.targets, t)
		r.byRoute = append(r.byRoute, t.counters.from(ln.Name))
		r.preface.KeepTLVs = r.preface.KeepTLVs || t.opts.SendProxy == SendProxyV2 && ln.AcceptProxy != ProxyOff
	}
	if len(ln.Routes) == 0 {
		r.unrouted = r.byRoute[0]
		return r, nil
	}
	r.unrouted = r.counters.unrouted
	r.matcher, err = ln.matcher()
	return r, err
}

// matcher finds the route of a server name.
func (ln Listener) matcher() (*preface.Matcher, error) {
	var names [][]string
	for _, route := range ln.Routes {
		names = append(names, route.SNI)
	}
	return preface.NewMatcher(names)
}

// checkLimits reports limits that limit could not put into force.
func (o Options) checkLimits() error {
	return limit.Limits{PerSource: o.PerSource, Rate: o.AcceptRate}.Check()
}

// limit puts the limits of the options, which checkLimits accepts, into force. What is counted stays counted.
func (s *Server) limit(o Options) {
	for _, l := range s.counters.allListeners() {
		_ = l.sources.SetLimits(limit.Limits{PerSource: o.PerSource})
	}
	_ = s.policy.limits.SetLimits(limit.Limits{Rate: o.AcceptRate})
}

// upstreams names the upstreams of the listener's clients, by route.
func (ln *Listener) upstreams() []string {
	if len(ln.Routes) == 0 {
		return []string{ln.Upstream}
	}
	var all []string
	for _, r := range ln.Routes {
		all = append(all, r.Upstream)
	}
	return all
}

// tracked reports whether each connection has a session.
func (r *rule) tracked() bool { return r.preface.Wanted() || r.perSource }

// admits judges a client by its address.
func (r *rule) admits(from netip.Addr) bool { return r.sources.Admits(from) }

// route returns the upstream of a client that asked for the host name; nil: no route has it.
func (r *rule) route(sni string) *target {
	if r.matcher == nil {
		return r.targets[0]
	}
	i, ok := r.matcher.Match(sni)
	if !ok {
		return nil
	}
	return r.targets[i]
}

// traffic returns the counters of the listener's connections to one of the rule's targets.
func (r *rule) traffic(t *target) *traffic {
	for i := range r.targets {
		if r.targets[i] == t {
			return r.byRoute[i]
		}
	}
	return r.unrouted // cannot be: every target of a connection is of its rule
}

// active returns how many connections of the listener are open.
func (r *rule) active() (n int64) {
	all := []*traffic{r.unrouted}
	for _, t := range r.byRoute {
		if !slices.Contains(all, t) {
			all = append(all, t)
		}
	}
	for _, t := range all {
		n += t.active()
	}
	return n
}
