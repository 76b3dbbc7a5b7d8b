package eip

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A claim that is not confirmed is as old on a clock that was set as it was before.
func TestWhatIsSavedMovesWithTheClock(t *testing.T) {
	at := time.Date(2026, 11, 28, 9, 0, 0, 0, time.UTC)
	s := Saved{Status: Status{Verified: at}, Unconfirmed: SavedUnconfirmed{"eipalloc-0a", at}}
	s.Move(-time.Hour)
	require.Equal(t, Saved{Status: Status{Verified: at.Add(-time.Hour)}, Unconfirmed: SavedUnconfirmed{"eipalloc-0a", at.Add(-time.Hour)}}, s)
	s = Saved{}
	s.Move(time.Hour)
	require.Equal(t, Saved{}, s, "none stays none")
}
