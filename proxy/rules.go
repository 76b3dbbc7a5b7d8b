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

// rules is what decides of new connections, compiled from Options. It is immutable and replaced whole; a connection that
// needs to know them for longer than a call keeps its own reference.
type rules struct {
	listeners []*rule // by Listener.Tag of the relay
}

// rule is what holds for the clients of one listener.
type rule struct {
	gate      *gate
	preface   preface.Config
	sources   *preface.Sources   // nil admits all
	endpoints *preface.Endpoints // nil admits all
	matcher   *preface.Matcher   // nil: there are no routes, and targets[0] serves all
	targets   []*target          // by route
	lobby     *pair              // counts the connections that have no upstream yet
	perSource bool               // the connections of a source are limited, by gate.sources
}

// compileRules joins the listeners to their upstreams.
func (s *Server) compileRules() (*rules, error) {
	all := &rules{}
	for i, ln := range s.opts.Listeners {
		r, err := s.compileRule(i, ln)
		if err != nil {
			return nil, fmt.Errorf("listener %q: %w", ln.Name, err)
		}
		all.listeners = append(all.listeners, r)
	}
	return all, nil
}

func (s *Server) compileRule(i int, ln Listener) (r *rule, err error) {
	r = &rule{
		gate: newGate(s.opts.Loops), perSource: s.opts.PerSource != 0, sources: preface.NewSources(ln.AllowSources),
		preface: preface.Config{Proxy: ln.AcceptProxy, Hello: len(ln.Routes) > 0},
	}
	if r.endpoints, err = preface.NewEndpoints(ln.AllowVPCE); err != nil {
		return nil, err
	}
	if r.endpoints != nil && ln.AcceptProxy == ProxyOff {
		return nil, errors.New("VPC endpoints can be judged only where PROXY headers are accepted")
	}
	for _, name := range ln.upstreams() {
		t := s.target(name)
		if t == nil {
			return nil, fmt.Errorf("there is no upstream %q", name)
		}
		r.targets = append(r.targets, t)
		r.preface.KeepTLVs = r.preface.KeepTLVs || t.opts.SendProxy == 2 && ln.AcceptProxy != ProxyOff
	}
	if len(ln.Routes) == 0 {
		r.lobby = r.targets[0].pairs[i]
		return r, nil
	}
	r.lobby = newPair(ln.Name, "", s.opts.Loops)
	var names [][]string
	for _, route := range ln.Routes {
		names = append(names, route.SNI)
	}
	r.matcher, err = preface.NewMatcher(names)
	return r, err
}

// limit puts the limits of the options into force. What is counted stays counted.
func (s *Server) limit() error {
	for _, r := range s.policy.rules.Load().listeners {
		if err := r.gate.sources.SetLimits(limit.Limits{PerSource: s.opts.PerSource}); err != nil {
			return err
		}
	}
	return s.policy.admission.SetLimits(limit.Limits{Rate: s.opts.AcceptRate})
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

func (ln *Listener) uses(upstream string) bool { return slices.Contains(ln.upstreams(), upstream) }

func (s *Server) target(name string) *target {
	for _, t := range s.targets {
		if t.opts.Name == name {
			return t
		}
	}
	return nil
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

// active returns how many connections of the listener i are open.
func (r *rule) active(i int) int64 {
	n := int64(0)
	for _, p := range r.pairs(i) {
		n += p.active()
	}
	return n
}

// pairs returns each pair of the listener i once.
func (r *rule) pairs(i int) []*pair {
	all := []*pair{r.lobby}
	for _, t := range r.targets {
		if p := t.pairs[i]; !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	return all
}
