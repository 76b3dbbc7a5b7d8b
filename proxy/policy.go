package proxy

import (
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/limit"
	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// policy answers the relay's questions. The loops call it, so it never blocks. Only a failed attempt takes a lock, for as
// long as it takes to look at the addresses of one upstream.
type policy struct {
	table  atomic.Pointer[table] // the one in use; a connection keeps the rule it was accepted by
	limits limit.Scope           // over all listeners
	access *accessLog
	log    *zap.Logger

	limitLog limitLog

	server  *Server
	adopted adopted
}

// Accepted judges a client by its address, unless a PROXY header is to name another, and by the limits.
func (p *policy) Accepted(f *relay.Flow) relay.Reason {
	r := p.table.Load().rule(f.Listener)
	f.Tag = r
	r.counters.cells[f.Loop].accepted.Add(1)
	f.Preface, f.Silent = r.preface.Wanted(), reasonOf[r.preface.Silent()]
	if r.matcher == nil {
		f.Await = uint16(r.targets[0].counters.storm.await().Milliseconds())
	}
	direct := r.preface.Proxy == ProxyOff
	if direct && !r.admits(f.Client.Addr()) {
		return relay.SourceDenied
	}
	if r.tracked() {
		ses := newSession(f, r)
		ses.move(f.Loop, r.unrouted)
		if direct && !ses.enter(f.Client.Addr()) {
			return relay.LimitSource
		}
	}
	if !p.limits.Admit() {
		return relay.LimitRate
	}
	return relay.None
}

// Preface reads a client's first bytes, and judges the client by them once they are complete.
func (p *policy) Preface(f *relay.Flow, b []byte) relay.Verdict {
	ses := sessionOf(f)
	said := ses.parser.Parse(b)
	if said.More {
		return relay.Verdict{More: true, Closed: reasonOf[said.Closed], Expired: reasonOf[said.Expired]}
	}
	ses.detail = said.Detail
	out := relay.Verdict{Refuse: reasonOf[said.Refuse], Skip: said.Skip}
	if out.Refuse == relay.None {
		out.Refuse = ses.judge(f)
	}
	return out
}

// Dial picks an address for the next attempt, each time another one: what refused a connection a moment ago refuses it again.
func (p *policy) Dial(f *relay.Flow) (*relay.Endpoint, relay.Reason) {
	ses := sessionOf(f)
	t := p.targetOf(f, ses)
	if f.Pending > 0 {
		return p.dialBeside(f, ses, t), relay.None
	}
	if f.Attempts >= t.attempts(f) {
		t.refresh()
		return nil, f.Failure
	}
	if f.Attempts == 0 && !t.enter() {
		return nil, relay.LimitUpstream
	}
	addr, why := t.pick(f, ses)
	if addr == nil {
		t.refresh()
		return nil, why
	}
	counts := p.ruleOf(f).traffic(t)
	switch {
	case ses != nil:
		ses.move(f.Loop, counts)
	case f.Attempts == 0:
		counts.cells[f.Loop].active.Add(1)
	}
	return addr.Tag.(*endpoints).of(counts), relay.None
}

// pick returns an address at which the connection has not failed yet; nil and the reason if there is none.
func (t *target) pick(f *relay.Flow, ses *session) (*upstream.Address, relay.Reason) {
	var tried []*upstream.Address
	if ses != nil {
		tried = ses.tried
	}
	addr := t.set.Pick(tried)
	switch {
	case addr == nil && f.Attempts == 0:
		t.leave() // Closed does it only after an attempt
		return nil, relay.NoAddress
	case addr == nil:
		return nil, relay.NoAddress
	case slices.Contains(tried, addr):
		addr.Release()
		return nil, f.Failure
	}
	return addr, relay.None
}

// targetOf returns the upstream of a connection; nil if none was chosen.
func (p *policy) targetOf(f *relay.Flow, ses *session) *target {
	switch {
	case f.Endpoint != nil:
		return f.Endpoint.Tag.(*endpoints).target
	case ses != nil && ses.target != nil:
		return ses.target
	}
	r := p.ruleOf(f)
	if r.matcher != nil {
		return nil
	}
	return r.targets[0]
}

// ruleOf returns the rule that a connection was accepted by; before Accepted, the one in force.
func (p *policy) ruleOf(f *relay.Flow) *rule {
	switch kept := f.Tag.(type) {
	case *session:
		return kept.rule
	case *rule:
		return kept
	}
	return p.table.Load().rule(f.Listener)
}

// Dialed notes how an attempt ended.
func (p *policy) Dialed(f *relay.Flow, failure relay.Reason, took time.Duration) {
	e := f.Endpoint.Tag.(*endpoints)
	if e.target.warm != nil {
		e.target.warm.dialed(f)
	}
	if failure == relay.None {
		p.connected(f, e, took)
		return
	}
	e.addr.Release()
	p.notConnected(f, e, failure)
}

// connected notes an attempt that succeeded.
func (p *policy) connected(f *relay.Flow, e *endpoints, took time.Duration) {
	t := e.target
	if !f.Warm { // a warm one was noted when it connected
		e.connected(f.Loop, took)
	}
	if t.hasBackups {
		p.logBackup(t, e.addr)
	}
	p.logAnswers(t, e.addr)
	p.access.start(f, sessionOf(f), t.opts.Name, took)
}

// notConnected notes an attempt that failed, and has the next one go elsewhere.
func (p *policy) notConnected(f *relay.Flow, e *endpoints, failure relay.Reason) {
	switch {
	case failure == relay.Outpaced:
		e.target.counters.outpaced.Add(1)
		e.target.set.Outpaced(e.addr, time.Now())
		return
	case blamesAddress(failure):
		e.target.counters.dialErrors[failure].Add(1)
		p.failed(e.target, e.addr, failure)
	case failure == relay.NoPorts, failure == relay.LimitConnections, failure == relay.Internal:
		e.target.counters.dialErrors[failure].Add(1)
	default:
		return // the client ended it, or an earlier attempt connected: that says nothing of the address
	}
	if failure == relay.NoPorts && len(e.local) > 1 {
		return // the next attempt is from another local address
	}
	ses := sessionOf(f)
	if ses == nil {
		ses = newSession(f, p.ruleOf(f))
		ses.counts = ses.rule.traffic(e.target)
	}
	ses.addTried(e.addr)
}

// blamesAddress reports whether an attempt failed for a reason that lies with the address.
func blamesAddress(failure relay.Reason) bool {
	return failure == relay.ConnectRefused || failure == relay.ConnectTimeout || failure == relay.ConnectUnreachable
}

// failed notes an attempt that failed for a reason that lies with the address.
func (p *policy) failed(t *target, a *upstream.Address, failure relay.Reason) {
	now := time.Now()
	t.set.Failed(a, now)
	t.lastFail.Store(&dialFailure{addr: a.Addr, reason: failure, at: now})
	p.logFails(t, now)
}

// Closed counts the connection's end and has it logged.
func (p *policy) Closed(s *relay.Summary) {
	ses := sessionOf(s.Flow)
	t, r := p.targetOf(s.Flow, ses), p.ruleOf(s.Flow)
	counts := r.unrouted
	if t != nil {
		counts = r.traffic(t)
	}
	r.ended(s, counts)
	if s.Attempts > 0 {
		t.leave()
	}
	if t != nil {
		p.noteStorm(t, s)
	}
	if s.Connected {
		s.Endpoint.Tag.(*endpoints).addr.Release()
		t.counters.duration.observe(s.Loop, s.Duration)
		if s.FirstByte > 0 {
			t.counters.firstByte.observe(s.Loop, s.FirstByte)
		}
	}
	p.access.log(s, ses, counts.upstream)
	if s.Reason.Refusal() || s.Reason == relay.LimitMemory {
		p.limitLog.refused(p, s, counts.upstream)
	}
	switch {
	case ses != nil:
		ses.move(s.Loop, nil)
		ses.end()
		s.Tag = nil
	case s.Attempts > 0:
		counts.cells[s.Loop].active.Add(-1)
	}
}

// ended counts a connection's end: as one refused, or as one that ended in counts.
func (r *rule) ended(s *relay.Summary, counts *traffic) {
	cell := r.counters.cells[s.Loop]
	switch {
	case s.Attempts > 0 || !s.Reason.Refusal():
		counts.cells[s.Loop].ended[s.Reason].Add(1)
	case s.Reason == relay.LimitConnections: // refused before Accepted was asked
		cell.accepted.Add(1)
		cell.refused[s.Reason].Add(1)
	default:
		cell.refused[s.Reason].Add(1)
	}
}
