package upstream

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Each time of a standing is moved by what the clock was set by, and none where there is none.
func TestAStandingMovesWithTheClock(t *testing.T) {
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	ns := at.UnixNano()
	v := Saved{Failures: 1, Avoid: ns, SlowUntil: ns, Ejected: ns, Back: ns, Manual: ns, Down: "x", DownSince: at}
	hour := int64(time.Hour)
	require.Equal(t, Saved{
		Failures: 1, Avoid: ns - hour, SlowUntil: ns - hour, Ejected: ns - hour, Back: ns - hour, Manual: ns - hour, Down: "x", DownSince: at.Add(-time.Hour),
	}, v.Move(-time.Hour))
	none := Saved{Failures: 1, Manual: forGood}
	require.Equal(t, none, none.Move(time.Hour))
}

// A stamp follows the clock that nobody can set: the reading of the other one in a time is not looked at.
func TestAStampIsOfTheClockThatNobodySets(t *testing.T) {
	now := time.Now()
	require.EqualValues(t, 30*time.Second, stamp(now.Add(30*time.Second))-stamp(now))
	require.Equal(t, now.Add(time.Minute).UnixNano(), stampedAt(stamp(now.Add(time.Minute)), now).UnixNano())
	require.InDelta(t, now.UnixNano(), stamp(now), float64(time.Minute), "and looks like the time of the calendar")
	require.Zero(t, onCalendar(now))
}
