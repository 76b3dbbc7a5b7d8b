package config

import (
	"cmp"
	"fmt"
	"slices"
)

// defaultListen is where l4fwd accepts unless it is configured otherwise.
const defaultListen = ":443"

// merger turns the shorthands upstream, warm and listen into entries of upstreams and listeners, and names what has no
// name.
type merger struct {
	*report
	c    *Config
	file map[string]origin // what the file has, whatever wins over it
}

// merge reports whether the only listener is there because none was configured.
func (m merger) merge() (defaultListener bool) {
	m.upstream()
	m.warm()
	defaultListener = m.listen()
	for i := range m.c.Upstreams {
		u := &m.c.Upstreams[i]
		u.Name = cmp.Or(u.Name, u.Address.Host)
	}
	for i := range m.c.Listeners {
		m.c.Listeners[i].complete(m.c.Upstreams)
	}
	return defaultListener
}

// inFile reports whether the file has the key.
func (m merger) inFile(key string) bool {
	_, ok := m.file[key]
	return ok
}

// upstream applies upstream. In one file it excludes upstreams. From a flag or a variable it replaces the address of a
// single entry, and cannot choose between several.
func (m merger) upstream() {
	const at = "upstreams[0].address"
	address, entries := m.c.Upstream, len(m.c.Upstreams)
	switch {
	case m.inFile("upstream") && m.inFile("upstreams"):
		m.addAt(m.file["upstream"], "upstream", fault("stands beside upstreams", "write one of the two"))
	case address == HostPort{}:
	case entries > 1:
		m.add("upstream", fault("the file has %d upstreams, and one address cannot stand for them", "change the file", entries))
	case entries == 1:
		m.c.Upstreams[0].Address = address
		m.origins[at] = m.origins["upstream"]
	default:
		m.c.Upstreams = []Upstream{newUpstream(address)}
		m.origins[at], m.spelled[at] = m.origins["upstream"], "upstream"
	}
	m.c.Upstream = HostPort{}
}

// warm applies warm to the only upstream.
func (m merger) warm() {
	const at = "upstreams[0].warm.connections"
	switch entries := len(m.c.Upstreams); {
	case !m.given("warm"):
	case entries > 1:
		m.add("warm", fault("the file has %d upstreams, and this cannot choose between them", "write warm.connections below the one you mean", entries))
	case entries == 1:
		m.c.Upstreams[0].Warm.Connections = m.c.Warm
		m.origins[at], m.spelled[at] = m.origins["warm"], "warm"
	}
	m.c.Warm = 0
}

// listen applies listen as upstream does. From a flag or a variable it replaces the addresses of as many entries.
func (m merger) listen() (defaultListener bool) {
	addresses, entries := m.c.Listen, len(m.c.Listeners)
	m.c.Listen = nil
	switch {
	case m.inFile("listen") && m.inFile("listeners"):
		m.addAt(m.file["listen"], "listen", fault("stands beside listeners", "write one of the two"))
	case len(addresses) > 0 && entries > 0 && len(addresses) != entries:
		m.add("listen", fault("%d addresses for the %d listeners of the file", "give as many, or change the file", len(addresses), entries))
	case len(addresses) > 0:
		m.listenOn(addresses)
	case entries == 0 && !m.inFile("listen") && !m.inFile("listeners"):
		address, _ := ParseListen(defaultListen)
		m.c.Listeners = []Listener{newListener(address)}
		m.spelled["listeners[0].address"] = "listen"
		return true
	}
	return false
}

// listenOn gives the listeners their addresses, and makes one for each if there are none.
func (m merger) listenOn(addresses []ListenAddr) {
	if len(m.c.Listeners) == 0 {
		m.c.Listeners = slices.Repeat([]Listener{newListener(ListenAddr{})}, len(addresses))
	}
	for i, a := range addresses {
		m.c.Listeners[i].Address = a
		at := fmt.Sprintf("listeners[%d].address", i)
		m.origins[at], m.spelled[at] = m.origins["listen"], fmt.Sprintf("listen[%d]", i)
	}
}

// newUpstream is the entry that upstream is short for.
func newUpstream(address HostPort) Upstream {
	u := Upstream{}
	setDefaults(u.keys())
	u.Address = address
	return u
}

// newListener is the entry that an address of listen is short for.
func newListener(address ListenAddr) Listener {
	in := Listener{}
	setDefaults(in.keys())
	in.Address = address
	return in
}
