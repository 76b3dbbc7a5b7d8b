package health

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/testclock"
)

// After the clock was set back by an hour nobody lost its place for that hour, however long it read nothing; after it was set forth
// everybody did at once.
func TestASetClockTakesAndKeepsNoPlace(t *testing.T) {
	for name, by := range map[string]time.Duration{"back": -time.Hour, "forth": time.Hour} {
		t.Run(name, func(t *testing.T) {
			line, checks := lined(1), &places{most: 1, share: 1}
			c := caller(line, "127.0.0.1")
			c.words = firstWords
			c.become(answering)
			now := time.Now()
			after := func(d time.Duration) time.Time { return testclock.Set(now.Add(d), by) }
			require.True(t, checks.spares(c, answering, after(slowReader), false))
			require.False(t, checks.spares(c, answering, after(0), false))
			require.True(t, line.spares(c, answering, after(stuckLine), true))
			require.False(t, line.spares(c, answering, after(0), true))
			require.True(t, line.spares(c, silent, after(firstWords), false))
			require.False(t, line.spares(c, silent, after(0), false))

			c.write.Store(stamp(now))
			line.moved = now.Add(-time.Hour)
			require.True(t, line.spares(c, answering, after(slowReader), false))
			require.False(t, line.spares(c, answering, after(0), false))
		})
	}
}
