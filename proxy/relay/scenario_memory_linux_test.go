package relay

import (
	"io"
	"net/netip"
	"time"

	"github.com/stretchr/testify/require"
)

// A client that asked for much and read nothing made the kernel hold megabytes for it.
func stuckPairIsSmall(r *rig) {
	if r.opts.Engine == "portable" {
		r.Skip("leaves the kernel its buffers as they are")
	}
	r.opts.Loops = 1
	for _, up := range []bool{false, true} {
		c, u := r.pair()
		from := u
		if up {
			from = c
		}
		_, _ = from.floodUntil(400*time.Millisecond, 1, 64*mib)
		pinned := make(chan int64)
		l := r.onlyLoop()
		l.mail.post(func() { l.conns.each(func(c *conn) { pinned <- l.pinned(c) }) })
		n := <-pinned
		r.Logf("upload %v: %d KiB", up, n>>10)
		require.Positive(r, n)
		require.LessOrEqual(r, n, int64(256<<10), "upload: %v", up)
		c.reset()
		u.reset()
		r.policy.take(r)
	}
}

// Beyond the limit of what is held, those end that have not read for longest.
func memoryLimit(r *rig) {
	r.opts.Buffered = 1 << 20
	flood := func(n int) (all []netip.AddrPort) {
		for range n {
			c := r.dialSlow()
			u := r.accept()
			go func() { _, _ = io.Copy(u.TCPConn, zeros{}) }() // ends with the connection
			all = append(all, localAddrPort(c))
		}
		return all
	}
	r.slowOrigin() // its send buffers stay small, too
	old := flood(3)
	eventually(r, "they are stuck", func() bool { return r.relay.Stats().Buffered > 0 })
	flood(20)
	require.Contains(r, old, r.closed(LimitMemory, 0, -1).Client)
	eventually(r, "what is held is within the limit", func() bool { return r.relay.Stats().Buffered <= 1<<20 })
	c := r.dial() // others go on
	c.send("hello")
	r.accept().want("hello")
	require.Positive(r, r.relay.eng.closeWhere(func(*Flow) bool { return true }, Operator))
}

// A pair that was flowing holds what bulk takes, megabytes on a fast path: the limit has to see them.
func memoryLimitInBulk(r *rig) {
	r.opts.Buffered = 1 << 20
	for range 3 {
		c, u := r.pair()
		go func() { _, _ = io.Copy(u.TCPConn, zeros{}) }() // ends with the connection
		_, err := io.CopyN(io.Discard, c, 8*mib)
		require.NoError(r, err)
	}
	first := r.closed(LimitMemory, 0, -1)
	require.GreaterOrEqual(r, first.Down, uint64(8*mib), "what it had read came from bulk")
	eventually(r, "what is held is within the limit", func() bool { return r.relay.Stats().Buffered <= 1<<20 })
	r.relay.eng.closeWhere(func(*Flow) bool { return true }, Operator)
}
