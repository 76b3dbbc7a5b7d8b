package relay

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// TestReadyIsLeftAlone: where the sends of both halves are settled in one turn, the first may take the connection to
// modeReady; what is done for the second must not put requests of it into the ring, which would take bytes out of the
// order of those that are read otherwise.
func TestReadyIsLeftAlone(t *testing.T) {
	needsUring(t)
	r := newRig(t, "uring", loopback4)
	r.opts.Loops = 1
	c, u := r.pair()
	c.send("ping")
	u.want("ping")
	l := r.relay.eng.(*uring).members[0]
	on := func(f func(c *conn)) {
		done := make(chan struct{})
		require.True(t, l.mail.post(func() { l.conns.each(f); close(done) }))
		<-done
	}
	on(func(c *conn) { l.leave(c) })
	require.Eventually(t, func() (ready bool) {
		on(func(c *conn) { ready = c.mode == modeReady })
		return ready
	}, patience, patience/1000)
	on(func(c *conn) {
		for _, s := range []side{client, upstream} {
			l.afterSend(c, s, false)
			assert.False(t, c.ends[s].recv, "a receive was asked for")
			assert.Zero(t, c.halves[s].sending, "a send was asked for")
		}
	})
	u.send("pong")
	c.want("pong")
}
