package main

import (
	"errors"
	"os"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

func TestTheOrderOfADrain(t *testing.T) {
	lameDuck, timeout := 5*time.Second, 5*time.Minute
	cases := map[string]struct {
		idleAfter, signalAfter time.Duration // 0: never
		took                   time.Duration
		reason                 string
	}{
		"connections finish":          {idleAfter: time.Minute, took: time.Minute, reason: "operator"},
		"connections stay":            {took: lameDuck + timeout, reason: "drain_timeout"},
		"signal while waiting":        {signalAfter: 30 * time.Second, took: 30 * time.Second, reason: "operator"},
		"signal while a lame duck":    {signalAfter: 2 * time.Second, took: 2 * time.Second, reason: "operator"},
		"nothing open from the start": {idleAfter: time.Nanosecond, took: lameDuck, reason: "operator"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				d, fwd := newFakeDaemon(t)
				s := &signals{end: make(chan os.Signal, 2)}
				if c.idleAfter > 0 {
					time.AfterFunc(c.idleAfter, func() { close(fwd.idle) })
				}
				if c.signalAfter > 0 {
					time.AfterFunc(c.signalAfter, func() { s.end <- syscall.SIGTERM })
				}
				require.NoError(t, d.ready())
				begun := time.Now()
				require.NoError(t, d.drain("test", s))
				require.Equal(t, c.took, time.Since(begun))
				require.Equal(t, []string{"close warm", "stop accepting", "wait", "close " + c.reason}, fwd.calls)
				require.ErrorIs(t, d.drains.check(), errDraining)
				require.False(t, d.Drain("again"))
			})
		})
	}
}

// No load balancer has sent a client to a daemon that was never ready: there is nobody to wait for.
func TestADaemonThatWasNeverReadySkipsTheLameDuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fwd := newFakeDaemon(t)
		fwd.upstreams = errors.New("no address yet")
		close(fwd.idle)
		require.Error(t, d.ready())
		begun := time.Now()
		require.NoError(t, d.drain("test", &signals{end: make(chan os.Signal, 2)}))
		require.Zero(t, time.Since(begun))
		require.Equal(t, d.drains.state.Load().Begun, d.drains.state.Load().Until.Add(-5*time.Minute))
	})
}

// It was ready once, so clients may come for as long as the lame duck lasts.
func TestADaemonThatIsNoLongerReadyHasItsLameDuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, fwd := newFakeDaemon(t)
		require.NoError(t, d.ready())
		fwd.upstreams = errors.New("no address any more")
		close(fwd.idle)
		begun := time.Now()
		require.NoError(t, d.drain("test", &signals{end: make(chan os.Signal, 2)}))
		require.Equal(t, 5*time.Second, time.Since(begun))
	})
}
