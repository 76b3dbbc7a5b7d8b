package handoff

import (
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// What the clock was set by is told from the time that has passed, and from the little by which NTP moves it.
func TestTheStateTellsWhatTheClockWasSetBy(t *testing.T) {
	const passed = 40 * time.Second
	for _, set := range []time.Duration{time.Hour, -time.Hour, 30 * 365 * 24 * time.Hour, 2 * time.Second} {
		s := State{Wall: time.Now().Add(-passed - set).UnixNano(), Clock: Now() - int64(passed)}
		require.InDelta(t, set.Seconds(), s.Jump().Seconds(), 0.5)
	}
	for _, s := range []State{
		{},
		{Clock: Now()},
		{Wall: time.Now().UnixNano()},
		{Wall: time.Now().Add(-passed - 300*time.Millisecond).UnixNano(), Clock: Now() - int64(passed)},
	} {
		require.Zero(t, s.Jump())
	}
	s := State{Wall: math.MinInt64, Clock: math.MaxInt64}
	_ = s.Jump() // foreign figures: some duration, and no panic
	payload, _, err := packState(&State{})
	require.NoError(t, err)
	written, err := readState(payload, nil)
	require.NoError(t, err)
	require.InDelta(t, time.Now().UnixNano(), written.Wall, float64(time.Minute))
	require.InDelta(t, Now(), written.Clock, float64(time.Minute))
}
