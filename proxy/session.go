package proxy

import (
	"net/netip"
	"sync"

	"github.com/l4fwd/l4fwd/proxy/limit"
	"github.com/l4fwd/l4fwd/proxy/preface"
	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// session is what the policy knows of one client: how it was judged, where it goes, what was tried for it. It is in
// Flow.Tag from Accepted to Closed and belongs to the connection's loop. Listeners without PROXY headers, routes and limits
// of sources need none: there Flow.Tag is the rule, until an attempt to dial fails.
type session struct {
	rule   *rule          // the one in force when the client was accepted
	target *target        // nil until the upstream is known
	counts *traffic       // where the connection counts as active; nil: nowhere yet
	ticket limit.Ticket   // counts the connection as one of its source
	parser preface.Parser // holds what the first bytes said
	detail string         // what was wrong with the first bytes, for the access log
	tried  []*upstream.Address
}

var sessions = sync.Pool{New: func() any { return new(session) }}

// newSession makes the session of a connection and puts it into its Flow.
func newSession(f *relay.Flow, r *rule) *session {
	s := sessions.Get().(*session)
	tried := s.tried[:0]
	*s = session{rule: r, tried: tried}
	s.parser.Config = r.preface
	f.Tag = s
	return s
}

// sessionOf returns the connection's session, nil if it has none.
func sessionOf(f *relay.Flow) *session {
	s, _ := f.Tag.(*session) // otherwise the rule, or nothing before Accepted
	return s
}

// end gives back the ticket and the session itself, which must not be used any more.
func (s *session) end() {
	s.rule.counters.sources.LeaveSource(s.ticket)
	clear(s.tried[:cap(s.tried)])
	*s = session{tried: s.tried[:0]}
	sessions.Put(s)
}

// move counts the connection as active in to, and no longer where it counted before; nil: nowhere.
func (s *session) move(loop int, to *traffic) {
	if s.counts == to {
		return
	}
	if s.counts != nil {
		s.counts.cells[loop].active.Add(-1)
	}
	if to != nil {
		to.cells[loop].active.Add(1)
	}
	s.counts = to
}

// source is the client's address: the one that the PROXY header names, or that of the connection.
func (s *session) source(f *relay.Flow) netip.AddrPort {
	if from := s.parser.Result.Source; from.IsValid() {
		return from
	}
	return f.Client
}

// enter counts the connection as one of its source. It returns false if the source has as many as it may have.
func (s *session) enter(from netip.Addr) bool {
	ticket, ok := s.rule.counters.sources.EnterSource(from)
	s.ticket = ticket
	return ok
}

// judge applies the rule to a client whose first bytes are complete, and chooses its upstream. None admits the client.
func (s *session) judge(f *relay.Flow) relay.Reason {
	r, found := s.rule, &s.parser.Result
	if r.preface.Proxy != ProxyOff {
		if !r.admits(s.source(f).Addr()) {
			return relay.SourceDenied
		}
		if !r.endpoints.Admits(found.VPCE) {
			return relay.VPCEDenied
		}
	}
	if s.target = r.route(found.SNI); s.target == nil {
		return relay.SNIUnlisted
	}
	if r.preface.Proxy != ProxyOff && !s.enter(s.source(f).Addr()) {
		return relay.LimitSource
	}
	return relay.None
}

// reasonOf is the relay's reason for each reason of preface. Both lists are closed.
var reasonOf = [...]relay.Reason{
	preface.None:               relay.None,
	preface.ProxyHeaderBad:     relay.ProxyHeaderBad,
	preface.ProxyHeaderMissing: relay.ProxyHeaderMissing,
	preface.HelloBad:           relay.HelloBad,
	preface.SNIMissing:         relay.SNIMissing,
	preface.PrefaceTimeout:     relay.PrefaceTimeout,
	preface.Probe:              relay.Probe,
}
