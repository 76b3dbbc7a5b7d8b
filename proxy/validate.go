package proxy

import (
	"net/netip"

	"github.com/l4fwd/l4fwd/proxy/limit"
	"github.com/l4fwd/l4fwd/proxy/preface"
)

// What is needed to check a configuration before it is used.

// MaxAcceptRate is the highest Options.AcceptRate.
const MaxAcceptRate = limit.MaxRate

// CheckPattern says what is wrong with an entry of Route.SNI, in words that follow the entry; "": nothing.
func CheckPattern(pattern string) (fault string) { return preface.CheckPattern(pattern) }

// ParseSource reads an entry of Listener.AllowSources: a CIDR without host bits, or one address.
func ParseSource(s string) (netip.Prefix, error) { return preface.ParseSource(s) }

// CheckEndpoint reports an error if s is no id of a VPC endpoint.
func CheckEndpoint(s string) error { return preface.CheckEndpoint(s) }

// Unreached returns the entries that have no effect, by route, since earlier routes take every name that they match. The
// entries must pass CheckPattern.
func Unreached(routes []Route) ([][]string, error) {
	var names [][]string
	for _, r := range routes {
		names = append(names, r.SNI)
	}
	m, err := preface.NewMatcher(names)
	if err != nil {
		return nil, err
	}
	lost := make([][]string, len(routes))
	for i, r := range routes {
		for _, pattern := range r.SNI {
			if !m.Reaches(pattern, i) {
				lost[i] = append(lost[i], pattern)
			}
		}
	}
	return lost, nil
}
