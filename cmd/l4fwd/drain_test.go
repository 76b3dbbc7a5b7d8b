package main

import (
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
				begun := time.Now()
				require.NoError(t, d.drain("test", s))
				require.Equal(t, c.took, time.Since(begun))
				require.Equal(t, []string{"close warm", "stop accepting", "wait", "close " + c.reason}, fwd.calls)
				require.Error(t, d.notDraining())
				require.False(t, d.askDrain("again"))
			})
		})
	}
}
