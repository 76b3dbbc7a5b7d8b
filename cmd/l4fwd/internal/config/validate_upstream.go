package config

import (
	"fmt"
	"net/netip"
)

// ofEachUpstream finds what is wrong between the keys of one upstream.
func (v validator) ofEachUpstream() {
	for i, u := range v.c.Upstreams {
		at := fmt.Sprintf("upstreams[%d]", i)
		v.backups(at, u)
		v.upstreamCheck(at, u)
	}
}

// backups finds addresses that are there twice, such as backups that are no others than what they are to replace.
func (v validator) backups(at string, u Upstream) {
	first := map[HostPort]string{u.Address: at + ".address"}
	for _, list := range []struct {
		name string
		all  []HostPort
	}{{"addresses", u.Addresses}, {"backups", u.Backups}} {
		for i, b := range list.all {
			key := fmt.Sprintf("%s.%s[%d]", at, list.name, i)
			if same, twice := first[b]; twice {
				v.add(key, fault("%q is %s already", "name another server, or remove it", b, same))
				continue
			}
			first[b] = key
		}
	}
}

// upstreamCheck finds what a check cannot do.
func (v validator) upstreamCheck(at string, u Upstream) {
	https := u.Check.Type == CheckHTTPS
	if addr := u.Address.IP(); addr.IsValid() && (https || u.Check.Type == CheckTLS) {
		v.warnAt(v.origins[at+".check"], at+".check.type", "the certificate must be valid for the IP address "+u.Address.Host,
			"name the upstream by its DNS name, or use tcp if the certificate has only that")
	}
	const allowed = "set check.type to https, or remove the key"
	what := "has no effect: the check's type is " + string(u.Check.Type)
	if !https && u.Check.Path != defaultPath {
		v.warn(at+".check.path", what, allowed)
	}
	if !https && u.Admission == AdmissionStrict {
		v.warn(at+".admission", what, allowed)
	}
}

// loops finds upstreams that are listeners of this very daemon: each connection would end only when every descriptor is
// used up. Names are not looked up, except localhost.
func (v validator) loops() {
	bindings := v.bindings()
	for i, u := range v.c.Upstreams {
		at := fmt.Sprintf("upstreams[%d]", i)
		v.loop(at+".address", u.Address, bindings)
		for j, a := range u.Addresses {
			v.loop(fmt.Sprintf("%s.addresses[%d]", at, j), a, bindings)
		}
		for j, b := range u.Backups {
			v.loop(fmt.Sprintf("%s.backups[%d]", at, j), b, bindings)
		}
	}
}

// loop reports an address that is one of this daemon.
func (v validator) loop(key string, address HostPort, bindings []binding) {
	addr := address.IP()
	if address.Host == "localhost" {
		addr = netip.AddrFrom4([4]byte{127, 0, 0, 1})
	}
	if !addr.IsValid() {
		return
	}
	for _, b := range bindings {
		if b.addr.Port() == address.Port && (b.addr.Addr() == addr || b.addr.Addr().IsUnspecified() && ownAddress(addr)) {
			v.add(key, fault("%q is this daemon's own %s, which would have it forward to itself", "name the server behind it", address, v.spelling(b.key)))
			return
		}
	}
}
