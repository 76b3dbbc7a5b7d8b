package proxy

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// counted returns a server without a relay of its own, with every counter set that can be.
func counted(t *testing.T, loops int) *Server {
	t.Helper()
	up := greeter(t, "127.0.0.1:0", "one")
	return start(t, engines()[0], "127.0.0.1", up.Port(), func(o *Options) {
		o.Loops = loops
		o.Upstreams[0].Warm = Warm{Connections: 1, MaxIdle: time.Hour}
	})
}

// Each counter goes on from its value, whatever the number of loops. A version, a reason or a bound of another build is no reason to
// stop, but for the version of the whole.
func TestCountersPassToAnotherProcess(t *testing.T) {
	old := counted(t, 3)
	l, u := old.counters.listener("in"), old.counters.upstream("up")
	l.cells[2].accepted.Add(7)
	l.cells[1].refused[relay.SourceDenied].Add(3)
	l.routed.Store(true)
	l.unrouted.cells[0].ended[relay.Probe].Add(2)
	u.dialErrors[relay.ConnectRefused].Add(4)
	u.outpaced.Add(5)
	u.duration.observe(2, 48*time.Hour)
	u.firstByte.observe(0, 3*time.Millisecond)
	u.warm[1].used[warmStale].Add(6)
	u.warm[0].rests.Add(1)
	u.from("in").cells[1].ended[relay.ClientClosed].Add(9)
	u.from("in").bytes.Add(relay.Bytes{Up: 1, Down: 2, SplicedUp: 3, SplicedDown: 4})
	old.counters.upstream("gone").from("in").cells[1].ended[relay.IdleTimeout].Add(1)
	old.counters.addGone(Forgotten{Accepted: 11, Bytes: relay.Bytes{Up: 12}})
	old.policy.access.dropped.Add(13)
	old.lookups.add("a.example", "success", 14)
	saved, err := old.SaveCounters()
	require.NoError(t, err)

	next := counted(t, 1)
	require.NoError(t, next.TakeCounters(saved))
	was, is := old.Stats(), next.Stats()
	was.Connect, is.Connect = nil, nil // both have made connections of their own
	was.Active, is.Active = nil, nil
	was.Warm, is.Warm, was.Relay, is.Relay, was.Addresses, is.Addresses = nil, nil, relay.Stats{}, relay.Stats{}, nil, nil
	require.Equal(t, was, is)

	require.NoError(t, next.TakeCounters(nil))
	require.ErrorContains(t, next.TakeCounters(json.RawMessage(`{"version": 99}`)), "version 99")
	require.ErrorContains(t, next.TakeCounters(json.RawMessage(`[]`)), "read the counters")
	require.NoError(t, next.TakeCounters(json.RawMessage(
		`{"version": 1, "upstreams": [{"name": "up", "dials": {"of_a_later_version": 3}, "connect": {"counts": {"1": 1, "777777777777777": 1}}}]}`)))
}

// A state that a version wrote is read for ever.
func TestCountersOfEachVersionAreRead(t *testing.T) {
	files, err := filepath.Glob("testdata/counters_v*.json")
	require.NoError(t, err)
	require.Len(t, files, countersVersion, "one of each version")
	for _, f := range files {
		b, err := os.ReadFile(f)
		require.NoError(t, err)
		s := counted(t, 2)
		require.NoError(t, s.TakeCounters(b), f)
		st := s.Stats()
		require.EqualValues(t, 7, st.Accepted["in"])
		require.EqualValues(t, 3, st.Refused[[2]string{"in", "source_denied"}])
		require.EqualValues(t, 9, st.Ended[[3]string{"in", "up", "client_closed"}])
		require.Equal(t, relay.Bytes{Up: 1, Down: 2, SplicedUp: 3, SplicedDown: 4}, st.Bytes[[2]string{"in", "up"}])
		require.EqualValues(t, 4, st.Dials[[2]string{"up", "connect_refused"}])
		require.EqualValues(t, 6, st.WarmUsed[[2]string{"up", "stale"}])
		require.EqualValues(t, 1, st.Duration["up"].Count)
		require.EqualValues(t, 14, st.Lookups[[2]string{"a.example", "success"}])
		require.EqualValues(t, 11, st.Forgotten.Accepted)
		require.EqualValues(t, 13, st.AccessDropped)
	}
}
