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
		require.Equal(t, 3*time.Second+accessGather, time.Since(ended), "the log was slow")
	})
}

// The log's goroutine was woken for each line, which cost the loop more than the line. Now one wake-up serves all lines of 10 ms.
func TestLinesAreWrittenInBatches(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		var written []time.Duration
		core, lines := observer.New(zapcore.InfoLevel)
		a := newAccessLog(AccessAll, zap.New(zapcore.RegisterHooks(core, func(zapcore.Entry) error {
			written = append(written, time.Since(begun))
			return nil
		})))
		const ms = time.Millisecond
		for _, at := range []time.Duration{0, 3 * ms, 9 * ms, 100 * ms, 104 * ms} {
			time.Sleep(at - time.Since(begun))
			a.log(&relay.Summary{Flow: &relay.Flow{ID: uint64(at), Listener: &relay.Listener{Name: "in"}}}, nil, "up")
		}
		a.close()
		require.Equal(t, []time.Duration{10 * ms, 10 * ms, 10 * ms, 110 * ms, 110 * ms}, written)
		for i, at := range []time.Duration{0, 3 * ms, 9 * ms, 100 * ms, 104 * ms} {
			require.EqualValues(t, at, lines.All()[i].ContextMap()["id"], "in their order")
		}
	})
}

// A queue that is full when the log is closed is written; what found no room is counted.
func TestClosingTheLogLosesNothingThatWasTaken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zapcore.InfoLevel)
		a := newAccessLog(AccessAll, zap.New(core))
		for range accessQueue + 10 {
			a.log(&relay.Summary{Flow: &relay.Flow{Listener: &relay.Listener{Name: "in"}}}, nil, "up")
		}
		a.close()
		require.EqualValues(t, accessQueue+10, uint64(lines.Len())+a.dropped.Load())
		require.GreaterOrEqual(t, lines.Len(), accessQueue)
	})
}
