package relay

import (
	"testing"

	"github.com/stretchr/testify/require"
)

// An upgrade whose file had no warm connections any more took over a client that had one of them. Its upstream reset before it
// answered, and the new process ended with a nil pointer.
func TestAWarmConnectionProvesDeadWhereNoPoolIsLeft(t *testing.T) {
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			if engine == "uring" {
				needsUring(t)
			}
			r := newRig(t, engine, loopback4)
			r.opts.Loops = 1
			r.warmed(1)
			c, u, _ := r.used(1)
			c.send("hello")
			u.want("hello")
			r.accept() // what the pool has made in place of the one that was taken
			r.policy.saved.poolless = true
			h, err := handOver(r.relay, r.opts, nil, failAt{})
			require.NoError(t, err)
			r.relay = h.relay
			u.reset()
			again := r.accept()
			again.want("hello")
			again.send("answer")
			c.want("answer")
			again.fin()
			c.wantEnd(sawFIN)
			c.Close()
			require.True(t, r.closed(UpstreamClosed, 5, 6).Flow.Stale)
		})
	}
}
