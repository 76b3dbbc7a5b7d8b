package haproxy

import (
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// maxPorts bounds the listeners that a range of ports becomes.
const maxPorts = 100

// bound is one address that a frontend accepts on.
type bound struct {
	at      line
	addr    netip.AddrPort
	dual    bool // the unspecified IPv6 address takes IPv4, too
	proxied bool // clients begin with a PROXY header
}

// String is the address as l4fwd writes it.
func (b bound) String() string {
	if b.addr.Addr() == netip.IPv6Unspecified() {
		return ":" + strconv.Itoa(int(b.addr.Port()))
	}
	return b.addr.String()
}

// binds reads the bind lines of a frontend or listen.
func (im *importer) binds(p *proxy) []bound {
	var all []bound
	for _, l := range p.each("bind") {
		if len(l.words) < 2 {
			im.dropped(l, l.text(), "there is no address")
			continue
		}
		o := options{}
		if !im.readOptions(l, l.words[2:], bindOptions, o) {
			continue
		}
		im.userTimeout(l, o)
		for _, text := range strings.Split(l.words[1], ",") {
			found, fault := parseBind(text)
			if fault != "" {
				im.dropped(l, "bind "+text, fault)
				continue
			}
			for _, b := range found {
				b.at, b.proxied = l, o.has("accept-proxy")
				if b.addr.Addr() == netip.IPv6Unspecified() && o.has("v6only") {
					b.dual = false
				}
				all = append(all, b)
			}
		}
	}
	im.expectProxy(p, all)
	return im.bothFamilies(all)
}

// expectProxy takes tcp-request connection expect-proxy.
func (im *importer) expectProxy(p *proxy, all []bound) {
	for _, l := range p.expectProxy {
		if _, words, _ := splitCondition(l.words); words != nil {
			im.changed(l, l.text(), "every client must begin with a PROXY header")
		}
		for i := range all {
			all[i].proxied = true
		}
	}
}

// bothFamilies joins the wildcards of both families, which l4fwd opens as one listener.
func (im *importer) bothFamilies(all []bound) []bound {
	for i := 0; i < len(all); i++ {
		if all[i].addr.Addr() != netip.IPv6Unspecified() {
			continue
		}
		other := slices.IndexFunc(all, func(b bound) bool {
			return b.addr == netip.AddrPortFrom(netip.IPv4Unspecified(), all[i].addr.Port()) && b.proxied == all[i].proxied
		})
		if other >= 0 {
			all[i].dual = true
			all[i].at = all[min(i, other)].at
			all = slices.Delete(all, other, other+1)
			if other < i {
				i--
			}
			i-- // there may be another one
			continue
		}
		if !all[i].dual {
			im.changed(all[i].at, all[i].at.text(), "l4fwd takes IPv4 clients there, too")
			all[i].dual = true
		}
	}
	return all
}

// parseBind reads one address of bind, and every port of a range.
func parseBind(text string) (all []bound, fault string) {
	family, rest, tcp := splitFamily(text)
	host, port, found := splitPort(rest)
	switch {
	case strings.HasPrefix(text, "/"):
		return nil, "l4fwd accepts TCP only, no Unix socket"
	case !tcp:
		return nil, "l4fwd accepts TCP on an IP address only"
	case !found:
		return nil, "there is no port"
	}
	addr, fault := bindHost(host, strings.HasSuffix(family, "6"))
	if fault != "" {
		return nil, fault
	}
	low, high, fault := ports(port)
	if fault != "" {
		return nil, fault
	}
	for n := low; n <= high; n++ {
		all = append(all, bound{addr: netip.AddrPortFrom(addr, uint16(n)), dual: addr == netip.IPv6Unspecified()})
	}
	return all, ""
}

// bindHost reads the host of bind; empty and * are every IPv4 address.
func bindHost(host string, six bool) (addr netip.Addr, fault string) {
	switch {
	case (host == "" || host == "*") && six:
		return netip.IPv6Unspecified(), ""
	case host == "" || host == "*":
		return netip.IPv4Unspecified(), ""
	case host == "localhost":
		return netip.MustParseAddr("127.0.0.1"), ""
	}
	addr, err := netip.ParseAddr(host)
	switch addr = addr.Unmap(); {
	case err != nil:
		return addr, "l4fwd listens on an IP address, not on a name"
	case addr.IsMulticast() || addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == "":
		return addr, "l4fwd cannot listen there"
	}
	return addr, ""
}

// ports reads a port or a range of them.
func ports(text string) (low, high int, fault string) {
	first, last, ranged := strings.Cut(text, "-")
	if !ranged {
		last = first
	}
	low, errLow := strconv.Atoi(first)
	high, errHigh := strconv.Atoi(last)
	switch {
	case errLow != nil || errHigh != nil || low < 1 || high > 65535 || low > high:
		return 0, 0, "the port is no number from 1 to 65535"
	case high-low >= maxPorts:
		return 0, 0, "l4fwd has a listener for each port, and the importer makes at most 100 of a range: write those that are used"
	}
	return low, high, ""
}

// ownPorts moves l4fwd's own ports away from those of listeners.
func (im *importer) ownPorts() {
	taken := func(n uint16) *listener {
		for _, l := range im.out.listeners {
			if l.bound.addr.Port() == n {
				return l
			}
		}
		return nil
	}
	free := func(n uint16) uint16 {
		for taken(n) != nil || n == 8080 || n == 9901 {
			n++
		}
		return n
	}
	if l := taken(8080); l != nil {
		im.out.health = ":" + strconv.Itoa(int(free(8081)))
		im.note(l.bound.at, l.bound.at.text(), "l4fwd's own health port makes way: health.address is "+im.out.health)
	}
	if l := taken(9901); l != nil {
		im.out.admin = "127.0.0.1:" + strconv.Itoa(int(free(9902)))
		im.note(l.bound.at, l.bound.at.text(), "l4fwd's own admin port makes way: admin.address is "+im.out.admin)
	}
}
