package config

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/l4fwd/l4fwd/proxy/preface"
)

// entrance finds listeners that nobody could enter, and routes without effect.
func (v validator) entrance() {
	for i := range v.c.Listeners {
		in := &v.c.Listeners[i]
		at := fmt.Sprintf("listeners[%d]", i)
		if in.Upstream != "" && len(in.Routes) > 0 {
			v.add(at+".upstream", fault("stands beside routes, which refuse what they do not list", "remove one of the two"))
		}
		if len(in.AllowVPCE) > 0 && in.AcceptProxy == AcceptProxyOff {
			v.add(at+".allow_vpce", fault("nobody could enter: only a PROXY header tells the endpoint", "set accept_proxy to required"))
		}
		v.routes(in.Routes, at+".routes")
	}
}

// routes finds routes that serve nobody. at is the path of the list.
func (v validator) routes(routes []Route, at string) {
	usable := len(routes) > 0 && !v.complained(at)
	var patterns [][]string
	for i, r := range routes {
		key := fmt.Sprintf("%s[%d].sni", at, i)
		if len(r.SNI) == 0 && v.given(key) && !v.complained(key) {
			v.add(key, fault("the list is empty, so the route serves nobody", "name at least one host"))
			usable = false
		}
		patterns = append(patterns, r.SNI)
	}
	if !usable {
		return
	}
	matcher, err := preface.NewMatcher(patterns)
	if err != nil {
		return // reported where the pattern was read
	}
	for i, r := range routes {
		for _, pattern := range r.SNI {
			if !matcher.Reaches(pattern, i) {
				v.warn(fmt.Sprintf("%s[%d].sni", at, i), pattern+" has no effect: an earlier route takes it", "remove it, or put the route first")
			}
		}
	}
}

// binding is an address to be listened on.
type binding struct {
	key  string
	addr netip.AddrPort
}

// bindings are all addresses to be listened on.
func (v validator) bindings() []binding {
	var all []binding
	add := func(key string, addr netip.AddrPort) {
		if addr.IsValid() {
			all = append(all, binding{key, addr})
		}
	}
	for i, in := range v.c.Listeners {
		add(fmt.Sprintf("listeners[%d].address", i), in.Address.AddrPort)
	}
	add("health.address", v.c.Health.Address.Addr)
	add("admin.address", v.c.Admin.Address.Addr)
	return all
}

// addresses finds addresses that cannot be listened on at the same time.
func (v validator) addresses() {
	ports := map[uint16]*taken{}
	for _, b := range v.bindings() {
		port := b.addr.Port()
		if port == 0 {
			continue
		}
		if ports[port] == nil {
			ports[port] = &taken{exact: map[netip.Addr]binding{}}
		}
		if a, there := ports[port].by(b); there {
			v.complainOfTaken(a, b)
		}
		ports[port].add(b)
	}
}

// taken are the addresses of one port that are listened on.
type taken struct {
	exact map[netip.Addr]binding // the first of each
	all   []binding
}

// add notes an address.
func (t *taken) add(b binding) {
	if _, there := t.exact[b.addr.Addr()]; !there {
		t.exact[b.addr.Addr()] = b
	}
	t.all = append(t.all, b)
}

// by finds the first address that excludes b. For two listeners of the forwarder a single address beside the wildcard is
// fine: the kernel prefers the more exact one. The ports for health and administration come last, so that only they are
// compared with all.
func (t *taken) by(b binding) (a binding, there bool) {
	if !service(b) {
		return t.sameAs(b.addr.Addr())
	}
	for _, a := range t.all {
		if same := a.addr.Addr() == b.addr.Addr(); same || covers(a.addr.Addr(), b.addr.Addr()) || covers(b.addr.Addr(), a.addr.Addr()) {
			return a, true
		}
	}
	return binding{}, false
}

// sameAs finds the address itself, and for one wildcard that of the other family.
func (t *taken) sameAs(addr netip.Addr) (a binding, there bool) {
	same := []netip.Addr{addr}
	if addr.IsUnspecified() {
		same = []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()}
	}
	for _, one := range same {
		if a, there = t.exact[one]; there {
			return a, true
		}
	}
	return binding{}, false
}

// complainOfTaken reports the later of two addresses, unless that is a default: then of the one that somebody wrote.
func (v validator) complainOfTaken(a, b binding) {
	if !v.given(b.key) {
		a, b = b, a
	}
	v.add(b.key, fault("%s is taken by %s already", "give each its own port", b.addr, v.spelling(a.key)))
}

// service reports whether b is not a listener of the forwarder.
func service(b binding) bool { return !strings.HasPrefix(b.key, "listeners") }

// covers reports whether a is the wildcard of a family that b belongs to; the one of IPv6 takes IPv4 as well.
func covers(a, b netip.Addr) bool { return a.IsUnspecified() && (a.Is6() || b.Is4()) }
