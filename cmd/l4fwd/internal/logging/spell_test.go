package logging

import (
	"io"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// inForce checks which level is in force, and for how long still; 0: without an end.
func inForce(t *testing.T, l *Log, want string, left time.Duration) {
	t.Helper()
	level, until := l.Level()
	require.Equal(t, want, level)
	if left == 0 {
		require.Zero(t, until)
		return
	}
	require.Equal(t, left, time.Until(until))
}

// A level that an operator sets for a while ends by itself. Another one, or a reload, ends it earlier, and its end does not come back.
func TestALevelForAWhile(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		l := New(Options{Level: "info", Out: io.Discard})
		defer l.Close(time.Second)
		inForce(t, l, "info", 0)

		l.SetLevelFor("debug", time.Minute, "info")
		inForce(t, l, "debug", time.Minute)
		time.Sleep(time.Minute - 1)
		synctest.Wait()
		inForce(t, l, "debug", 1)
		time.Sleep(time.Nanosecond)
		synctest.Wait()
		inForce(t, l, "info", 0)

		l.SetLevelFor("debug", time.Minute, "info")
		time.Sleep(30 * time.Second)
		l.SetLevelFor("error", time.Hour, "warn") // in its place
		time.Sleep(time.Minute)
		synctest.Wait()
		inForce(t, l, "error", 59*time.Minute)
		l.SetLevel("warn") // a reload
		inForce(t, l, "warn", 0)
		l.SetLevelFor("debug", 0, "info")
		time.Sleep(2 * time.Hour)
		synctest.Wait()
		inForce(t, l, "debug", 0)
	})
}

func TestATextThatNamesNoLevelIsIgnored(t *testing.T) {
	l := New(Options{Level: "info", Out: io.Discard})
	defer l.Close(time.Second)
	l.SetLevelFor("loud", time.Minute, "info")
	l.SetLevelFor("debug", time.Minute, "loud")
	inForce(t, l, "info", 0)
}
