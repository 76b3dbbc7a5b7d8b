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

// An upstream of a pool ended before the client's request came. The connection was known for dead, and was given the request and the
// client's FIN all the same when it left the ring, so that two servers had all of it.
func TestADeadConnectionOfAPoolGetsNothingMore(t *testing.T) {
	needsUring(t)
	r := newRig(t, "uring", loopback4)
	r.opts.Loops = 1
	r.warmed(1)
	c, u, _ := r.used(1)
	held, release := make(chan struct{}), make(chan struct{})
	l := r.relay.eng.(*uring).members[0]
	require.True(t, l.mail.post(func() { close(held); <-release }))
	<-held // what happens now is seen together: the end of the upstream first
	ends := func() { u.fin(); u.settle() }
	asks := func() { c.send("hello"); c.fin(); c.settle() }
	if kernelBefore(t, 6, 12) { // 6.1 reports the last first; kernels between were not looked at
		asks()
		ends()
	} else {
		ends()
		asks()
	}
	close(release)
	r.accept() // what the pool has made in place of the one that was taken
	again := r.accept()
	again.want("hello")
	again.wantEnd(sawFIN)
	got, end := u.rest()
	require.Empty(t, got)
	require.Equal(t, sawRST, end)
	again.send("answer")
	again.Close()
	c.want("answer")
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 5, 6)
}
