package config

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// validate finds what is wrong between keys; each key alone was checked where it was read.
func (l *Loaded) validate() {
	l.validateListeners() // first: what is found of upstreams from here on hides no name
	l.validateUpstreams()
	l.validateAddressesOfUpstreams()
	l.validateDoors()
	l.validateUse()
	l.validateAddresses()
	l.validateLoops()
	l.validateTimes()
	l.validateAdmin()
}

func (l *Loaded) validateUpstreams() {
	if len(l.Config.Upstreams) == 0 && !l.complained("upstream") {
		where, listed := l.origins["upstreams"]
		if !listed {
			where = origin{file: l.Path}
		}
		l.add(where, "", fault("no upstream: name one with --upstream HOST:443, in L4FWD_UPSTREAM, or under upstreams in a file given with --config", ""))
	}
	byName := map[string]int{}
	for i, u := range l.Config.Upstreams {
		at := fmt.Sprintf("upstreams[%d].name", i)
		if first, twice := byName[u.Name]; twice && u.Name != "" {
			l.add(l.nameOrigin(at), at, fault("%q is also the name of upstreams[%d]", "give each its own name", u.Name, first))
			continue
		}
		byName[u.Name] = i
	}
}

// validateUse finds upstreams that serve nobody.
func (l *Loaded) validateUse() {
	used := map[string]bool{}
	for i := range l.Config.Listeners {
		for _, u := range l.Config.Listeners[i].upstreams("") {
			used[u.name] = true
		}
	}
	for i, u := range l.Config.Upstreams {
		at := fmt.Sprintf("upstreams[%d]", i)
		if u.Name != "" && !used[u.Name] && len(used) > 0 && !l.complained("listen") && !l.complained("upstream") {
			l.warn(l.origins[at], at, "no listener uses the upstream "+u.Name, "set listeners[].upstream, or that of a route, to its name, or remove it")
		}
	}
}

func (l *Loaded) validateListeners() {
	if len(l.Config.Listeners) == 0 && !l.complained("listen") {
		key := "listeners"
		if _, there := l.origins[key]; !there {
			key = "listen"
		}
		l.add(l.origins[key], key, fault("the list is empty", "name at least one, or remove the key for one on "+defaultListen))
	}
	var upstreams []string
	for _, u := range l.Config.Upstreams {
		if !contains(upstreams, u.Name) {
			upstreams = append(upstreams, u.Name)
		}
	}
	hidden := l.namesHidden()
	byName := map[string]int{}
	for i, in := range l.Config.Listeners {
		at := fmt.Sprintf("listeners[%d]", i)
		if first, twice := byName[in.Name]; twice && in.Name != "" {
			// Without names, the same address twice is told as that, unless the kernel chooses the port.
			ap, err := ParseListen(in.Address)
			if _, named := l.origins[at+".name"]; named || err == nil && ap.Port() == 0 {
				l.add(l.nameOrigin(at+".name"), at+".name", fault("%q is also the name of listeners[%d]", "give each its own name", in.Name, first))
			}
		} else {
			byName[in.Name] = i
		}
		for _, u := range in.upstreams(at) {
			if !hidden {
				l.validateName(u.key, u.name, upstreams)
			}
		}
	}
}

// namesHidden reports whether a fault may hide the name of an upstream, so that it cannot be told which there are: one with
// the list or an entry as a whole, or any in an entry that has no valid name of its own.
func (l *Loaded) namesHidden() bool {
	for _, f := range l.Faults {
		at, key, _ := strings.Cut(f.Key, ".")
		if f.Warning || !strings.HasPrefix(at, "upstream") {
			continue
		}
		if _, named := l.origins[at+".name"]; !named || key == "" || key == "name" {
			return true
		}
	}
	return false
}

// validateName finds names of upstreams that do not exist.
func (l *Loaded) validateName(key, name string, upstreams []string) {
	if name == "" || len(upstreams) == 0 || contains(upstreams, name) {
		return
	}
	allowed := "names known: " + strings.Join(upstreams, ", ")
	if near := Nearest(name, upstreams); near != "" {
		allowed = "did you mean " + near + "? " + allowed
	}
	l.add(l.origins[key], key, fault("there is no upstream %q", allowed, name))
}

// nameOrigin is where a name was given, or the address it was made from.
func (l *Loaded) nameOrigin(at string) origin {
	if where, ok := l.origins[at]; ok {
		return where
	}
	return l.origins[strings.TrimSuffix(at, "name")+"address"]
}

// complained reports whether there is a fault with a key that begins with prefix.
func (l *Loaded) complained(prefix string) bool {
	for _, f := range l.Faults {
		if !f.Warning && strings.HasPrefix(f.Key, prefix) {
			return true
		}
	}
	return false
}

// bound is an address to be listened on.
type bound struct {
	key  string
	addr netip.AddrPort
}

func (l *Loaded) bounds() []bound {
	var all []bound
	for i, in := range l.Config.Listeners {
		if ap, err := ParseListen(in.Address); err == nil {
			all = append(all, bound{fmt.Sprintf("listeners[%d].address", i), ap})
		}
	}
	if e, err := ParseService(l.Config.Health.Address); err == nil && e.Addr.IsValid() {
		all = append(all, bound{"health.address", e.Addr})
	}
	if e, err := ParseAdmin(l.Config.Admin.Address); err == nil && e.Addr.IsValid() {
		all = append(all, bound{"admin.address", e.Addr})
	}
	return all
}

// validateAddresses finds addresses that cannot be listened on at the same time.
func (l *Loaded) validateAddresses() {
	all := l.bounds()
	for i, b := range all {
		for _, a := range all[:i] {
			if b.addr.Port() != 0 && b.addr.Port() == a.addr.Port() && overlap(a.addr.Addr(), b.addr.Addr(), service(a) || service(b)) {
				l.taken(a, b)
				break
			}
		}
	}
}

// taken complains of the later of two addresses, unless that is a default: then of the one that somebody wrote.
func (l *Loaded) taken(a, b bound) {
	if _, written := l.origins[b.key]; !written {
		a, b = b, a
	}
	l.add(l.origins[b.key], b.key, fault("%s is taken by %s already", "give each its own port", b.addr, l.spelling(a.key)))
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

// ownAddress reports whether addr is one of this machine.
func ownAddress(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	for _, a := range own {
		if n, ok := a.(*net.IPNet); ok {
			if ip, ok := netip.AddrFromSlice(n.IP); ok && ip.Unmap() == addr {
				return true
			}
		}
	}
	return false
}

// safeIdle is the shortest of the times after which something on the way forgets a connection without a packet: Azure's
// load balancer after 4 min, an AWS NLB after 350 s.
const safeIdle = Duration(240 * time.Second)

func (l *Loaded) validateTimes() {
	k := l.Config.Keepalive
	for _, d := range []struct {
		key   string
		value Duration
	}{{"keepalive.idle", k.Idle}, {"keepalive.interval", k.Interval}} {
		if d.value%Duration(time.Second) != 0 {
			l.add(l.origins[d.key], d.key, fault("%s is not in whole seconds", "the kernel knows no finer ones", d.value))
		}
	}
	if k.Idle > safeIdle {
		l.warn(l.origins["keepalive.idle"], "keepalive.idle", k.Idle.String()+" is longer than 240s",
			"Azure's load balancer forgets a connection after 4 min without a packet and an AWS NLB after 350 s, so idle connections may die unnoticed")
	}
	if d := l.Config.DNS; d.MinTTL > d.MaxTTL {
		l.add(l.origins["dns.min_ttl"], "dns.min_ttl", fault("%s is longer than dns.max_ttl, %s", "write a shorter one", d.MinTTL, d.MaxTTL))
	}
}

func (l *Loaded) validateAdmin() {
	e, err := ParseAdmin(l.Config.Admin.Address)
	if err != nil || e.Off() || e.Local() || l.Config.Admin.AllowRemote {
		return
	}
	l.add(l.origins["admin.address"], "admin.address", fault("%s is reachable from other machines, and whoever reaches it can drain the daemon and read its memory",
		"use 127.0.0.1:9901 or unix:PATH, or set admin.allow_remote to true", e.Addr))
}
