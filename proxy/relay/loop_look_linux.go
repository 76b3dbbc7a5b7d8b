package relay

import (
	"context"
	"sync/atomic"
	"time"
)

// look: see Relay.Look. Each slice is a call on the loop of its own, so that what else was posted comes in between.
func (g *loopGroup) look(ctx context.Context, ready func(), f func(*Look)) (held time.Duration, err error) {
	for _, l := range g.loops {
		for next := 0; next >= 0; {
			if err := ctx.Err(); err != nil {
				return held, err
			}
			ready()
			from := next
			next = -1 // where the loop has ended
			g.on(l, func() {
				begun := l.clock()
				next = l.lookFrom(from, l.leg, f)
				held = max(held, nanos(l.clock()-begun))
			})
		}
	}
	return held, nil
}

// on runs f on one loop and returns when it has run. On a loop that has ended f does not run.
func (g *loopGroup) on(l *loop, f func()) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.stopped {
		return
	}
	done := make(chan struct{})
	if l.mail.post(func() { f(); close(done) }) {
		<-done
	}
}

// closeOne: see Relay.CloseOne.
func (g *loopGroup) closeOne(id uint64, r Reason) bool {
	var found atomic.Bool
	g.all(func(l *loop) {
		if l.endOne(id, r) {
			found.Store(true)
		}
	})
	return found.Load()
}

// lastID: see engine.
func (g *loopGroup) lastID() uint64 { return g.shared.nextID.Load() }

// leg asks the kernel about a socket. The descriptor is the loop's, so it can't be closed or used again meanwhile.
func (l *loop) leg(g *Leg, c *conn, s side) { legOf(g, c.ends[s].fd) }
