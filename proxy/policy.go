package proxy

import (
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// policy answers the relay's questions. It is called from the loops and does not block; only what fails takes a lock,
// for as long as it takes to look at the addresses of one upstream.
type policy struct {
	gates   []*gate   // by listener
	targets []*target // by listener: the upstream that serves it
	access  *accessLog
	log     *zap.Logger
}

// Accepted admits every client: it only counts.
func (p *policy) Accepted(f *relay.Flow) relay.Reason {
	i := f.Listener.Tag.(int)
	p.gates[i].cells[f.Loop].accepted.Add(1)
	p.targets[i].pairs[i].cells[f.Loop].active.Add(1)
	return relay.None
}

// Preface is not asked for: no listener of this version looks at a client's first bytes.
func (p *policy) Preface(*relay.Flow, []byte) relay.Verdict { return relay.Verdict{} }

// Dial picks an address for the next attempt.
func (p *policy) Dial(f *relay.Flow) (*relay.Endpoint, relay.Reason) {
	i := f.Listener.Tag.(int)
	t := p.targets[i]
	if f.Attempts >= t.opts.Attempts {
		t.refresh()
		return nil, f.Failure
	}
	if f.Attempts == 0 && !t.enter() {
		return nil, relay.LimitUpstream
	}
	var tried []*upstream.Address
	if f.Tag != nil {
		tried = f.Tag.([]*upstream.Address)
	}
	a := t.set.Pick(tried)
	if a == nil {
		if f.Attempts == 0 {
			t.leave() // Closed does it only for one that made an attempt
		}
		t.refresh()
		return nil, relay.NoAddress
	}
	return a.Tag.(*endpoints).byListener[i], relay.None
}

// Dialed notes how the attempt ended.
func (p *policy) Dialed(f *relay.Flow, failure relay.Reason, took time.Duration) {
	i := f.Listener.Tag.(int)
	t := p.targets[i]
	a := f.Endpoint.Tag.(*endpoints).addr
	if failure == relay.None {
		t.set.Connected(a)
		t.connect.observe(f.Loop, took)
		if t.hasBackups {
			p.noteBackup(t, a)
		}
		if t.down.Load() && t.down.CompareAndSwap(true, false) {
			p.access.note(func() {
				p.log.Info("upstream answers again", zap.String("upstream", t.opts.Name), zap.Stringer("address", a.Addr))
			})
		}
		return
	}
	a.Release()
	switch failure {
	case relay.ConnectRefused, relay.ConnectTimeout, relay.ConnectUnreachable, relay.NoPorts, relay.LimitConnections, relay.Internal:
		t.dialErrors[failure].Add(1)
	default:
		return // cut short from the client's side: says nothing of the address
	}
	switch failure {
	case relay.ConnectRefused, relay.ConnectTimeout, relay.ConnectUnreachable:
		p.failed(t, a, failure)
	}
	var tried []*upstream.Address
	if f.Tag != nil {
		tried = f.Tag.([]*upstream.Address)
	}
	f.Tag = append(tried, a)
}

// failed notes an attempt that failed for a reason that lies with the address.
func (p *policy) failed(t *target, a *upstream.Address, failure relay.Reason) {
	now := time.Now()
	t.set.Failed(a, now)
	t.lastFail.Store(&dialFailure{addr: a.Addr, reason: failure, at: now})
	if t.set.AllFailing() && t.down.CompareAndSwap(false, true) {
		p.access.note(func() {
			p.log.Warn("every address of the upstream fails: clients are turned away unless the next attempt succeeds",
				zap.String("upstream", t.opts.Name), zap.Stringer("last_address", a.Addr), zap.Stringer("last_reason", failure))
		})
	}
}

// noteBackup logs when connections begin to go to backups, and when they go to a primary again.
func (p *policy) noteBackup(t *target, a *upstream.Address) {
	backup := t.set.IsBackup(a)
	if t.onBackup.Load() == backup || !t.onBackup.CompareAndSwap(!backup, backup) {
		return
	}
	p.access.note(func() {
		fields := []zap.Field{zap.String("upstream", t.opts.Name), zap.Stringer("address", a.Addr)}
		if backup {
			p.log.Warn("a backup serves: no primary address is usable", fields...)
		} else {
			p.log.Info("a primary address serves again", fields...)
		}
	})
}

// Closed counts the connection's end and has it logged.
func (p *policy) Closed(s *relay.Summary) {
	i := s.Listener.Tag.(int)
	t, g, c := p.targets[i], p.gates[i].cells[s.Loop], p.targets[i].pairs[i].cells[s.Loop]
	switch {
	case s.Attempts > 0 || !s.Reason.Refusal():
		c.active.Add(-1)
		c.ended[s.Reason].Add(1)
	case s.Reason == relay.LimitConnections: // turned away before Accepted was asked
		g.accepted.Add(1)
		g.refused[s.Reason].Add(1)
	default:
		c.active.Add(-1)
		g.refused[s.Reason].Add(1)
	}
	if s.Attempts > 0 {
		t.leave()
	}
	if s.Connected {
		s.Endpoint.Tag.(*endpoints).addr.Release()
		t.duration.observe(s.Loop, s.Duration)
		if s.FirstByte > 0 {
			t.firstByte.observe(s.Loop, s.FirstByte)
		}
	}
	p.access.log(s, t.opts.Name)
}
