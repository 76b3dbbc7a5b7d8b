package main

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
)

func TestConnectionsFollowFromTheFiles(t *testing.T) {
	for files, want := range map[uint64]int{0: 1, 1: 1, 24: 1, 64: 6, 256: 38, 1024: 262, 20000: 9750, 1 << 30: 1 << 20, 1 << 63: 1 << 20} {
		require.Equal(t, want, budgetOf(files, 2, 1).connections(0), files)
	}
	require.Equal(t, 9700, budgetOf(20000, 2, 1).connections(100))
	require.Equal(t, 1, budgetOf(20000, 2, 1).connections(1<<30))
}

// filesReserved was a constant: with 64 loops and four listeners the limit of connections promised what ended in EMFILE.
func TestWhatIsPromisedIsThere(t *testing.T) {
	for _, loops := range []int{1, 2, 8, 24, 64, 512, 1024} {
		for _, listeners := range []int{1, 4, 50} {
			for _, files := range []uint64{64, 256, 1024, 4096, 65536} {
				b := budgetOf(files, loops, listeners)
				n := b.connections(0)
				if n == 1 {
					continue // the least; the log says what is missing
				}
				pipes := min(b.pipes, 2*filesPerPipe*n)
				require.LessOrEqual(t, b.always+filesHealth+filesPerConnection*n+pipes, int(files), "%d loops, %d listeners, %d files: %d connections", loops, listeners, files, n)
				if n > 1 && !b.scarce() {
					require.GreaterOrEqual(t, int(files), b.always+pipes+filesPerConnection*n)
				}
			}
		}
	}
}

func TestAConfiguredLimitIsKeptOrLowered(t *testing.T) {
	core, lines := observer.New(zap.InfoLevel)
	log := zap.New(core)
	b := budgetOf(1024, 2, 1)
	allowed := b.connections(0)
	require.Equal(t, allowed, b.fit(0, 0, log))
	require.Equal(t, 1, lines.FilterMessageSnippet("follows from").Len())
	require.Equal(t, 1, b.fit(1, 0, log))
	require.Equal(t, allowed, b.fit(allowed, 0, log))
	require.Equal(t, 1, lines.Len(), "a limit that fits is no news")
	require.Equal(t, allowed, b.fit(allowed+1, 0, log))
	lowered := lines.FilterMessageSnippet("is lowered").All()
	require.Len(t, lowered, 1)
	need := lowered[0].ContextMap()["files_needed"].(int64)
	require.Equal(t, allowed+1, budgetOf(uint64(need), 2, 1).connections(0), "so many files suffice")
	require.Equal(t, 77, fileBudget{}.fit(77, 0, log), "an unknown limit lowers nothing")
}

func warm(connections ...int) (all []config.Upstream) {
	for _, n := range connections {
		all = append(all, config.Upstream{Warm: config.Warm{Connections: n}})
	}
	return all
}

// Pools that took every descriptor left none for clients, nor for the health port.
func TestWarmConnectionsLeaveFiles(t *testing.T) {
	require.Equal(t, 34, warmFiles(&config.Config{Loops: 2, Upstreams: warm(32, 0, 1)}))
	b := budgetOf(1024, 2, 1)
	allowed := b.connections(0)
	given := warm(3*allowed, 0, allowed, 1)
	cfg := config.Config{Loops: 2, Upstreams: given}
	b.fitWarm(&cfg, zap.NewNop())
	require.LessOrEqual(t, warmFiles(&cfg), allowed)
	require.InDelta(t, 3*allowed/4, cfg.Upstreams[0].Warm.Connections, 2)
	require.InDelta(t, allowed/4, cfg.Upstreams[2].Warm.Connections, 2)
	require.Zero(t, cfg.Upstreams[3].Warm.Connections, "its share is less than one a loop")
	require.Equal(t, 1, given[3].Warm.Connections, "the list that was loaded is left alone")

	enough := config.Config{Loops: 2, Upstreams: warm(allowed)}
	b.fitWarm(&enough, zap.NewNop())
	require.Equal(t, allowed, enough.Upstreams[0].Warm.Connections)
}

func TestAShortageIsLoggedNowAndThen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zap.InfoLevel)
		var s shortage
		look := func(pauses uint64) { s.look(pauses, func() int { return 24 }, zap.New(core)) }
		look(0)
		require.Zero(t, lines.Len())
		look(3)
		require.Equal(t, map[string]any{"pauses": uint64(3), "files_open": int64(24), "do": "raise LimitNOFILE in the unit, or ulimit -Hn, or lower limits.max_connections"},
			lines.All()[0].ContextMap())
		look(4)
		require.Equal(t, 1, lines.Len(), "it was logged a moment ago")
		time.Sleep(shortageEvery)
		look(4)
		require.Equal(t, 1, lines.Len(), "it is over")
		look(5)
		require.Equal(t, 2, lines.Len())
	})
}
