package relay

import (
	"context"
	"fmt"
	"math"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// How the loops of a Linux engine stand still.

// freeze: see carrier. It returns with mu held, unless there is an error.
func (g *loopGroup) freeze(ctx context.Context) error {
	g.mu.Lock()
	s := newStandstill(len(g.loops))
	for _, l := range g.loops {
		l.mail.post(func() { l.host.standStill(s) })
	}
	for range g.loops {
		select {
		case <-s.still:
		case <-ctx.Done():
			s.end(stillResume) // one that comes to it later does not stop
			g.mu.Unlock()
			return fmt.Errorf("event loops do not come to rest: %w", ctx.Err())
		}
	}
	g.still = s
	return nil
}

// thaw: see carrier.
func (g *loopGroup) thaw() {
	then := stillResume
	if g.adopting {
		g.adopting, then = false, stillBegin
		g.enroller.finish()
	}
	g.still.end(then)
	g.still = nil
	g.mu.Unlock()
	g.closeUnwatched()
}

// giveUp: see carrier.
func (g *loopGroup) giveUp() {
	g.enroller.finish()
	g.enroller.failed = nil
	g.still.end(stillRelease)
	g.still = nil
	g.stopped = true
	g.ended.Wait()
	g.mu.Unlock()
}

// adopt has loops that are about to be started stand still first.
func (g *loopGroup) adopt() {
	g.mu.Lock()
	g.adopting = true
	g.still = newStandstill(len(g.loops))
	for _, l := range g.loops {
		l.first = g.still
	}
}

// standStill: see host. It returns when the standstill is over.
func (l *loop) standStill(s *standstill) {
	s.still <- struct{}{}
	<-s.over
	l.now = l.clock()
	switch s.then {
	case stillBegin:
		l.beginAccepting()
		for _, p := range l.pools {
			l.fill(p)
		}
	case stillRelease:
		l.releaseAll()
	}
}

// beginAccepting accepts from sockets of another process.
func (l *loop) beginAccepting() {
	for _, a := range l.lns {
		if a.fd < 0 {
			continue
		}
		inheritOptions(int(a.fd), l.opts.Keepalive)
		if !l.host.setAccept(a, true) { // no memory for it: later
			l.pause(a)
		}
	}
}

// releaseNice is the nice value of a loop that gives up what it has: a tenth of the usual share, where others want the processor.
const releaseNice = 10

// releaseAll closes all that is open without a word to peers or handler, and ends the loop.
func (l *loop) releaseAll() {
	// The next process is about to serve all that waited, and needs the processor more than this one, which has thousands of descriptors to
	// close. On Linux the priority is the thread's own, setpriority(2), and this one ends with its goroutine.
	runtime.LockOSThread()
	_ = unix.Setpriority(unix.PRIO_PROCESS, unix.Gettid(), releaseNice)
	for _, p := range l.pools {
		p.dropped = true
	}
	l.pools = nil
	l.conns.each(func(c *conn) {
		if c.pooled && c.phase == phaseDialing { // another process makes its own
			l.warmFailed(c, Operator)
			return
		}
		l.forget(c)
	})
	for _, a := range l.lns {
		if a.fd >= 0 {
			sysClose(a.fd)
			a.fd = -1
		}
	}
	l.shared.buffered.Add(-l.buffered)
	l.buffered = 0
	l.done = true
}

// forget frees what a connection holds, without a word to peers or handler.
func (l *loop) forget(c *conn) {
	for s := range c.ends {
		if e := &c.ends[s]; e.fd >= 0 {
			sysClose(e.fd) // no FIN is sent as long as another process has it open
			e.fd = -1
		}
	}
	if c.hasClient() {
		l.shared.active.Add(-1)
	}
	l.drop(c)
}

// startClock begins the loops' clock, or goes on with that of another process. Go's monotonic clock is CLOCK_MONOTONIC.
func (g *loopGroup) startClock(o *Options) {
	now, mono := time.Now(), handoff.Now()
	g.began, g.shared.base = mono, now
	if o.Adopt != nil && o.Adopt.Base != 0 {
		g.began = o.Adopt.Base
		g.shared.base = now.Add(-time.Duration(mono - g.began))
	}
}

// base: see carrier.
func (g *loopGroup) base() int64 { return g.began }

// setLastID: see carrier.
func (g *loopGroup) setLastID(id uint64) { g.shared.nextID.Store(max(id, g.shared.nextID.Load())) }

// countOn: see carrier.
func (g *loopGroup) countOn(s Stats) {
	g.shared.pauses.Add(s.AcceptPauses)
	for i, seconds := range s.Busy {
		g.loops[i%len(g.loops)].busy.Add(int64(math.Ceil(seconds * float64(time.Second))))
	}
}

// cores: see carrier.
func (g *loopGroup) cores() (all []*core) {
	for _, l := range g.loops {
		all = append(all, &l.core)
	}
	return all
}

// watched: see carrier.
func (g *loopGroup) watched() error {
	g.enroller.finish()
	if len(g.enroller.failed) > 0 {
		return errNoWatch
	}
	return nil
}

// closeUnwatched closes connections whose sockets nobody watches. The loops turn.
func (g *loopGroup) closeUnwatched() {
	for _, n := range g.enroller.failed {
		g.closeOne(n.id, Internal)
	}
	g.enroller.failed = nil
}
