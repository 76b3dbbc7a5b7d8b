package proxy

import (
	"net/netip"
	"sync"

	"github.com/l4fwd/l4fwd/proxy/limit"
	"github.com/l4fwd/l4fwd/proxy/preface"
	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// visit is what the policy keeps of a connection, in Flow.Tag, from Accepted to Closed. Connections of listeners without
// PROXY headers, routes and limits of sources have none, or one once an attempt to dial fails. It belongs to the
// connection's loop. Those have the rule as Tag instead.
type visit struct {
	rule   *rule          // of when it was accepted
	target *target        // nil until it is known
	counts *pair          // where it counts as active; nil: nowhere yet
	ticket limit.Ticket   // of its source
	parser preface.Parser // its Result is kept
	detail string         // what was wrong with the preface
	tried  []*upstream.Address
}

var visits = sync.Pool{New: func() any { return new(visit) }}

func newVisit(f *relay.Flow, r *rule) *visit {
	v := visits.Get().(*visit)
	tried := v.tried[:0]
	*v = visit{rule: r, tried: tried}
	v.parser.Config = r.preface
	f.Tag = v
	return v
}

// visitOf returns the connection's visit, nil if it has none.
func visitOf(f *relay.Flow) *visit {
	v, _ := f.Tag.(*visit) // else it is the rule, or nothing before Accepted
	return v
}

// end gives back what the visit holds. It must not be used any more.
func (v *visit) end() {
	v.rule.gate.sources.LeaveSource(v.ticket)
	clear(v.tried[:cap(v.tried)])
	*v = visit{tried: v.tried[:0]}
	visits.Put(v)
}

// move counts the connection as an active one of p.
func (v *visit) move(loop int, p *pair) {
	if v.counts == p {
		return
	}
	if v.counts != nil {
		v.counts.cells[loop].active.Add(-1)
	}
	if p != nil {
		p.cells[loop].active.Add(1)
	}
	v.counts = p
}

// source is where the connection comes from in truth.
func (v *visit) source(f *relay.Flow) netip.AddrPort {
	if s := v.parser.Result.Source; s.IsValid() {
		return s
	}
	return f.Client
}

// enter counts the connection as one of its source. It returns false if the source has as many as it may have.
func (v *visit) enter(from netip.Addr) bool {
	ticket, ok := v.rule.gate.sources.EnterSource(from)
	v.ticket = ticket
	return ok
}

// judge applies the rules to a client whose preface is complete, and chooses its upstream.
func (v *visit) judge(f *relay.Flow) relay.Reason {
	r, found := v.rule, &v.parser.Result
	if r.preface.Proxy != ProxyOff {
		if !r.admits(v.source(f).Addr()) {
			return relay.SourceDenied
		}
		if !r.endpoints.Admits(found.VPCE) {
			return relay.VPCEDenied
		}
	}
	if v.target = r.route(found.SNI); v.target == nil {
		return relay.SNIUnlisted
	}
	if r.preface.Proxy != ProxyOff && !v.enter(v.source(f).Addr()) {
		return relay.LimitSource
	}
	return relay.None
}

// reasonOf translates what preface says. Its list is closed, as the relay's is.
var reasonOf = [...]relay.Reason{
	preface.None:               relay.None,
	preface.ProxyHeaderBad:     relay.ProxyHeaderBad,
	preface.ProxyHeaderMissing: relay.ProxyHeaderMissing,
	preface.HelloBad:           relay.HelloBad,
	preface.SNIMissing:         relay.SNIMissing,
	preface.PrefaceTimeout:     relay.PrefaceTimeout,
	preface.Probe:              relay.Probe,
}
