package upstream

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// An address that an operator has ejected stays out in the next process, also one that is not in the DNS answer at that moment.
func TestManualEjectionsPassToTheNextProcess(t *testing.T) {
	old := NewSet(Options{})
	defer old.Close()
	all := addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1")
	old.Update(all, nil)
	_, err := old.Eject(all[0], 0)
	require.NoError(t, err)
	_, err = old.Eject(all[1], time.Hour)
	require.NoError(t, err)
	old.Update(all[1:], nil)

	next := NewSet(Options{Saved: old.Save()})
	defer next.Close()
	next.Update(all, nil)
	var states []State
	for _, s := range next.Standings(time.Now()) {
		states = append(states, s.State)
	}
	require.Equal(t, []State{StateManual, StateManual, StateUsable}, states)
	require.NoError(t, next.Restore(all[0]))
	require.NoError(t, next.Restore(all[1]))
}
