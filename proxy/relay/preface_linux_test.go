package relay

import (
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Clients that send their first bytes one at a time, and never enough, hold a small buffer each until their time is up;
// silent ones hold none.
func TestDribblingClientsHoldLittle(t *testing.T) {
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			r := newRig(t, engine, loopback4)
			r.opts.PrefaceTimeout = 2500 * time.Millisecond // longer than a busy machine takes for all of them
			shown := wantsPreface(r, Verdict{})
			const dribblers, silent, bytes = 50, 20, 5
			for range silent {
				r.dial()
			}
			var all []*peer
			for range dribblers {
				all = append(all, r.dial())
			}
			for i := range bytes {
				for _, c := range all {
					c.send("x")
				}
				eventually(r, "the bytes to be seen", func() bool { return len(r.shown(shown)) >= (i+1)*dribblers/2 })
			}
			var held, memory int64
			eventually(r, "every dribbler to hold a small buffer", func() bool {
				held, memory = prefaceMemory(r)
				return held == dribblers
			})
			require.EqualValues(t, dribblers*bufferMin, memory)
			for range dribblers + silent {
				r.closed(PrefaceTimeout, 0, 0)
			}
			held, _ = prefaceMemory(r)
			require.Zero(t, held)
		})
	}
}

// prefaceMemory returns how many buffers the loops' connections hold, and how large they are together.
func prefaceMemory(r *rig) (held, bytes int64) {
	var n, size atomic.Int64
	look := func(l *loop) {
		n.Add(int64(l.bufs.inUse))
		l.conns.each(func(c *conn) {
			if b := c.halves[client].hold; b != nil {
				size.Add(int64(len(b.b)))
			}
		})
	}
	switch e := r.relay.eng.(type) {
	case *epoll:
		e.all(look)
	case *uring:
		e.all(look)
	}
	return n.Load(), size.Load()
}
