package upstream

import (
	"errors"
	"testing"
	"testing/synctest"
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

// An ejection with a time that passed to the next process ended there without a line, and without a slow start.
func TestATimedEjectionEndsInTheNextProcess(t *testing.T) {
	for name, gap := range map[string]time.Duration{"there": 0, "between the processes": time.Hour} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				one := addrs("127.0.0.1:1")
				old := NewSet(Options{})
				old.Update(one, nil)
				_, err := old.Eject(one[0], time.Minute)
				require.NoError(t, err)
				time.Sleep(30 * time.Second)
				saved := old.Save()
				old.Close()
				time.Sleep(gap)

				changes := make(chan Change, 9)
				next := NewSet(Options{Saved: saved, OnChange: func(c Change) { changes <- c }})
				next.Update(one, nil)
				if gap == 0 {
					time.Sleep(30*time.Second - time.Millisecond)
					synctest.Wait()
					require.Empty(t, changes)
					require.False(t, next.AnyUsable(time.Now()))
					time.Sleep(time.Millisecond)
				}
				synctest.Wait()
				require.Len(t, changes, 1)
				require.Equal(t, Change{Addr: one[0], State: StateUsable, Why: "its ejection by an operator is over"}, <-changes)
				a := next.Addresses()[0]
				require.True(t, a.Usable(time.Now()))
				require.EqualValues(t, whole/10, a.weight(stamp(time.Now()), time.Minute), "it starts slowly")

				third := NewSet(Options{Saved: next.Save(), OnChange: func(c Change) { changes <- c }})
				next.Close()
				third.Update(one, nil)
				synctest.Wait()
				require.Empty(t, changes, "it ends once")
				third.Close()
			})
		})
	}
}

// What was learned of addresses passes to the next process, each part of it.
func TestTheStandingPassesToTheNextProcess(t *testing.T) {
	options := Options{
		Outlier: Outlier{Failures: 2, Ejection: time.Hour, MaxEjectedPercent: 100},
		Check:   Check{Probe: (&patient{}).probe, Interval: time.Hour, Rise: 1, Fall: 1},
	}
	old := NewSet(options)
	defer old.Close()
	all := addrs("127.0.0.1:1", "127.0.0.2:1", "127.0.0.3:1", "127.0.0.4:1")
	old.Update(all, nil)
	now, a := time.Now(), old.Addresses()
	old.Failed(a[0], now)
	old.Failed(a[0], now)
	old.verdict(a[1], &streak{}, errors.New("broken"))
	old.Outpaced(a[2], now)
	old.verdict(a[3], &streak{}, errors.New("broken"))
	old.verdict(a[3], &streak{}, nil)
	saved := old.Save()
	require.Equal(t, StateEjected, old.Standings(now)[0].State)
	require.Equal(t, Saved{
		Addr: all[0], Failures: 2, Avoid: stamp(now.Add(2 * time.Second)), Ejected: stamp(now.Add(time.Hour)), Ejections: 1,
	}, saved[0])
	require.Equal(t, "check failed: broken", saved[1].Down)
	require.NotZero(t, saved[1].DownSince)
	require.EqualValues(t, 1, saved[2].Slow)
	require.NotZero(t, saved[2].SlowUntil)
	require.True(t, saved[3].Checked)
	require.NotZero(t, saved[3].Back)

	options.Saved = saved
	next := NewSet(options)
	defer next.Close()
	next.Update(all, nil)
	require.Equal(t, saved, next.Save())

	// What nothing in the next process could end is not taken: without checks, and without ejections by attempts.
	free := NewSet(Options{Saved: saved})
	defer free.Close()
	free.Update(all, nil)
	for _, st := range free.Standings(now) {
		require.True(t, st.Address.Usable(now), st)
		require.Zero(t, st.Address.ejections.Load())
	}
}
