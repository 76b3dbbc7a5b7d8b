package proxy

import (
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// A limit that refused clients left no line in the log while log.access was off.
func TestALimitThatRefusesIsLoggedWithItsKeyOnceInAWhile(t *testing.T) {
	core, lines := observer.New(zap.WarnLevel)
	s := start(t, engines()[0], "127.0.0.1", greeter(t, "127.0.0.1:0", "up").Port(), func(o *Options) {
		o.Log = zap.New(core)
		o.Upstreams[0].MaxConnections = 1
	})
	greet(t, s)
	for range 5 {
		_, _, err := greeting(s)
		require.Error(t, err)
	}
	said := func() []observer.LoggedEntry { return lines.FilterMessage("a limit refuses clients").All() }
	require.Eventually(t, func() bool { return len(said()) > 0 }, 5*time.Second, 5*time.Millisecond)
	require.Eventually(t, func() bool { return s.Stats().Refused[[2]string{"in", "limit_upstream"}] == 5 }, 5*time.Second, 5*time.Millisecond)
	assert.Len(t, said(), 1)
	line := said()[0].ContextMap()
	assert.Equal(t, "limit_upstream", line["reason"])
	assert.Equal(t, "upstreams[].max_connections", line["key"])
	assert.Equal(t, "in", line["listener"])
}
