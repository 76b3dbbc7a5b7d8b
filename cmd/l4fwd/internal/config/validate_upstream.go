package config

import (
	"fmt"
	"net/netip"
	"strings"
	"time"
)

// validateAddressesOfUpstreams finds what is wrong between the keys of one upstream.
func (l *Loaded) validateAddressesOfUpstreams() {
	for i, u := range l.Config.Upstreams {
		at := fmt.Sprintf("upstreams[%d]", i)
		l.validateBackups(at, u)
		host, _, err := ParseHostPort(u.Address)
		if _, e := netip.ParseAddr(host); err == nil && e == nil && u.Check.Type == "tls" {
			l.warn(l.origins[at+".check"], at+".check.type", "the certificate must be valid for the IP address "+host,
				"name the upstream by its DNS name, or use tcp if the certificate has only that")
		}
	}
}

// validateBackups finds backups that are no others than what they are to replace.
func (l *Loaded) validateBackups(at string, u Upstream) {
	first := map[string]string{u.Address: at + ".address"}
	for i, b := range u.Backups {
		key := fmt.Sprintf("%s.backups[%d]", at, i)
		if same, twice := first[b]; twice {
			l.add(l.origins[key], key, fault("%q is %s already", "name another server, or remove it", b, same))
			continue
		}
		first[b] = key
	}
}

// validateLoops finds upstreams that are listeners of this very daemon: each connection would end only when every
// descriptor is used up. Names are not looked up, except localhost.
func (l *Loaded) validateLoops() {
	for i, u := range l.Config.Upstreams {
		at := fmt.Sprintf("upstreams[%d]", i)
		l.validateLoop(at+".address", u.Address)
		for j, b := range u.Backups {
			l.validateLoop(fmt.Sprintf("%s.backups[%d]", at, j), b)
		}
	}
}

func (l *Loaded) validateLoop(at, address string) {
	host, port, err := ParseHostPort(address)
	if err != nil {
		return
	}
	if host == "localhost" {
		host = "127.0.0.1"
	}
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return
	}
	for _, b := range l.bounds() {
		own := b.addr.Addr() == addr || b.addr.Addr().IsUnspecified() && ownAddress(addr)
		if b.addr.Port() == port && own {
			l.add(l.origins[at], at, fault("%q is this daemon's own %s, which would have it forward to itself", "name the server behind it", address, l.spelling(b.key)))
			return
		}
	}
}

// maxCloseAfter bounds upstreams[].on_removed.
const maxCloseAfter = Duration(720 * time.Hour)

// Removed says what becomes of the connections to an address that left the DNS answer; the zero value keeps them.
type Removed struct {
	Close bool
	After time.Duration
}

// ParseRemoved reads keep, or close_after and a duration.
func ParseRemoved(text string) (Removed, error) {
	const allowed = "write keep, or close_after and a duration from 0s to 720h, like close_after 5m"
	if text == "keep" {
		return Removed{}, nil
	}
	rest, ok := strings.CutPrefix(text, "close_after")
	if !ok || rest == "" {
		return Removed{}, fault("%q is not a choice", allowed, text)
	}
	// Whoever quotes "close_after: 5m" means the same.
	d, err := parseDuration(strings.TrimSpace(strings.TrimPrefix(rest, ":")))
	if err != nil {
		return Removed{}, fault("%q: %s", allowed, text, err.(*Fault).What)
	}
	if d < 0 || d > maxCloseAfter {
		return Removed{}, fault("%q: %s is out of range", allowed, text, d)
	}
	return Removed{Close: true, After: time.Duration(d)}, nil
}

// checkSource says what is wrong with a local address to connect from.
func checkSource(text string) error {
	const allowed = "write an IP address of this machine, without a port"
	addr, err := netip.ParseAddr(text)
	switch {
	case err != nil:
		return fault("%q is no IP address", allowed, text)
	case addr.IsUnspecified() || addr.IsMulticast():
		return fault("%q: %s is no address to connect from", allowed, text, addr)
	}
	return nil
}
