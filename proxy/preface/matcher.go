package preface

import (
	"fmt"
	"strings"
)

// Matcher finds the route of a host name. It is immutable and safe for concurrent use. A match takes two accesses of a map,
// however many routes there are.
//
// A wildcard stands for exactly one label, as in a certificate: *.example.com matches a.example.com, neither
// example.com nor a.b.example.com. (In Envoy and nginx it stands for any number. Routes are an allow-list, so the narrower
// reading is the safe one, and the host of a deeper name could not present the wildcard's certificate.)
type Matcher struct {
	exact, wildcard map[string]int // name, or name behind "*.", to the first route that has it
}

// NewMatcher compiles the names of the routes, in order. The error is about the first faulty pattern; see CheckPattern.
func NewMatcher(routes [][]string) (*Matcher, error) {
	m := &Matcher{exact: map[string]int{}, wildcard: map[string]int{}}
	for route, patterns := range routes {
		for _, p := range patterns {
			if fault := CheckPattern(p); fault != "" {
				return nil, fmt.Errorf("route %d: %q %s", route+1, p, fault)
			}
			names, host := m.place(p)
			if _, taken := names[host]; !taken {
				names[host] = route
			}
		}
	}
	return m, nil
}

// place returns where a valid pattern is kept and under which name.
func (m *Matcher) place(pattern string) (names map[string]int, host string) {
	names = m.exact
	name, wildcard := strings.CutPrefix(pattern, "*.")
	if wildcard {
		names = m.wildcard
	}
	host, _ = normalize(name)
	return names, host
}

// Match returns the index of the first route that has the name, as Result.SNI spells it. ok is false where none does.
func (m *Matcher) Match(sni string) (route int, ok bool) {
	route, ok = m.exact[sni]
	if _, behind, found := strings.Cut(sni, "."); found {
		if w, is := m.wildcard[behind]; is && (!ok || w < route) {
			return w, true
		}
	}
	return route, ok
}

// Reaches reports whether any name that the pattern matches gets to the route. If none does, earlier routes take them all, and
// the entry has no effect. The pattern must be valid.
func (m *Matcher) Reaches(pattern string, route int) bool {
	names, host := m.place(pattern)
	if first := names[host]; first < route {
		return false
	}
	if strings.HasPrefix(pattern, "*.") {
		return true
	}
	first, _ := m.Match(host)
	return first >= route
}
