package proxy

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// Two forwarders, each the upstream of the other, went round for as long as they lived, from nothing but their checks: 39,000 lines
// of upstream_reset in 25 s, and none that named the cause.
func TestARingOfTwoIsNamedAndDamped(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		core, lines := observer.New(zap.WarnLevel)
		o := func(o *Options) {
			o.Log, o.Access, o.MaxConnections, o.Loops = zap.New(core), AccessOff, stormEnds+100, 1
			o.Upstreams[0].Check = Check{Type: CheckTCP, Interval: 200 * time.Millisecond, Timeout: time.Second, Rise: 1, Fall: 1}
		}
		a := start(t, engine, "127.0.0.1", 1, o)
		b := start(t, engine, "127.0.0.1", a.Addrs()[0].Port(), o)
		require.NoError(t, reloaded(a, func(o *Options) { o.Upstreams[0].Port = b.Addrs()[0].Port() }))
		const line = "the upstream seems to lead back"
		require.Eventually(t, func() bool { return lines.FilterMessageSnippet(line).Len() == 2 }, 30*time.Second, 10*time.Millisecond)
		require.Equal(t, true, lines.FilterMessageSnippet(line).All()[0].ContextMap()["client_is_upstream"])
		for _, s := range []*Server{a, b} {
			require.Contains(t, s.Status().Upstreams[0].Storm, "lead back")
			require.Contains(t, s.UpstreamNotes()[0], "lead back")
			require.Eventually(t, func() bool { return s.Stats().Relay.Active == 0 }, 30*time.Second, 10*time.Millisecond, "the storm has passed")
		}
		before := a.Stats().Accepted["in"] + b.Stats().Accepted["in"]
		time.Sleep(2 * time.Second) // ten checks on each side; the storm would be back with the first
		require.Less(t, a.Stats().Accepted["in"]+b.Stats().Accepted["in"]-before, uint64(80))
		require.Equal(t, 2, lines.FilterMessageSnippet(line).Len())
	})
}

// What is a sign of a storm: no byte either way, or no answer to a client that comes from where it went.
func TestSignsOfAStorm(t *testing.T) {
	addr := netip.MustParseAddrPort
	near := addr("10.0.0.2:443")
	for name, c := range map[string]struct {
		client, to string
		up, down   uint64
		attempts   int
		sign, back bool
	}{
		"no byte":                       {"10.0.0.9:1", "10.0.0.2:443", 0, 0, 1, true, false},
		"no answer":                     {"10.0.0.9:1", "10.0.0.2:443", 9, 0, 1, false, false},
		"no answer, from the upstream":  {"10.0.0.2:1", "10.0.0.2:443", 9, 0, 1, true, true},
		"an answer, from the upstream":  {"10.0.0.2:1", "10.0.0.2:443", 9, 1, 1, false, true},
		"no answer, on this machine":    {"127.0.0.1:1", "127.0.0.9:443", 9, 0, 1, true, true},
		"a health check without a dial": {"10.0.0.9:1", "10.0.0.2:443", 0, 0, 0, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			f := &relay.Flow{Client: addr(c.client), Attempts: c.attempts, Endpoint: &relay.Endpoint{Addr: addr(c.to)}}
			require.Equal(t, c.sign, isSign(&relay.Summary{Flow: f, Up: c.up, Down: c.down}))
			sign := stormSign{f.Client, f.Endpoint.Addr}
			require.Equal(t, c.back, sign.back())
			require.Contains(t, sign.String(), f.Client.Addr().String())
		})
	}

	sign, now := stormSign{addr("10.0.0.2:1"), near}, time.Now()
	var st storm
	require.Zero(t, st.await())
	require.Empty(t, st.remembered(now))
	for range stormEnds - 1 {
		require.False(t, st.note(sign, now))
	}
	require.False(t, st.note(sign, now.Add(stormWindow)), "they took too long")
	require.Zero(t, st.await())
	for range stormEnds - 2 {
		require.False(t, st.note(sign, now.Add(stormWindow)))
	}
	require.True(t, st.note(sign, now.Add(stormWindow)))
	require.Equal(t, awaitFirst, st.await())
	require.Contains(t, st.remembered(now), "the address of the upstream")
	over := now.Add(stormWindow + stormMemory)
	require.Empty(t, st.remembered(over))
	st.goesOn(addr("10.0.0.9:1").Addr(), over)
	require.Empty(t, st.remembered(over), "a check from elsewhere")
	st.last.Store(&stormSign{addr("10.0.0.9:1"), near})
	st.goesOn(near.Addr(), over)
	require.Empty(t, st.remembered(over), "the storm came from elsewhere")
	st.last.Store(&stormSign{addr("127.0.0.1:1"), addr("127.0.0.1:443")})
	st.goesOn(addr("127.0.0.1:1").Addr(), over)
	require.Empty(t, st.remembered(over), "on this machine anybody is")
	st.last.Store(&sign)
	st.goesOn(sign.client.Addr(), over)
	require.NotEmpty(t, st.remembered(over), "a check from there")
	st.forget()
	require.Empty(t, st.remembered(now))
	require.Zero(t, st.await())
}

// An upstream that is sent elsewhere begins anew.
func TestAStormEndsWithItsUpstreamsAddress(t *testing.T) {
	one := greeter(t, "127.0.0.1:0", "one")
	s := start(t, "portable", "127.0.0.1", 1, nil)
	st := &s.counters.upstream("up").storm
	for range stormEnds {
		st.note(stormSign{}, time.Now())
	}
	require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[0].Attempts = 2 }))
	require.NotEmpty(t, s.Status().Upstreams[0].Storm)
	require.NoError(t, reloaded(s, func(o *Options) { o.Upstreams[0].Port = one.Port() }))
	require.Empty(t, s.Status().Upstreams[0].Storm)
	c, name := greet(t, s)
	defer c.Close()
	require.Equal(t, "one\n", name)
}
