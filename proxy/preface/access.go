package preface

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Sources is the set of addresses that may enter. It is immutable and safe for concurrent use; nil admits all.
type Sources struct{ ranges []netip.Prefix } // disjoint, sorted

// ParseSource reads an entry of allow_sources: a CIDR without host bits, or one address.
func ParseSource(s string) (netip.Prefix, error) {
	if a, err := netip.ParseAddr(s); err == nil {
		if a.Zone() != "" {
			return netip.Prefix{}, fmt.Errorf("%q has a zone", s)
		}
		a = a.Unmap()
		return netip.PrefixFrom(a, a.BitLen()), nil
	}
	p, err := netip.ParsePrefix(s)
	if err != nil {
		return netip.Prefix{}, fmt.Errorf("%q is neither a CIDR like 10.0.0.0/8 nor an address", s)
	}
	if p != p.Masked() {
		return netip.Prefix{}, fmt.Errorf("%q has bits set behind the prefix: the network is %s", s, p.Masked())
	}
	return unmap(p), nil
}

// unmap returns a prefix of IPv4 addresses that are mapped into IPv6 as the prefix of the IPv4 addresses.
func unmap(p netip.Prefix) netip.Prefix {
	if a := p.Addr(); a.Is4In6() && p.Bits() >= 96 {
		return netip.PrefixFrom(a.Unmap(), p.Bits()-96)
	}
	return p
}

// NewSources returns the set of the prefixes, or nil if there are none: then all are admitted.
func NewSources(prefixes []netip.Prefix) *Sources {
	if len(prefixes) == 0 {
		return nil
	}
	all := make([]netip.Prefix, 0, len(prefixes))
	for _, p := range prefixes {
		all = append(all, unmap(p.Masked()))
	}
	slices.SortFunc(all, netip.Prefix.Compare) // a prefix comes before those within it
	s := &Sources{}
	for _, p := range all {
		if n := len(s.ranges); n == 0 || !s.ranges[n-1].Contains(p.Addr()) {
			s.ranges = append(s.ranges, p)
		}
	}
	return s
}

// Admits reports whether a client at the address may enter. An IPv6 prefix, ::/0 included, admits no IPv4 address.
func (s *Sources) Admits(a netip.Addr) bool {
	if s == nil {
		return true
	}
	a = a.Unmap().WithZone("")
	i, _ := slices.BinarySearchFunc(s.ranges, a, func(p netip.Prefix, a netip.Addr) int {
		if p.Addr().Compare(a) <= 0 {
			return -1
		}
		return 1
	})
	return i > 0 && s.ranges[i-1].Contains(a)
}

// Endpoints is the set of VPC endpoints that may enter. It is immutable and safe for concurrent use; nil admits all.
type Endpoints struct{ ids map[string]struct{} }

// CheckEndpoint reports an error if s is no id of a VPC endpoint.
func CheckEndpoint(s string) error {
	digits, found := strings.CutPrefix(s, "vpce-")
	switch {
	case strings.HasPrefix(digits, "svc-"):
		return fmt.Errorf("%q is an endpoint service; the id of an endpoint begins with vpce- and digits", s)
	case !found, len(digits) != 8 && len(digits) != 17, strings.Trim(digits, "0123456789abcdef") != "":
		return fmt.Errorf("%q is no VPC endpoint id like vpce-0123456789abcdef0", s)
	}
	return nil
}

// NewEndpoints returns the set of the ids, or nil if there are none: then all are admitted.
func NewEndpoints(ids []string) (*Endpoints, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	e := &Endpoints{ids: make(map[string]struct{}, len(ids))}
	var faults []error
	for _, id := range ids {
		faults = append(faults, CheckEndpoint(id))
		e.ids[id] = struct{}{}
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	return e, nil
}

// Admits reports whether a client may enter that came through the endpoint; id is empty if no header has one.
func (e *Endpoints) Admits(id string) bool {
	if e == nil {
		return true
	}
	_, ok := e.ids[id]
	return ok
}
