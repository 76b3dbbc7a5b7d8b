package proxy

import (
	"context"
	"sync"
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// progress logs connections that last: every so often, each that is older than that gets a line with its bytes so far.
type progress struct {
	s     *Server
	every chan time.Duration // of size 1: the newest interval; 0: none
	stop  context.CancelFunc
	ended sync.WaitGroup
}

// newProgress begins without an interval. The caller ends it with close, before the relay.
func newProgress(s *Server) *progress {
	ctx, stop := context.WithCancel(context.Background())
	p := &progress{s: s, every: make(chan time.Duration, 1), stop: stop}
	p.ended.Go(func() { p.run(ctx) })
	return p
}

// set changes the interval. Only one caller may do so at a time.
func (p *progress) set(every time.Duration) {
	select {
	case <-p.every: // one that was not taken up yet
	default:
	}
	p.every <- every
}

// close ends the goroutine and waits for it.
func (p *progress) close() {
	p.stop()
	p.ended.Wait()
}

// run logs the long connections whenever it is time, until ctx ends.
func (p *progress) run(ctx context.Context) {
	var every time.Duration
	var next <-chan time.Time // nil: never
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-p.every:
			if now == every {
				continue // a reload that changed something else
			}
			if every, next = now, nil; every > 0 {
				next = time.After(every)
			}
		case <-next:
			p.log(ctx, every)
			next = time.After(every)
		}
	}
}

// log writes the lines of connections that are at least so old. They are gathered first, since a loop waits meanwhile, and
// queued as fast as the log takes them.
func (p *progress) log(ctx context.Context, age time.Duration) {
	var lines []accessRecord
	p.s.relay.Flows(func(s *relay.Summary) {
		if s.Duration >= age {
			lines = append(lines, p.s.policy.now(s))
		}
	})
	for _, line := range lines {
		select {
		case p.s.policy.access.queue <- line:
		case <-ctx.Done():
			return
		}
	}
}

// now is the line of a connection that lives. It is called on the connection's loop.
func (p *policy) now(s *relay.Summary) accessRecord {
	ses := sessionOf(s.Flow)
	upstream := ""
	if t := p.targetOf(s.Flow, ses); t != nil {
		upstream = t.opts.Name
	}
	return recordOf(accessProgress, s, ses, upstream)
}

// logAs has connections logged as the options say.
func (s *Server) logAs(o Options) {
	s.policy.access.which.Store(uint32(o.Access))
	s.policy.access.starts.Store(o.Starts)
	s.progress.set(o.Progress)
}
