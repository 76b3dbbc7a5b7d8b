package lifecycle

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A heartbeat is due as soon after the clock was set as it was before. When Spot takes the instance away is not ours to move.
func TestHeartbeatsMoveWithTheClock(t *testing.T) {
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	s := &Saved{Order: Order{By: at}, Hooks: []SavedHook{{Name: "a", NextBeat: at}, {Name: "b"}}}
	s.Move(-time.Hour)
	require.Equal(t, &Saved{Order: Order{By: at}, Hooks: []SavedHook{{Name: "a", NextBeat: at.Add(-time.Hour)}, {Name: "b"}}}, s)
	var none *Saved
	none.Move(time.Hour)

	require.True(t, onClock(time.Time{}).IsZero())
	beat := time.Now().Add(time.Minute)
	require.WithinDuration(t, beat, onClock(beat), 0)
}
