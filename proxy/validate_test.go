package proxy

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An entry has no effect if earlier routes take every name that it matches.
func TestUnreachedEntries(t *testing.T) {
	route := func(sni ...string) Route { return Route{SNI: sni, Upstream: "up"} }
	for name, c := range map[string]struct {
		routes []Route
		lost   [][]string
	}{
		"apart":                 {[]Route{route("a.test"), route("b.test")}, [][]string{nil, nil}},
		"the same name again":   {[]Route{route("a.test"), route("b.test", "A.test.")}, [][]string{nil, {"A.test."}}},
		"a name of a wildcard":  {[]Route{route("*.test"), route("a.test", "b.a.test")}, [][]string{nil, {"a.test"}}},
		"a wildcard of a name":  {[]Route{route("a.test"), route("*.test")}, [][]string{nil, nil}},
		"the same wildcard":     {[]Route{route("*.test", "x.test"), route("*.test")}, [][]string{nil, {"*.test"}}},
		"twice in one is fine":  {[]Route{route("a.test", "a.test")}, [][]string{nil}},
		"nothing to lose":       {nil, [][]string{}},
		"a wildcard goes first": {[]Route{route("*.a.test"), route("*.test", "b.a.test")}, [][]string{nil, {"b.a.test"}}},
	} {
		lost, err := Unreached(c.routes)
		require.NoError(t, err, name)
		require.Equal(t, c.lost, lost, name)
	}
	_, err := Unreached([]Route{route("https://a.test")})
	require.ErrorContains(t, err, "is a URL")
}

// The checks of single entries are those of the parts that use them.
func TestEntriesAreChecked(t *testing.T) {
	require.Empty(t, CheckPattern("*.openai.azure.com"))
	require.Equal(t, "names nothing: a listener that lets every name through has no routes", CheckPattern("*"))
	p, err := ParseSource("10.0.0.7")
	require.NoError(t, err)
	require.Equal(t, "10.0.0.7/32", p.String())
	_, err = ParseSource("10.0.0.7/8")
	require.ErrorContains(t, err, "the network is 10.0.0.0/8")
	require.NoError(t, CheckEndpoint(endpointID))
	require.Error(t, CheckEndpoint("vpce-svc-0123456789abcdef0"))
}

// A PROXY header that a listener does not read tells no endpoint, and routes must name upstreams that there are.
func TestRulesThatCannotWork(t *testing.T) {
	s := &Server{counters: newCounters(1)}
	up := &target{opts: Upstream{Name: "up"}, counters: s.counters.upstream("up")}
	known := map[string]*target{"up": up}
	for want, ln := range map[string]Listener{
		"VPC endpoints can be judged only where PROXY headers are accepted": {Upstream: "up", AllowVPCE: []string{endpointID}},
		`there is no upstream "other"`:                                      {Routes: []Route{{SNI: []string{"a.test"}, Upstream: "up"}, {SNI: []string{"b.test"}, Upstream: "other"}}},
		"is no VPC endpoint id":                                             {Upstream: "up", AllowVPCE: []string{"x"}, AcceptProxy: ProxyRequired},
		"is a URL":                                                          {Routes: []Route{{SNI: []string{"https://a.test"}, Upstream: "up"}}},
	} {
		_, err := s.compileRule(Options{}, ln, known)
		require.ErrorContains(t, err, want)
	}
	r, err := s.compileRule(Options{}, Listener{Name: "in", Upstream: "up"}, known)
	require.NoError(t, err)
	require.False(t, r.tracked(), "nothing is kept of a connection")
	require.Same(t, up, r.route("any.test"))
	require.Same(t, r.byRoute[0], r.traffic(up))
	r, err = s.compileRule(Options{PerSource: 1}, Listener{Name: "in", Upstream: "up"}, known)
	require.NoError(t, err)
	require.True(t, r.tracked())
	r, err = s.compileRule(Options{}, Listener{Name: "in", Routes: []Route{{SNI: []string{"a.test"}, Upstream: "up"}}}, known)
	require.NoError(t, err)
	require.Nil(t, r.route("b.test"))
	require.Same(t, s.counters.listener("in").unrouted, r.traffic(&target{}))
}

// The public address counts as another one each time it changes, and with each it must hold anew.
func TestEgressHoldsAnew(t *testing.T) {
	var e egress
	require.False(t, e.set(e.addr), "not known at first, and still not")
	require.Zero(t, e.current())
	require.False(t, e.held(false))
	require.True(t, e.held(true))
	require.True(t, e.held(false))
	require.True(t, e.set(here))
	require.Equal(t, 1, e.current())
	require.False(t, e.held(false))
	require.False(t, e.set(here))
	require.True(t, e.set(here.Next()))
	require.True(t, e.set(here), "back again is another, too")
	require.Equal(t, 3, e.current())
}
