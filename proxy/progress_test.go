package proxy

import (
	"context"
	"io"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// log.starts and log.progress: who looks at a connection that lasts for hours wants to know of it before it ends.
func TestALineWhenAConnectionBeginsAndWhileItLasts(t *testing.T) {
	for _, engine := range []string{"portable", "epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			core, lines := observer.New(zap.InfoLevel)
			of := func(msg string) []observer.LoggedEntry { return lines.FilterMessage(msg).All() }
			one := greeter(t, "127.0.0.1:0", "one")
			s := start(t, engine, "127.0.0.1", one.Port(), func(o *Options) { o.AccessLogger, o.Access = zap.New(core), AccessOff })
			c, name := greet(t, s)
			require.Equal(t, "one\n", name)
			require.Zero(t, lines.Len(), "neither is asked for")

			require.NoError(t, reloaded(s, func(o *Options) { o.Starts, o.Progress = true, 50*time.Millisecond }))
			second, _ := greet(t, s)
			defer second.Close()
			require.Eventually(t, func() bool { return len(of(accessStart)) == 1 }, 10*time.Second, time.Millisecond)
			begun := of(accessStart)[0].ContextMap()
			require.Equal(t, second.LocalAddr().String(), begun["client"])
			require.Equal(t, one.String(), begun["upstream_addr"])
			require.Equal(t, "up", begun["upstream"])
			require.NotContains(t, begun, "reason", "it has not ended")

			require.Eventually(t, func() bool { return len(of(accessProgress)) >= 4 }, 10*time.Second, time.Millisecond)
			ids := map[any]int{}
			for _, line := range of(accessProgress) {
				m := line.ContextMap()
				ids[m["id"]]++
				require.Equal(t, uint64(4), m["bytes_down"], "one and a line break")
				require.GreaterOrEqual(t, m["duration_ms"], 50.0)
				require.NotContains(t, m, "reason")
			}
			require.Len(t, ids, 2, "of both connections")

			require.NoError(t, reloaded(s, func(o *Options) { o.Starts, o.Progress = false, 0 }))
			require.NoError(t, c.Close())
			n := 0
			require.Eventually(t, func() bool { // one that was under way may still come
				before := n
				n = len(of(accessProgress))
				time.Sleep(200 * time.Millisecond)
				return n == before && len(of(accessProgress)) == n
			}, 10*time.Second, time.Millisecond)
			require.Empty(t, of(accessEnd), "log.access is off")
		})
	}
}

// The lines of very many connections wait for the log, not the log for them; the end of the server does not wait for either.
func TestTheEndDoesNotWaitForLinesOfProgress(t *testing.T) {
	one := greeter(t, "127.0.0.1:0", "one")
	s := start(t, "epoll", "127.0.0.1", one.Port(), nil)
	c, _ := greet(t, s)
	defer c.Close()
	full := make(chan struct{})
	s.policy.access.event(func() { <-full })
	for len(s.policy.access.queue) < accessQueue {
		s.policy.access.event(func() {})
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan struct{})
	go func() { defer close(done); s.progress.log(ctx, 0) }()
	cancel()
	<-done
	close(full)
	_, err := io.WriteString(c, "x")
	require.NoError(t, err)
}
