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

// A preface that the relay collects whole can be read whole.
const (
	_ = uint(preface.MaxBytes - relay.MaxPreface)
	_ = uint(relay.MaxPreface - preface.MaxBytes)
)

// rule is what holds for the clients of one listener. It is immutable; a connection keeps the one it was accepted by.
type rule struct {
	gate      *gate
	preface   preface.Config
	sources   *preface.Sources   // nil admits all
	endpoints *preface.Endpoints // nil admits all
	matcher   *preface.Matcher   // nil: there are no routes, and targets[0] serves all
	targets   []*target          // by route
	counts    []*pair            // by route
	lobby     *pair              // counts the connections that have no upstream yet
	perSource bool               // the connections of a source are limited, by gate.sources
}

func (s *Server) compileRule(o Options, ln Listener, upstreams map[string]*target) (r *rule, err error) {
	r = &rule{
		gate: s.book.gate(ln.Name), perSource: o.PerSource != 0, sources: preface.NewSources(ln.AllowSources),
		preface: preface.Config{Proxy: ln.AcceptProxy, Hello: len(ln.Routes) > 0},
	}
	if r.endpoints, err = preface.NewEndpoints(ln.AllowVPCE); err != nil {
		return nil, err
	}
	if r.endpoints != nil && ln.AcceptProxy == ProxyOff {
		return nil, errors.New("VPC endpoints can be judged only where PROXY headers are accepted")
	}
	for _, name := range ln.upstreams() {
		t := upstreams[name]
		if t == nil {
			return nil, fmt.Errorf("there is no upstream %q", name)
		}
		r.targets = append(r.targets, t)
		r.counts = append(r.counts, t.account.pair(ln.Name))
		r.preface.KeepTLVs = r.preface.KeepTLVs || t.opts.SendProxy == 2 && ln.AcceptProxy != ProxyOff
	}
	if len(ln.Routes) == 0 {
		r.lobby = r.counts[0]
		return r, nil
	}
	r.lobby = r.gate.lobby
	var names [][]string
	for _, route := range ln.Routes {
		names = append(names, route.SNI)
	}
	r.matcher, err = preface.NewMatcher(names)
	return r, err
}

// limit puts the limits of the options into force. What is counted stays counted.
func (s *Server) limit(o Options) error {
	for _, g := range s.book.allGates() {
		if err := g.sources.SetLimits(limit.Limits{PerSource: o.PerSource}); err != nil {
			return err
		}
	}
	return s.policy.admission.SetLimits(limit.Limits{Rate: o.AcceptRate})
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

// tracked reports whether the policy keeps something of each connection.
func (r *rule) tracked() bool { return r.preface.Wanted() || r.perSource }

// admits judges a client by where it is.
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

// pair returns where the connections to one of the targets are counted.
func (r *rule) pair(t *target) *pair {
	for i := range r.targets {
		if r.targets[i] == t {
			return r.counts[i]
		}
	}
	return r.lobby // there is none that is not of the rule
}

// active returns how many connections of the listener are open.
func (r *rule) active() (n int64) {
	all := []*pair{r.lobby}
	for _, p := range r.counts {
		if !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	for _, p := range all {
		n += p.active()
	}
	return n
}
