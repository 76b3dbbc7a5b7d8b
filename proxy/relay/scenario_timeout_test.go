package relay

import (
	"io"
	"time"

	"github.com/stretchr/testify/require"
)

var timeoutScenarios = []scenario{
	{"idle timeout", "no byte moves: both sides are closed orderly", true, idleTimeout},
	{"idle timeout, one way alive", "bytes in one direction keep the connection", false, idleKeptAlive},
	{"idle timeout with held bytes", "a client that does not read for too long is reset: it must not take what it got for all", false, idleWithHeld},
	{"half-close timeout", "one direction has ended and the other is silent", true, halfCloseTimeout},
	{"half-close kept alive", "one direction has ended, the other is slow but moves", false, halfCloseKeptAlive},
	{"drain", "closeAll between two exchanges closes both sides orderly, with all that was sent before", true, drain},
	{"drain in an exchange", "closeAll in the middle of something resets both sides: a stream cut short must not look complete", false, drainInExchange},
	{"drain, unread upload", "closeAll resets an upstream that has not read everything, although the relay holds nothing", false, drainUnread},
	{"drain with held bytes", "closeAll resets a client that was not sent everything", false, drainWithHeld},
}

func idleTimeout(r *rig) {
	r.opts.IdleTimeout = 300 * time.Millisecond
	c, u := r.pair()
	c.send("hello")
	u.want("hello")
	c.wantEnd(sawFIN)
	u.wantEnd(sawFIN)
	e := r.closed(IdleTimeout, 5, 0)
	require.GreaterOrEqual(r, e.Duration, 290*time.Millisecond)
	require.Less(r, e.Duration, 3*time.Second)
}

func idleKeptAlive(r *rig) {
	r.opts.IdleTimeout = 1500 * time.Millisecond // the machine may be busy for most of it
	c, u := r.pair()
	for range 12 {
		time.Sleep(200 * time.Millisecond)
		u.send("tick")
		c.want("tick")
	}
	c.wantEnd(sawFIN)
	u.wantEnd(sawFIN)
	e := r.closed(IdleTimeout, 0, 48)
	require.GreaterOrEqual(r, e.Duration, 3800*time.Millisecond)
}

func idleWithHeld(r *rig) {
	r.needsLinux()
	r.opts.IdleTimeout = 3 * time.Second
	c := r.dialSlow()
	u := r.accept()
	sent, _ := u.flood(1, 64*mib)
	e := r.closed(IdleTimeout, 0, -1)
	n, end := c.restOfStream(1)
	require.Equal(r, sawRST, end)
	require.Less(r, n, sent)
	require.LessOrEqual(r, uint64(n), e.Down)
	u.wantGone()
}

func halfCloseTimeout(r *rig) {
	r.opts.HalfCloseTimeout = 300 * time.Millisecond
	c, u := r.pair()
	c.send("request")
	c.fin()
	u.want("request")
	u.wantEnd(sawFIN)
	u.send("half of ")
	c.want("half of ")
	c.wantEnd(sawRST) // a FIN would say that this was the whole answer
	e := r.closed(HalfCloseTimeout, 7, 8)
	require.GreaterOrEqual(r, e.Duration, 290*time.Millisecond)
	require.Less(r, e.Duration, 3*time.Second)
}

func halfCloseKeptAlive(r *rig) {
	r.opts.HalfCloseTimeout = 1500 * time.Millisecond // the machine may be busy for most of it
	c, u := r.pair()
	u.send("bye")
	u.fin()
	c.want("bye")
	c.wantEnd(sawFIN)
	for range 10 {
		time.Sleep(200 * time.Millisecond)
		c.send("tick")
		u.want("tick")
	}
	c.fin()
	u.wantEnd(sawFIN)
	r.closed(UpstreamClosed, 40, 3)
}

// An upload that the kernel had taken and the upstream had not read was ended by a FIN, which made it look complete.
func drainUnread(r *rig) {
	r.needsLinux()
	r.slowOrigin()
	c, u := r.pair()
	size, stream := 0, newStream(1)
	for unread(r, u) == size { // how much the origin's kernel takes differs from run to run
		require.Less(r, size, 1<<20)
		n, err := io.CopyN(c.TCPConn, stream, 160<<10)
		require.NoError(r, err)
		size += int(n)
		eventually(r, "all is with the kernel", func() bool { return r.tally.Sum().Up == uint64(size) })
		r.betweenExchanges()
	}
	r.relay.eng.closeAll(DrainTimeout)
	c.wantEnd(sawRST)
	eventually(r, "both ends closed", func() bool { return r.relay.Stats().Active == 0 }) // reading before makes room for the rest
	n, end := u.restOfStream(1)
	require.Less(r, n, size)
	require.Equal(r, sawRST, end)
	r.closed(DrainTimeout, size, 0)
}

func drain(r *rig) {
	c, u := r.pair()
	c.send("hello")
	u.want("hello")
	u.send("hello to you")
	c.want("hello to you")
	r.betweenExchanges()
	r.relay.eng.closeAll(DrainTimeout)
	c.wantEnd(sawFIN)
	u.wantEnd(sawFIN)
	r.closed(DrainTimeout, 5, 12)
}

func drainInExchange(r *rig) {
	c, u := r.pair()
	c.send("hello")
	u.want("hello")
	u.send("hello to")
	c.want("hello to")
	r.relay.eng.closeAll(DrainTimeout)
	c.wantEnd(sawRST)
	u.wantEnd(sawRST)
	r.closed(DrainTimeout, 5, 8)
}

func drainWithHeld(r *rig) {
	r.needsLinux()
	c := r.dialSlow()
	u := r.accept()
	sent, _ := u.flood(1, 64*mib)
	r.relay.eng.closeAll(DrainTimeout)
	e := r.closed(DrainTimeout, 0, -1)
	n, end := c.restOfStream(1)
	require.Equal(r, sawRST, end)
	require.Less(r, n, sent)
	require.LessOrEqual(r, uint64(n), e.Down)
	u.wantGone()
}
