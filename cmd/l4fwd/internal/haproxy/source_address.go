package haproxy

import (
	"net/netip"
	"slices"
)

// leaving carries source, of the servers or of the backend.
func (im *importer) leaving(p *proxy, u *upstream, all []*server) {
	common, at := p.argument("source")
	if l, ok := p.setting("source"); ok && len(l.words) > 2 {
		im.dropped(l, brief(l.words[2:]), "l4fwd connects from its own addresses")
	}
	for _, s := range all {
		text, where := s.options.value("source"), s.at
		if text == "" {
			text, where = common, at
		}
		if addr := im.sourceAddress(where, text); addr.IsValid() && !slices.Contains(u.sources, addr) {
			u.sources = append(u.sources, addr)
		}
	}
	if len(u.sources) > 1 {
		im.changed(p.section.at, "source", "l4fwd connects to every server of the upstream from each of the addresses in turn")
	}
}

// sourceAddress reads the address of source; it is not valid where the kernel is to choose, or where text names none.
func (im *importer) sourceAddress(at line, text string) netip.Addr {
	if text == "" {
		return netip.Addr{}
	}
	_, rest, tcp := splitFamily(text)
	host, ports, _ := splitPort(rest)
	addr, err := netip.ParseAddr(host)
	switch {
	case host == "*":
		return netip.Addr{}
	case err != nil || !tcp || addr.IsMulticast():
		im.dropped(at, "source "+text, "it is no IP address")
		return netip.Addr{}
	case addr.IsUnspecified():
		return netip.Addr{}
	case ports != "":
		im.harmless(at, "source "+text, "the kernel chooses the port")
	}
	return addr
}
