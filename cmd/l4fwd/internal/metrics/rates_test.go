package metrics

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

func TestRatesCoverTheLastSecondsWhoeverAsks(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		start := time.Now()
		// 100 bytes up and half a second of work a second, in the first 20 s only; 3 connections a second throughout.
		stats := func() proxy.Stats {
			s := time.Since(start).Seconds()
			busy := min(s, 20)
			st := proxy.Stats{
				Relay:    relay.Stats{Busy: []float64{busy / 2}},
				Bytes:    map[[2]string]relay.Bytes{{"l", "u"}: {Up: uint64(100 * busy), Down: uint64(200 * busy)}},
				Accepted: map[string]uint64{"l": uint64(3 * s)},
			}
			if s > 10 { // a listener of before is forgotten: its part goes from one sum into the other
				st.Accepted["l"] -= 30
				st.Bytes[[2]string{"l", "u"}] = relay.Bytes{Up: uint64(100*busy) - 1000, Down: uint64(200*busy) - 2000}
				st.Forgotten = proxy.Forgotten{Accepted: 30, Bytes: relay.Bytes{Up: 1000, Down: 2000}}
			}
			return st
		}
		r := NewSampler(stats)
		ctx, cancel := context.WithCancel(context.Background())
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx) }()

		require.Equal(t, 1.0, r.Rates(stats()).Seconds, "no window of nothing")
		time.Sleep(18 * time.Second)
		for range 3 { // asking changes nothing
			got := r.Rates(stats())
			require.InDelta(t, 14, got.Seconds, 0.1) // since the sample at 4 s
			require.InDelta(t, 100, got.BytesUp, 1)
			require.InDelta(t, 200, got.BytesDown, 1)
			require.InDelta(t, 3, got.Connections, 0.1)
			require.InDelta(t, 0.5, got.Busy[0], 0.01)
		}
		time.Sleep(20 * time.Second)
		got := r.Rates(stats())
		require.Zero(t, got.BytesUp)
		require.Zero(t, got.Busy[0])
		require.InDelta(t, 3, got.Connections, 0.1)
		cancel()
		<-done
	})
}

// Clients that a limit refused count by its reason, before and after their upstream was chosen; other reasons do not.
func TestRatesCountWhatLimitsRefuse(t *testing.T) {
	st := func(n uint64) proxy.Stats {
		return proxy.Stats{
			Refused: map[[2]string]uint64{{"a", "limit_rate"}: n, {"b", "limit_rate"}: 2 * n, {"a", "source_denied"}: n},
			Ended:   map[[3]string]uint64{{"a", "u", "limit_memory"}: 5 * n, {"a", "u", "client_closed"}: n},
		}
	}
	r := NewSampler(func() proxy.Stats { return st(1) })
	require.Equal(t, map[string]uint64{"limit_rate": 6, "limit_memory": 10}, r.Rates(st(3)).Limited)
	require.Empty(t, r.Rates(st(1)).Limited)
}
