package resolve

import (
	"net/netip"
	"strings"
)

// maxHostsSize bounds what is read of a hosts file; the rest is ignored. Lists that
// block advertisers have about 5 MB.
const maxHostsSize = 16 << 20

// hostsFile is the entry of one name in the hosts file, read again when the file
// changed. Other names are not kept: watched names are few and changes rare. It
// belongs to the name's goroutine.
type hostsFile struct {
	path, key string

	known bool // read once
	stamp stamp
	addrs []netip.Addr
	found bool
}

// get returns the usable addresses, and whether the file has the name at all: a
// name blocked with 0.0.0.0 is found without addresses.
func (h *hostsFile) get() (addrs []netip.Addr, found bool) {
	now := stampOf(h.path)
	if !h.known || !h.stamp.same(now) {
		h.addrs, h.found = parseHosts(readFile(h.path, maxHostsSize), h.key)
		h.stamp, h.known = now, true
	}
	return h.addrs, h.found
}

// parseHosts returns the usable addresses that a hosts(5) file has for a name, in
// the order of the file, without doubles and at most MaxAddrs; found reports whether
// the name occurs. Lines that cannot be read are skipped.
func parseHosts(data, name string) (addrs []netip.Addr, found bool) {
	name = key(name)
	for line := range strings.Lines(data) {
		line, _, _ = strings.Cut(line, "#")
		f := strings.Fields(line)
		if len(f) < 2 || !anyNamed(f[1:], name) {
			continue
		}
		a, err := netip.ParseAddr(f[0])
		if err != nil {
			continue
		}
		found = true
		addrs = append(addrs, a.Unmap())
	}
	return tidy(addrs, MaxAddrs), found
}

// anyNamed reports whether one of words is the name, in any case.
func anyNamed(words []string, name string) bool {
	for _, w := range words {
		if key(w) == name {
			return true
		}
	}
	return false
}
