package relay

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"
)

func itoa(n int64) string { return strconv.FormatInt(n, 10) }

// testPolicy is the Handler of the tests: fixed endpoints in their order, verdicts by function, summaries on a channel.
// It also watches that the engine keeps the contract of Handler.
type testPolicy struct {
	endpoints []*Endpoint                     // dialed in this order, once each
	accepted  func(*Flow) Reason              // nil: everybody may enter
	wants     func(*Flow) bool                // whether preface is asked; nil: no
	preface   func(*Flow, []byte) Verdict     // nil: no more bytes wanted, none skipped
	dial      func(*Flow) (*Endpoint, Reason) // nil: endpoints
	summaries chan ended
	saved     savedByTest

	mu     sync.Mutex
	flows  map[uint64]*flowLog // by Flow.ID
	faults []string            // breaches of the contract
}

// flowLog is what the policy was told of one connection.
type flowLog struct {
	accepted int
	dialed   []Reason    // how each attempt ended; None: connected
	pending  []*Endpoint // between Dial and Dialed
	failure  Reason      // how the last attempt that was not beaten failed
	closed   bool
}

// ended is a Summary with what is only valid during the call made permanent.
type ended struct {
	Summary
	Flow  Flow
	Local netip.AddrPort
	Log   flowLog
}

func newTestPolicy(endpoints ...*Endpoint) *testPolicy {
	return &testPolicy{
		endpoints: endpoints,
		summaries: make(chan ended, 1<<16),
		flows:     map[uint64]*flowLog{},
	}
}

func (p *testPolicy) fault(f *Flow, format string, args ...any) {
	p.faults = append(p.faults, fmt.Sprintf("connection %d: ", f.ID)+fmt.Sprintf(format, args...))
}

// log returns the log of a connection; p.mu is held.
func (p *testPolicy) log(f *Flow) *flowLog {
	l := p.flows[f.ID]
	if l == nil {
		l = &flowLog{}
		p.flows[f.ID] = l
	}
	if l.closed {
		p.fault(f, "a call after Closed")
	}
	return l
}

func (p *testPolicy) Accepted(f *Flow) Reason {
	p.mu.Lock()
	l := p.log(f)
	if l.accepted++; l.accepted > 1 {
		p.fault(f, "Accepted called again")
	}
	if f.Client.Addr().Is4In6() || !f.Client.IsValid() || f.Listener == nil {
		p.fault(f, "bad flow: client %v, listener %v", f.Client, f.Listener)
	}
	p.mu.Unlock()
	f.Preface = p.wants != nil && p.wants(f)
	if p.accepted != nil {
		return p.accepted(f)
	}
	return None
}

func (p *testPolicy) Preface(f *Flow, b []byte) Verdict {
	if p.preface == nil {
		return Verdict{}
	}
	return p.preface(f, b)
}

func (p *testPolicy) Dial(f *Flow) (*Endpoint, Reason) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.log(f)
	if len(l.pending) != int(f.Pending) || l.accepted == 0 || f.Attempts != len(l.dialed)+int(f.Pending) {
		p.fault(f, "Dial at the wrong time, attempts %d, pending %d: %+v", f.Attempts, f.Pending, *l)
	}
	if n := len(l.dialed); n > 0 && f.Failure != l.failure {
		p.fault(f, "Dial with failure %v after %v", f.Failure, l.dialed[n-1])
	}
	ep, r := p.next(f)
	if ep != nil {
		l.pending = append(l.pending, ep)
	}
	return ep, r
}

func (p *testPolicy) next(f *Flow) (*Endpoint, Reason) {
	switch {
	case p.dial != nil:
		return p.dial(f)
	case f.Attempts < len(p.endpoints):
		return p.endpoints[f.Attempts], None
	case f.Failure != None:
		return nil, f.Failure
	}
	return nil, NoAddress
}

func (p *testPolicy) Dialed(f *Flow, failure Reason, took time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	l := p.log(f)
	i := slices.Index(l.pending, f.Endpoint)
	if i < 0 && f.Warm { // the policy chose one at another address, see Keeper.Choose
		i = len(l.pending) - 1
	}
	if i < 0 || f.Endpoint == nil || f.Attempts != len(l.dialed)+len(l.pending) || took < 0 {
		p.fault(f, "Dialed at the wrong time, attempts %d, took %v: %+v", f.Attempts, took, *l)
	} else {
		l.pending = slices.Delete(l.pending, i, i+1)
	}
	l.dialed = append(l.dialed, failure)
	if failure != Outpaced && failure != Superseded {
		l.failure = failure
	}
}

func (p *testPolicy) Closed(s *Summary) {
	e := ended{Summary: *s, Flow: *s.Flow, Local: s.Local()}
	e.Summary.Flow = &e.Flow
	p.mu.Lock()
	l := p.log(s.Flow)
	if l.closed || len(l.pending) > 0 || s.Reason == None {
		p.fault(s.Flow, "Closed at the wrong time, reason %v: %+v", s.Reason, *l)
	}
	if s.Attempts != len(l.dialed) {
		p.fault(s.Flow, "%d attempts, but %d were reported", s.Attempts, len(l.dialed))
	}
	p.checkSummary(s, &e)
	l.closed = true
	e.Log = *l
	p.mu.Unlock()
	p.summaries <- e
}

// checkSummary holds what is true of every summary.
func (p *testPolicy) checkSummary(s *Summary, e *ended) {
	switch {
	case s.Warm && s.Connect != 0, !s.Warm && s.Connected != (s.Connect > 0):
		p.fault(s.Flow, "connected %v after %v", s.Connected, s.Connect)
	case s.Connected != e.Local.IsValid():
		p.fault(s.Flow, "connected %v from %v", s.Connected, e.Local)
	case !s.Connected && s.Up+s.Down > 0, s.Down > 0 && s.FirstByte <= 0:
		p.fault(s.Flow, "impossible: %+v", *s)
	case s.Opened.IsZero(), s.FirstByte > s.Duration, s.Connect > s.Duration:
		p.fault(s.Flow, "times do not fit: %+v", *s)
	}
}

// breaches returns how the engine broke the contract, once no connection is open any more.
func (p *testPolicy) breaches() []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	for id, l := range p.flows {
		if !l.closed {
			p.faults = append(p.faults, fmt.Sprintf("connection %d: never closed: %+v", id, *l))
		}
	}
	return p.faults
}

// take returns the next summary.
func (p *testPolicy) take(t testing.TB) ended {
	t.Helper()
	select {
	case e := <-p.summaries:
		return e
	case <-time.After(patience):
		t.Fatal("waited in vain for a summary")
		panic("unreachable")
	}
}

// discard takes summaries that nobody looks at, so that Closed never has to wait, until stop is closed.
func (p *testPolicy) discard(stop chan struct{}) {
	for {
		select {
		case <-p.summaries:
		case <-stop:
			return
		}
	}
}
