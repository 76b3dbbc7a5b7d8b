package proxy

import (
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/limit"
	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// policy answers the relay's questions. It is called from the loops and does not block; only what fails takes a lock,
// for as long as it takes to look at the addresses of one upstream.
type policy struct {
	table     atomic.Pointer[table] // a connection keeps the rule it was accepted by
	admission limit.Scope           // over all listeners
	access    *accessLog
	log       *zap.Logger
}

// Accepted judges a client by its address, as far as that is the true one, and by the limits.
func (p *policy) Accepted(f *relay.Flow) relay.Reason {
	r := p.table.Load().rule(f.Listener)
	f.Tag = r
	r.gate.cells[f.Loop].accepted.Add(1)
	f.Preface = r.preface.Wanted()
	direct := r.preface.Proxy == ProxyOff
	if direct && !r.admits(f.Client.Addr()) {
		return relay.SourceDenied
	}
	if r.tracked() {
		v := newVisit(f, r)
		v.move(f.Loop, r.lobby)
		if direct && !v.enter(f.Client.Addr()) {
			return relay.LimitSource
		}
	}
	if !p.admission.Admit() {
		return relay.LimitRate
	}
	return relay.None
}

// Preface reads a client's first bytes, and judges the client by what they say.
func (p *policy) Preface(f *relay.Flow, b []byte) relay.Verdict {
	v := visitOf(f)
	said := v.parser.Parse(b)
	if said.More {
		return relay.Verdict{More: true, Closed: reasonOf[said.Closed], Expired: reasonOf[said.Expired]}
	}
	v.detail = said.Detail
	out := relay.Verdict{Refuse: reasonOf[said.Refuse], Skip: said.Skip}
	if out.Refuse == relay.None {
		out.Refuse = v.judge(f)
	}
	return out
}

// Dial picks an address for the next attempt.
func (p *policy) Dial(f *relay.Flow) (*relay.Endpoint, relay.Reason) {
	v := visitOf(f)
	t := p.targetOf(f, v)
	limit := t.opts.Attempts
	if f.Stale {
		limit++ // the connection from the pool is none of its attempts
	}
	if f.Attempts >= limit {
		t.refresh()
		return nil, f.Failure
	}
	if f.Attempts == 0 && !t.enter() {
		return nil, relay.LimitUpstream
	}
	var tried []*upstream.Address
	if v != nil {
		tried = v.tried
	}
	a := t.set.Pick(tried)
	if a == nil {
		if f.Attempts == 0 {
			t.leave() // Closed does it only for one that made an attempt
		}
		t.refresh()
		return nil, relay.NoAddress
	}
	counts := p.ruleOf(f).pair(t)
	switch {
	case v != nil:
		v.move(f.Loop, counts)
	case f.Attempts == 0:
		counts.cells[f.Loop].active.Add(1)
	}
	return a.Tag.(*endpoints).of(counts), relay.None
}

// targetOf returns the upstream of a connection; nil if it got to none.
func (p *policy) targetOf(f *relay.Flow, v *visit) *target {
	switch {
	case f.Endpoint != nil:
		return f.Endpoint.Tag.(*endpoints).target
	case v != nil && v.target != nil:
		return v.target
	}
	r := p.ruleOf(f)
	if r.matcher != nil {
		return nil
	}
	return r.targets[0]
}

// ruleOf returns the rule that a connection was accepted by, the current one before that.
func (p *policy) ruleOf(f *relay.Flow) *rule {
	switch kept := f.Tag.(type) {
	case *visit:
		return kept.rule
	case *rule:
		return kept
	}
	return p.table.Load().rule(f.Listener)
}

// Dialed notes how the attempt ended.
func (p *policy) Dialed(f *relay.Flow, failure relay.Reason, took time.Duration) {
	e := f.Endpoint.Tag.(*endpoints)
	t, a := e.target, e.addr
	if t.warm != nil {
		t.warm.dialed(f)
	}
	if failure == relay.None {
		if !f.Warm { // that one was connected, and this noted, before
			t.set.Connected(a)
			t.account.connect.observe(f.Loop, took)
		}
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
		t.account.dialErrors[failure].Add(1)
	default:
		return // cut short from the client's side: says nothing of the address
	}
	switch failure {
	case relay.ConnectRefused, relay.ConnectTimeout, relay.ConnectUnreachable:
		p.failed(t, a, failure)
	}
	if failure == relay.NoPorts && len(e.local) > 1 {
		return // the next attempt is from another local address
	}
	v := visitOf(f)
	if v == nil {
		v = newVisit(f, p.ruleOf(f))
		v.counts = v.rule.pair(t)
	}
	v.tried = append(v.tried, a)
}

// failed notes an attempt that failed for a reason that lies with the address.
func (p *policy) failed(t *target, a *upstream.Address, failure relay.Reason) {
	now := time.Now()
	t.set.Failed(a, now)
	t.lastFail.Store(&dialFailure{addr: a.Addr, reason: failure, at: now})
	if t.set.AllFailing() && t.downTold.due(now) && t.down.CompareAndSwap(false, true) {
		t.downTold.at(now)
		p.access.note(func() {
			p.log.Warn("every address of the upstream fails: clients are turned away unless the next attempt succeeds",
				zap.String("upstream", t.opts.Name), zap.Stringer("last_address", a.Addr), zap.Stringer("last_reason", failure))
		})
	}
}

// noteBackup logs when connections begin to go to backups, and when they go to a primary again.
func (p *policy) noteBackup(t *target, a *upstream.Address) {
	backup := t.set.IsBackup(a)
	if t.onBackup.Load() == backup {
		return
	}
	now := time.Now()
	if backup && !t.backupTold.due(now) || !t.onBackup.CompareAndSwap(!backup, backup) {
		return
	}
	if backup {
		t.backupTold.at(now)
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
	v := visitOf(s.Flow)
	t, r := p.targetOf(s.Flow, v), p.ruleOf(s.Flow)
	where := r.lobby
	if t != nil {
		where = r.pair(t)
	}
	c, g := where.cells[s.Loop], r.gate.cells[s.Loop]
	switch {
	case s.Attempts > 0 || !s.Reason.Refusal():
		c.ended[s.Reason].Add(1)
	case s.Reason == relay.LimitConnections: // turned away before Accepted was asked
		g.accepted.Add(1)
		g.refused[s.Reason].Add(1)
	default:
		g.refused[s.Reason].Add(1)
	}
	if s.Attempts > 0 {
		t.leave()
	}
	if s.Connected {
		s.Endpoint.Tag.(*endpoints).addr.Release()
		t.account.duration.observe(s.Loop, s.Duration)
		if s.FirstByte > 0 {
			t.account.firstByte.observe(s.Loop, s.FirstByte)
		}
	}
	p.access.log(s, v, where.upstream)
	switch {
	case v != nil:
		v.move(s.Loop, nil)
		v.end()
		s.Tag = nil
	case s.Attempts > 0:
		c.active.Add(-1)
	}
}
