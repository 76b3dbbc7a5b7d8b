package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"
)

// validator finds faults between keys. Each key alone was checked where it was read.
type validator struct {
	*report
	c    *Config
	path string // of the file; empty: none was named
}

// validate reports all that is wrong between the keys of c.
func validate(c *Config, r *report, path string) {
	v := validator{r, c, path}
	v.listeners() // first: what is found of upstreams from here on hides no name
	v.upstreams()
	v.ofEachUpstream()
	v.entrance()
	v.unused()
	v.addresses()
	v.loops()
	v.times()
	v.admin()
}

// listeners finds listeners that share a name, and names of upstreams that do not exist.
func (v validator) listeners() {
	if len(v.c.Listeners) == 0 && !v.complained("listen") {
		key := "listeners"
		if !v.given(key) {
			key = "listen"
		}
		v.add(key, fault("the list is empty", "name at least one, or remove the key for one on "+defaultListen))
	}
	upstreams := v.upstreamNames()
	hidden := v.namesHidden()
	byName := map[string]int{}
	for i, in := range v.c.Listeners {
		at := fmt.Sprintf("listeners[%d]", i)
		if first, twice := byName[in.Name]; twice && in.Name != "" {
			v.sameName(in, at+".name", first)
		} else {
			byName[in.Name] = i
		}
		for _, u := range in.upstreams(at) {
			if !hidden {
				v.upstreamExists(u, upstreams)
			}
		}
	}
}

// sameName reports a listener whose name another has. Without names, the same address twice is reported as that, unless
// the kernel chooses the port.
func (v validator) sameName(in Listener, key string, first int) {
	if v.given(key) || in.Address.IsValid() && in.Address.Port() == 0 {
		v.addAt(v.nameOrigin(key), key, fault("%q is also the name of listeners[%d]", "give each its own name", in.Name, first))
	}
}

// upstreamNames are the names of the upstreams, each once, in their order.
func (v validator) upstreamNames() nameSet {
	set := nameSet{has: map[string]bool{}}
	for _, u := range v.c.Upstreams {
		if !set.has[u.Name] {
			set.has[u.Name] = true
			set.all = append(set.all, u.Name)
		}
	}
	return set
}

// nameSet is a list of different names.
type nameSet struct {
	all []string
	has map[string]bool
}

// namesHidden reports whether a fault may hide the name of an upstream, so that it is unknown which names there are: a
// fault of the list or of an entry as a whole, or any in an entry that has no valid name of its own.
func (v validator) namesHidden() bool {
	for _, f := range v.faults {
		at, key, _ := strings.Cut(f.Key, ".")
		if f.Warning || !strings.HasPrefix(at, "upstream") {
			continue
		}
		if !v.given(at+".name") || key == "" || key == "name" {
			return true
		}
	}
	return false
}

// upstreamExists finds names of upstreams that do not exist.
func (v validator) upstreamExists(m mention, upstreams nameSet) {
	if m.name == "" || len(upstreams.all) == 0 || upstreams.has[m.name] {
		return
	}
	allowed := "names known: " + strings.Join(upstreams.all, ", ")
	if near := Nearest(m.name, upstreams.all); near != "" {
		allowed = "did you mean " + near + "? " + allowed
	}
	v.add(m.key, fault("there is no upstream %q", allowed, m.name))
}

// upstreams finds that there are none, and those that share a name.
func (v validator) upstreams() {
	if len(v.c.Upstreams) == 0 && !v.complained("upstream") {
		where, listed := v.origins["upstreams"]
		if !listed {
			where = origin{file: v.path}
		}
		v.addAt(where, "", fault(noUpstream, ""))
	}
	byName := map[string]int{}
	for i, u := range v.c.Upstreams {
		key := fmt.Sprintf("upstreams[%d].name", i)
		if first, twice := byName[u.Name]; twice && u.Name != "" {
			v.addAt(v.nameOrigin(key), key, fault("%q is also the name of upstreams[%d]", "give each its own name", u.Name, first))
			continue
		}
		byName[u.Name] = i
	}
}

// nameOrigin is where a name was given, or the address it was made from.
func (v validator) nameOrigin(key string) origin {
	if where, ok := v.origins[key]; ok {
		return where
	}
	return v.origins[strings.TrimSuffix(key, "name")+"address"]
}

// unused finds upstreams that serve nobody.
func (v validator) unused() {
	used := map[string]bool{}
	for i := range v.c.Listeners {
		for _, u := range v.c.Listeners[i].upstreams("") {
			used[u.name] = true
		}
	}
	if len(used) == 0 || v.complained("listen") || v.complained("upstream") {
		return
	}
	for i, u := range v.c.Upstreams {
		if u.Name != "" && !used[u.Name] {
			v.warn(fmt.Sprintf("upstreams[%d]", i), "no listener uses the upstream "+u.Name,
				"set listeners[].upstream, or that of a route, to its name, or remove it")
		}
	}
}

// safeIdle is the shortest of the times after which something on the way forgets a connection without a packet: Azure's
// load balancer after 4 min, an AWS NLB after 350 s.
const safeIdle = 240 * time.Second

// times finds times that make no sense, or none together.
func (v validator) times() {
	k := v.c.Keepalive
	for _, d := range []struct {
		key   string
		value time.Duration
	}{{"keepalive.idle", k.Idle}, {"keepalive.interval", k.Interval}} {
		if d.value%time.Second != 0 {
			v.add(d.key, fault("%s is not in whole seconds", "the kernel knows no finer ones", formatDuration(d.value)))
		}
	}
	if k.Idle > safeIdle {
		v.warn("keepalive.idle", formatDuration(k.Idle)+" is longer than 240s",
			"Azure's load balancer forgets a connection after 4 min without a packet and an AWS NLB after 350 s, so idle connections may die unnoticed")
	}
	if d := v.c.DNS; d.MinTTL > d.MaxTTL {
		v.add("dns.min_ttl", fault("%s is longer than dns.max_ttl, %s", "write a shorter one", formatDuration(d.MinTTL), formatDuration(d.MaxTTL)))
	}
}

// admin finds an admin port that other machines reach, unless that is allowed.
func (v validator) admin() {
	if e := v.c.Admin.Address; !e.Off() && !e.Local() && !v.c.Admin.AllowRemote {
		v.add("admin.address", fault("%s is reachable from other machines, and whoever reaches it can drain the daemon and read its memory",
			"use 127.0.0.1:9901 or unix:PATH, or set admin.allow_remote to true", e.Addr))
	}
}

// ownAddress reports whether addr is one of this machine.
func ownAddress(addr netip.Addr) bool {
	if addr.IsLoopback() {
		return true
	}
	own, err := net.InterfaceAddrs()
	if err != nil {
		return false
	}
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		n, ok := a.(*net.IPNet)
		if !ok {
			return false
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		return ok && ip.Unmap() == addr
	})
}
