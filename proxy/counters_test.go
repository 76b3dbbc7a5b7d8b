package proxy

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// Counters go by name: whoever asks for a name gets the ones that were made first, and each listener has its own place.
func TestCountersGoByName(t *testing.T) {
	c := newCounters(2)
	in, other := c.listener("in"), c.listener("other")
	require.Same(t, in, c.listener("in"))
	require.NotEqual(t, in.index, other.index)
	require.Equal(t, []*listenerCounters{in, other}, c.allListeners())
	up := c.upstream("up")
	require.Same(t, up, c.upstream("up"))
	require.Len(t, c.allUpstreams(), 1)
	tr := up.from("in")
	require.Same(t, tr, up.from("in"))
	require.NotSame(t, tr, up.from("other"))
	require.Equal(t, "up", tr.upstream)
	require.Equal(t, "in", tr.listener)
	require.Len(t, up.allTraffic(), 2)
}

// What loops counted apart is added up.
func TestCellsAreAddedUp(t *testing.T) {
	c := newCounters(3)
	in, tr := c.listener("in"), c.upstream("up").from("in")
	for loop := range 3 {
		in.cells[loop].accepted.Add(10)
		in.cells[loop].refused[relay.LimitRate].Add(uint64(loop))
		in.cells[loop].refused[relay.HelloBad].Add(1)
		tr.cells[loop].active.Add(int64(loop))
		tr.cells[loop].ended[relay.ClientClosed].Add(2)
	}
	require.EqualValues(t, 30, in.accepted())
	require.EqualValues(t, 3, in.refused(relay.LimitRate))
	require.EqualValues(t, 3, tr.active())
	require.EqualValues(t, 6, tr.ended(relay.ClientClosed))
	require.Zero(t, tr.ended(relay.UpstreamClosed))
	all, by := in.refusals()
	require.EqualValues(t, 6, all)
	require.Equal(t, map[string]uint64{"limit_rate": 3, "hello_bad": 3}, by)
	all, by = c.listener("idle").refusals()
	require.Zero(t, all)
	require.Nil(t, by)
}

// A reload that fails has made no counters, and one that succeeds keeps what it made.
func TestMarkForgetsWhatCameAfterIt(t *testing.T) {
	c := newCounters(1)
	in := c.listener("in")
	tr := c.upstream("up").from("in")
	forget := c.mark()
	c.listener("new").routed.Store(true)
	in.routed.Store(true)
	c.upstream("new").from("in")
	c.upstream("up").from("new")
	forget()
	require.Equal(t, []*listenerCounters{in}, c.allListeners())
	require.False(t, in.routed.Load())
	require.Len(t, c.allUpstreams(), 1)
	require.Equal(t, []*traffic{tr}, c.upstream("up").allTraffic())
	require.Equal(t, 1, c.listener("again").index, "the place is free again")
}

// A connection is active in one place at a time, and in none after its end.
func TestASessionMovesBetweenCounters(t *testing.T) {
	c := newCounters(2)
	r := &rule{counters: c.listener("in")}
	f := &relay.Flow{Loop: 1, Client: netip.MustParseAddrPort("192.0.2.1:1")}
	s := newSession(f, r)
	require.Same(t, s, sessionOf(f))
	one, two := c.upstream("one").from("in"), c.upstream("two").from("in")
	s.move(1, one)
	s.move(1, one)
	require.EqualValues(t, 1, one.active(), "once")
	s.move(1, two)
	require.Zero(t, one.active())
	require.EqualValues(t, 1, two.active())
	s.move(1, nil)
	s.move(1, nil)
	require.Zero(t, two.active())

	require.Equal(t, f.Client, s.source(f), "without a header")
	s.parser.Result.Source = trueClient
	require.Equal(t, trueClient, s.source(f))
	s.detail = "something"
	s.addTried(nil)
	s.end()
	require.Nil(t, sessionOf(&relay.Flow{Tag: r}), "a rule is no session")
	next := newSession(&relay.Flow{}, r)
	require.Empty(t, next.detail, "what a session knew goes to nobody else")
	require.Empty(t, next.tried)
	require.False(t, next.parser.Result.Source.IsValid())
	next.end()
}

// Refused clients count apart from connections that ended, and one that the relay refused was accepted all the same.
func TestWhereAnEndCounts(t *testing.T) {
	for name, c := range map[string]struct {
		reason                   relay.Reason
		attempts                 int
		refused, ended, accepted uint64
	}{
		"refused by its first bytes":    {relay.HelloBad, 0, 1, 0, 0},
		"refused before it was asked":   {relay.LimitConnections, 0, 1, 0, 1},
		"no descriptor for the attempt": {relay.LimitConnections, 1, 0, 1, 0},
		"a health check":                {relay.Probe, 0, 0, 1, 0},
		"no upstream address":           {relay.NoAddress, 0, 0, 1, 0},
		"an end as any other":           {relay.ClientClosed, 1, 0, 1, 0},
	} {
		t.Run(name, func(t *testing.T) {
			all := newCounters(1)
			r := &rule{counters: all.listener("in")}
			tr := all.upstream("up").from("in")
			r.ended(&relay.Summary{Flow: &relay.Flow{Attempts: c.attempts}, Reason: c.reason}, tr)
			require.Equal(t, c.refused, r.counters.refused(c.reason))
			require.Equal(t, c.ended, tr.ended(c.reason))
			require.Equal(t, c.accepted, r.counters.accepted())
		})
	}
}
