package proxy

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// A line of the access log bore the time at which the log got round to it: behind a slow log, seconds after the
// connection's end.
func TestAnAccessLineBearsTheTimeOfTheEnd(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zapcore.InfoLevel)
		a := newAccessLog(AccessAll, zap.New(core))
		a.event(func() { time.Sleep(3 * time.Second) }) // a log that is slow
		ended := time.Now()
		a.log(&relay.Summary{Flow: &relay.Flow{Listener: &relay.Listener{Name: "in"}}, Reason: relay.ClientClosed}, nil, "up")
		a.close()
		require.Equal(t, 1, lines.Len())
		require.Equal(t, ended, lines.All()[0].Time)
		require.Equal(t, 3*time.Second, time.Since(ended), "the log was slow")
	})
}
