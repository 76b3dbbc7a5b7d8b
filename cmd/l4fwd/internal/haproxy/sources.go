package haproxy

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"strings"
)

// region is a part of the address space that every test on the client's address judges alike: a prefix without those
// regions that lie within it.
type region struct {
	prefix netip.Prefix
	facts  string // for each test "1" if it matches here, else "0"
}

var wholeSpace = []netip.Prefix{netip.MustParsePrefix("0.0.0.0/0"), netip.MustParsePrefix("::/0")}

// regionsOf cuts the address space along the prefixes of the tests. The tests are numbered by their place.
func regionsOf(tests []*test) []region {
	sets := make([]map[netip.Prefix]bool, len(tests))
	every := map[netip.Prefix]bool{}
	for _, p := range wholeSpace {
		every[p] = true
	}
	for i, t := range tests {
		sets[i] = map[netip.Prefix]bool{}
		for _, p := range asHAProxyMatches(t.prefixes) {
			sets[i][p], every[p] = true, true
		}
	}
	var regions []region
	for _, p := range slices.SortedFunc(maps.Keys(every), comparePrefixes) {
		regions = append(regions, region{p, factsOf(p, sets)})
	}
	return regions
}

// factsOf says which of the sets hold the prefix, as region.facts does.
func factsOf(p netip.Prefix, sets []map[netip.Prefix]bool) string {
	var facts strings.Builder
	for _, set := range sets {
		if within(set, p) {
			facts.WriteByte('1')
		} else {
			facts.WriteByte('0')
		}
	}
	return facts.String()
}

// asHAProxyMatches adds what HAProxy matches beyond the prefix: an IPv4 client is also compared, as ::ffff:a.b.c.d, with IPv6
// prefixes.
func asHAProxyMatches(prefixes []netip.Prefix) []netip.Prefix {
	mapped := netip.MustParseAddr("::ffff:0.0.0.0")
	var all []netip.Prefix
	for _, p := range prefixes {
		switch a := p.Addr(); {
		case a.Is4In6() && p.Bits() >= 96:
			p = netip.PrefixFrom(a.Unmap(), p.Bits()-96)
		case a.Is6() && p.Bits() <= 96 && mapped.Is4In6() && netip.PrefixFrom(a, p.Bits()).Contains(netip.AddrFrom16(mapped.As16())):
			all = append(all, wholeSpace[0])
		}
		all = append(all, p.Masked())
	}
	return all
}

// comparePrefixes puts IPv4 first, and a prefix before those within it.
func comparePrefixes(a, b netip.Prefix) int {
	return cmp.Or(cmp.Compare(a.Addr().BitLen(), b.Addr().BitLen()), a.Addr().Compare(b.Addr()), cmp.Compare(a.Bits(), b.Bits()))
}

// within reports whether a prefix of the set holds all of p.
func within(set map[netip.Prefix]bool, p netip.Prefix) bool {
	if len(set) == 0 {
		return false
	}
	for bits := p.Bits(); bits >= 0; bits-- {
		if set[netip.PrefixFrom(p.Addr(), bits).Masked()] {
			return true
		}
	}
	return false
}

// cover lists prefixes that hold the admitted regions and nothing else. regions are as regionsOf returns them.
func cover(regions []region, admitted func(facts string) bool) []netip.Prefix {
	var all []netip.Prefix
	for _, root := range wholeSpace {
		rest := slices.DeleteFunc(slices.Clone(regions), func(r region) bool { return r.prefix.Addr().Is4() != root.Addr().Is4() })
		c := coverer{admitted}
		prefixes, _, _ := c.cover(root, false, rest)
		all = append(all, prefixes...)
	}
	return all
}

// coverer is one run of cover.
type coverer struct{ admitted func(facts string) bool }

// cover covers what lies within p. inherited is what holds where no region says otherwise. regions lie within p, or behind it;
// those behind it are returned. whole: all of p is admitted.
func (c coverer) cover(p netip.Prefix, inherited bool, regions []region) (prefixes []netip.Prefix, whole bool, rest []region) {
	if len(regions) > 0 && regions[0].prefix == p {
		inherited, regions = c.admitted(regions[0].facts), regions[1:]
	}
	if len(regions) == 0 || !p.Contains(regions[0].prefix.Addr()) {
		if inherited {
			return []netip.Prefix{p}, true, regions
		}
		return nil, false, regions
	}
	low, high := halves(p)
	a, wholeA, regions := c.cover(low, inherited, regions)
	b, wholeB, regions := c.cover(high, inherited, regions)
	if wholeA && wholeB {
		return []netip.Prefix{p}, true, regions
	}
	return append(a, b...), false, regions
}

// halves cuts a prefix in two.
func halves(p netip.Prefix) (low, high netip.Prefix) {
	bits := p.Bits() + 1
	low = netip.PrefixFrom(p.Addr(), bits)
	raw := p.Addr().AsSlice()
	raw[p.Bits()/8] |= 0x80 >> (p.Bits() % 8)
	a, _ := netip.AddrFromSlice(raw)
	return low, netip.PrefixFrom(a, bits)
}
