package reload

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Who asks for a reload and waits gets the outcome of a reload that began after the request.
func TestReloadWaitsForItsOutcome(t *testing.T) {
	running(t, false, func(r *rig) {
		r.set(func() { r.out = Outcome{Changed: []string{"loops"}} })
		s, err := r.Reload(r.t.Context(), "a test")
		require.NoError(r.t, err)
		require.Empty(r.t, s.Faults)
		require.Equal(r.t, []string{"loops"}, s.Changed)
		require.True(r.t, s.Begun.IsZero(), "none is under way")

		r.set(func() { r.faults = []string{"line 3: is missing"} })
		s, err = r.Reload(r.t.Context(), "a test")
		require.NoError(r.t, err)
		require.Equal(r.t, []string{"line 3: is missing"}, s.Faults)
		require.True(r.t, s.Begun.IsZero())
		require.Equal(r.t, []string{"reloading", "ready", "reloading", "ready"}, r.sent)

		r.cancel()
		_, err = r.Reload(context.Background(), "a test")
		require.ErrorIs(r.t, err, ErrEnded)
	})
}

// A reload that waits for DNS used to be silent for 8 s.
func TestAReloadIsShownFromItsBeginning(t *testing.T) {
	running(t, false, func(r *rig) {
		r.set(func() { r.takes = 8 * time.Second })
		ctx, cancel := context.WithTimeout(r.t.Context(), time.Second)
		defer cancel()
		_, err := r.Reload(ctx, "a test")
		require.ErrorIs(r.t, err, context.DeadlineExceeded)
		require.Equal(r.t, time.Second, time.Since(r.State().Begun))
		require.Equal(r.t, 1, r.lines.FilterMessage("reload begun").Len())
		time.Sleep(8 * time.Second)
		require.True(r.t, r.State().Begun.IsZero(), "it has gone on")
	})
}
