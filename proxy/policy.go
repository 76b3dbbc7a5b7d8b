package proxy

import (
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// policy answers the relay's questions. It is called from the loops and neither blocks nor locks.
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
		p.allFailed(t)
		return nil, f.Failure
	}
	var tried []*upstream.Address
	if f.Tag != nil {
		tried = f.Tag.([]*upstream.Address)
	}
	a := t.set.Pick(tried)
	if a == nil {
		p.allFailed(t)
		return nil, relay.NoAddress
	}
	return a.Tag.(*endpoints).byListener[i], relay.None
}

// allFailed has the name looked up early: its addresses may have moved.
func (p *policy) allFailed(t *target) {
	if t.name != nil {
		t.name.Refresh()
	}
}

// Dialed notes how the attempt ended.
func (p *policy) Dialed(f *relay.Flow, failure relay.Reason, took time.Duration) {
	i := f.Listener.Tag.(int)
	t := p.targets[i]
	a := f.Endpoint.Tag.(*endpoints).addr
	if failure == relay.None {
		a.Connected()
		t.connect.observe(f.Loop, took)
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
	a.Failed(now)
	t.lastFail.Store(&dialFailure{addr: a.Addr, reason: failure, at: now})
	if t.set.AllFailing() && t.down.CompareAndSwap(false, true) {
		p.access.note(func() {
			p.log.Warn("every address of the upstream fails: clients are turned away unless the next attempt succeeds",
				zap.String("upstream", t.opts.Name), zap.Stringer("last_address", a.Addr), zap.Stringer("last_reason", failure))
		})
	}
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
	if s.Connected {
		s.Endpoint.Tag.(*endpoints).addr.Release()
		t.duration.observe(s.Loop, s.Duration)
		if s.FirstByte > 0 {
			t.firstByte.observe(s.Loop, s.FirstByte)
		}
	}
	p.access.log(s, t.opts.Name)
}
