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

// bound is an address to be listened on.
type bound struct {
	key  string
	addr netip.AddrPort
}

// bounds are all addresses to be listened on.
func (v validator) bounds() []bound {
	var all []bound
	add := func(key string, addr netip.AddrPort) {
		if addr.IsValid() {
			all = append(all, bound{key, addr})
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
	byPort := map[uint16][]bound{}
	for _, b := range v.bounds() {
		port := b.addr.Port()
		if port == 0 {
			continue
		}
		for _, a := range byPort[port] {
			if overlap(a.addr.Addr(), b.addr.Addr(), service(a) || service(b)) {
				v.taken(a, b)
				break
			}
		}
		byPort[port] = append(byPort[port], b)
	}
}

// taken complains of the later of two addresses, unless that is a default: then of the one that somebody wrote.
func (v validator) taken(a, b bound) {
	if !v.given(b.key) {
		a, b = b, a
	}
	v.add(b.key, fault("%s is taken by %s already", "give each its own port", b.addr, v.spelling(a.key)))
}

// service reports whether b is not a listener of the forwarder.
func service(b bound) bool { return !strings.HasPrefix(b.key, "listeners") }

// overlap reports whether two addresses with the same port exclude each other. For listeners of the forwarder (strict
// false) a single address beside the wildcard is fine: the kernel prefers the more exact one.
func overlap(a, b netip.Addr, strict bool) bool {
	if a == b || a.IsUnspecified() && b.IsUnspecified() {
		return true
	}
	return strict && (covers(a, b) || covers(b, a))
}

// covers reports whether a is the wildcard of a family that b belongs to; the one of IPv6 takes IPv4 as well.
func covers(a, b netip.Addr) bool { return a.IsUnspecified() && (a.Is6() || b.Is4()) }
