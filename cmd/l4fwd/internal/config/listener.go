package config

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/l4fwd/l4fwd/proxy/preface"
)

// What decides which clients enter and where they go: accept_proxy, allow_sources, allow_vpce, routes, send_proxy.

func checkCIDR(s string) error {
	if _, err := preface.ParseSource(s); err != nil {
		return fault("%s", "write a CIDR or an address", err)
	}
	return nil
}

func checkEndpoint(s string) error {
	if err := preface.CheckEndpoint(s); err != nil {
		return fault("%s", "write vpce- and 17 hexadecimal digits", err)
	}
	return nil
}

func checkPattern(s string) error {
	if what := preface.CheckPattern(s); what != "" {
		return fault("%q %s", "write a host name, or *. and one", s, what)
	}
	return nil
}

// tidy makes empty lists of a listener none, and names the upstream of one without routes.
func (in *Listener) tidy(upstreams []Upstream) {
	if len(in.Routes) == 0 {
		in.Routes = nil
		if len(upstreams) > 0 {
			in.Upstream = cmp.Or(in.Upstream, upstreams[0].Name)
		}
	}
	if len(in.AllowSources) == 0 {
		in.AllowSources = nil
	}
	if len(in.AllowVPCE) == 0 {
		in.AllowVPCE = nil
	}
}

// mention is a key that names an upstream.
type mention struct{ key, name string }

// upstreams names the upstreams of the listener's clients.
func (in *Listener) upstreams(at string) []mention {
	if len(in.Routes) == 0 {
		return []mention{{at + ".upstream", in.Upstream}}
	}
	var all []mention
	for i, r := range in.Routes {
		all = append(all, mention{fmt.Sprintf("%s.routes[%d].upstream", at, i), r.Upstream})
	}
	return all
}

// Serves names the upstreams of the listener's clients, each once.
func (in *Listener) Serves() string {
	var all []string
	for _, u := range in.upstreams("") {
		if !slices.Contains(all, u.name) {
			all = append(all, u.name)
		}
	}
	return strings.Join(all, ",")
}

// validateDoors finds listeners that nobody could enter, and routes without effect.
func (l *Loaded) validateDoors() {
	for i := range l.Config.Listeners {
		in := &l.Config.Listeners[i]
		at := fmt.Sprintf("listeners[%d]", i)
		if in.Upstream != "" && len(in.Routes) > 0 {
			l.add(l.origins[at+".upstream"], at+".upstream", fault("stands beside routes, which refuse what they do not list", "remove one of the two"))
		}
		if len(in.AllowVPCE) > 0 && in.AcceptProxy == "off" {
			l.add(l.origins[at+".allow_vpce"], at+".allow_vpce", fault("nobody could enter: only a PROXY header tells the endpoint", "set accept_proxy to required"))
		}
		l.validateRoutes(in.Routes, at)
	}
}

func (l *Loaded) validateRoutes(routes []Route, at string) {
	usable := len(routes) > 0 && !l.complained(at+".routes")
	for i, r := range routes {
		key := fmt.Sprintf("%s.routes[%d].sni", at, i)
		if len(r.SNI) == 0 && !l.complained(key) && l.seen(key) {
			l.add(l.origins[key], key, fault("the list is empty, so the route serves nobody", "name at least one host"))
			usable = false
		}
	}
	if !usable {
		return
	}
	var names [][]string
	for _, r := range routes {
		names = append(names, r.SNI)
	}
	matcher, err := preface.NewMatcher(names)
	if err != nil {
		return // reported where the pattern was read
	}
	for i, r := range routes {
		key := fmt.Sprintf("%s.routes[%d].sni", at, i)
		for _, pattern := range r.SNI {
			if !matcher.Reaches(pattern, i) {
				l.warn(l.origins[key], key, pattern+" has no effect: an earlier route takes it", "remove it, or put the route first")
			}
		}
	}
}

func (l *Loaded) seen(key string) bool {
	_, ok := l.origins[key]
	return ok
}
