package proxy

import (
	"slices"

	"github.com/l4fwd/l4fwd/proxy/relay"
	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// dialBeside picks an address to try beside those that have not answered yet, within connect.attempts. nil: there is none,
// and the connection waits for those.
func (p *policy) dialBeside(f *relay.Flow, ses *session, t *target) *relay.Endpoint {
	if f.Attempts >= t.attempts(f) {
		return nil
	}
	if ses == nil {
		ses = newSession(f, p.ruleOf(f))
		ses.counts = ses.rule.traffic(t)
	}
	ses.addTried(f.Endpoint.Tag.(*endpoints).addr)
	addr := t.set.PickBeside(ses.tried)
	if addr == nil {
		return nil
	}
	ses.addTried(addr)
	return addr.Tag.(*endpoints).of(ses.counts)
}

// attempts is how many attempts a connection may make.
func (t *target) attempts(f *relay.Flow) int {
	if f.Stale {
		return t.opts.Attempts + 1 // the warm connection that proved dead is none of its attempts
	}
	return t.opts.Attempts
}

// addTried notes that an attempt at an address was begun, or has failed, so that the next one goes elsewhere.
func (s *session) addTried(a *upstream.Address) {
	if !slices.Contains(s.tried, a) {
		s.tried = append(s.tried, a)
	}
}
