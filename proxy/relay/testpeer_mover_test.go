package relay

import (
	"strconv"
	"sync"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// savedByTest is what the policy of the tests keeps beside the values that travel: old and new relay are in one process, and the
// policy is the same, so that it sees one life of each connection.
type savedByTest struct {
	mu        sync.Mutex
	endpoints []*Endpoint
	tags      map[uint64]any
	listeners map[string]*Listener
	poolless  bool // the endpoints of connections have no pool in the new relay
}

func (p *testPolicy) SaveEndpoint(ep *Endpoint) handoff.Endpoint {
	p.saved.mu.Lock()
	defer p.saved.mu.Unlock()
	p.saved.endpoints = append(p.saved.endpoints, ep)
	return handoff.Endpoint{Upstream: strconv.Itoa(len(p.saved.endpoints) - 1), Addr: ep.Addr}
}

func (p *testPolicy) SaveFlow(f *Flow) *handoff.Session {
	p.saved.mu.Lock()
	defer p.saved.mu.Unlock()
	if p.saved.tags == nil {
		p.saved.tags, p.saved.listeners = map[uint64]any{}, map[string]*Listener{}
	}
	p.saved.tags[f.ID] = f.Tag
	p.saved.listeners[f.Listener.Name] = f.Listener
	return &handoff.Session{Detail: strconv.FormatUint(f.ID, 10)}
}

func (p *testPolicy) TakeListener(name string) *Listener {
	p.saved.mu.Lock()
	defer p.saved.mu.Unlock()
	return p.saved.listeners[name]
}

func (p *testPolicy) TakeEndpoint(saved handoff.Endpoint, _ string, _ bool) *Endpoint {
	ep := p.TakeWarm(saved)
	if ep != nil && p.saved.poolless {
		without := *ep
		without.Warm = nil
		return &without
	}
	return ep
}

func (p *testPolicy) TakeWarm(saved handoff.Endpoint) *Endpoint {
	p.saved.mu.Lock()
	defer p.saved.mu.Unlock()
	i, err := strconv.Atoi(saved.Upstream)
	if err != nil {
		return nil
	}
	return p.saved.endpoints[i]
}

func (p *testPolicy) TakeFlow(f *Flow, saved *handoff.Session) {
	p.mu.Lock()
	if saved == nil || saved.Detail != strconv.FormatUint(f.ID, 10) || f.Listener == nil {
		p.fault(f, "taken with another's session: %+v", saved)
	}
	p.mu.Unlock()
	p.saved.mu.Lock()
	defer p.saved.mu.Unlock()
	f.Tag = p.saved.tags[f.ID]
}

var _ Mover = (*testPolicy)(nil)
