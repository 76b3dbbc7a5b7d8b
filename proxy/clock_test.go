package proxy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/testclock"
)

// A clock that was set back by an hour muted each line that is logged at most once in 10 s for that hour, and kept a storm in mind for as
// long; one that was set forth repeated the lines and ended the storm.
func TestASetClockNeitherMutesLinesNorKeepsAStorm(t *testing.T) {
	now := time.Now()
	for name, by := range map[string]time.Duration{"back": -time.Hour, "forth": time.Hour} {
		t.Run(name, func(t *testing.T) {
			var line throttle
			line.logged(now)
			require.False(t, line.due(testclock.Set(now.Add(throttleGap-1), by)))
			require.True(t, line.due(testclock.Set(now.Add(throttleGap), by)))

			var st storm
			for range stormEnds - 1 {
				require.False(t, st.note(stormSign{}, now))
			}
			set := testclock.Set(now.Add(stormWindow-1), by)
			require.True(t, st.note(stormSign{}, set), "all came within one window")
			require.NotEmpty(t, st.remembered(testclock.Set(now.Add(stormMemory), by)))
			require.Equal(t, awaitFirst, st.await())
			require.Empty(t, st.remembered(testclock.Set(now.Add(stormWindow+stormMemory), by)))

			var fresh storm
			require.False(t, fresh.note(stormSign{}, now))
			for range stormEnds - 1 {
				require.False(t, fresh.note(stormSign{}, testclock.Set(now.Add(stormWindow), by)), "the first was of a window before")
			}
		})
	}
}
