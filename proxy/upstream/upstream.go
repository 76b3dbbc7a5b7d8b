// Package upstream keeps the addresses of an upstream and their standing, and picks one for each connect attempt.
//
//	          attempt failed: avoided for 1s, 2s, 4s … 30s        Outlier.Failures in a row
//	usable ─────────────────────────────────────────────► failing ─────────────────────────► ejected
//	 ▲ ▲ ▲    attempt connected                              │                                  │
//	 │ │ └───────────────────────────────────────────────────┘                                  │
//	 │ └──────────────────────────── slow start ◄── Outlier.Ejection over, or attempt connected ┘
//	 └────────── slow start ◄── Check.Rise checks passed ── check failed ◄── Check.Fall checks failed, from any of them
//
// With a check, an address is unchecked until its first one ends: it is used, others are preferred, and it proves nothing.
// A failing address is usable, and picked where there is no better one. An ejected one, and one whose check failed, is picked
// only by a connection that has tried all usable ones. An address is ejected only while another one is usable.
package upstream

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Outlier is passive ejection: an address is out for a while after attempts at it failed.
type Outlier struct {
	Failures          int           // attempts in a row that must fail; 0: nothing is ejected
	Ejection          time.Duration // how long the first ejection lasts; the next in a row twice, three times … ten times as long
	MaxEjectedPercent int           // of the primaries, and of the backups; one at least. 0: nothing is ejected
}

// Options of a Set; the zero value works.
type Options struct {
	Balance   Balance
	Outlier   Outlier
	Check     Check
	SlowStart time.Duration // how long an address that was out takes to get its full share again

	Tag func(*Address) any // makes the Tag of each address that joins; nil: none has one

	// OnChange is called for each address that goes out or comes back by a check or an ejection, but not when an ejection by attempts
	// ends by time. Loops and checks call it: it must not block, nor call the Set. May be nil.
	OnChange func(Change)

	// OnRemoved is called for an address that left while connections to it are open: CloseAfter later, then each second
	// until none is. It must not call the Set. Nil: these connections stay.
	OnRemoved  func(*Address)
	CloseAfter time.Duration

	// Saved are the standings of addresses in the process before, which addresses that join go on with.
	Saved []Saved

	// Before is the set that this one is to replace: addresses of both share their standing and their count of connections.
	// Nothing else changes for Before until Succeed. May be nil.
	Before *Set
}

// Change tells that an address went out or came back.
type Change struct {
	Addr   netip.AddrPort
	State  State // StateUsable: it is back
	Why    string
	Others int // usable addresses besides this one
}

// Set is the addresses of one upstream. Pick and Connected may be called from any goroutine and take no lock, Failed
// takes one only to eject.
type Set struct {
	opts   Options
	cur    atomic.Pointer[snapshot]
	turn   atomic.Uint32
	manual *manual
	again  atomic.Pointer[chan struct{}] // closed by Recheck, and replaced

	mu     sync.Mutex
	before *Set       // Options.Before until Succeed
	gone   []*Address // out of the answer, in use when they left
	closed bool
	ctx    context.Context
	cancel context.CancelFunc
	work   sync.WaitGroup
}

// snapshot is an immutable list of addresses: the primaries first, then the backups.
type snapshot struct {
	list      []*Address
	primaries int
}

// NewSet returns an empty set. The caller ends its checks with Close.
func NewSet(o Options) *Set {
	s := &Set{opts: o, before: o.Before, manual: &manual{out: map[netip.AddrPort]ejection{}}}
	if o.Before != nil {
		s.manual = o.Before.manual
	} else {
		s.manual.set = s
	}
	for i := range o.Saved {
		if v := &o.Saved[i]; v.Manual != 0 {
			s.manual.recall(v.Addr, v.Manual)
		}
	}
	s.opts.Before = nil
	again := make(chan struct{})
	s.again.Store(&again)
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.cur.Store(&snapshot{})
	return s
}

// Update replaces the addresses. Those that were there before keep their standing; one that is in both lists is a primary.
// Families are interleaved (RFC 8305, section 4), so that neither hides the other.
func (s *Set) Update(primaries, backups []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := append(slices.Clone(s.gone), s.cur.Load().list...)
	next := &snapshot{}
	join := func(addrs []netip.AddrPort) {
		for _, ap := range interleave(addrs) {
			if indexOf(next.list, ap) >= 0 {
				continue
			}
			i := indexOf(known, ap)
			if i < 0 {
				next.list = append(next.list, s.newAddress(ap))
				continue
			}
			next.list = append(next.list, known[i])
			known = slices.Delete(known, i, i+1)
		}
	}
	join(primaries)
	next.primaries = len(next.list)
	join(backups)
	s.cur.Store(next)
	for _, a := range next.list {
		s.joined(a)
	}
	s.gone = nil
	for _, a := range known {
		s.left(a)
	}
	s.endEjections(time.Now())
}

// indexOf returns the place of an address in list, -1 if it has none.
func indexOf(list []*Address, ap netip.AddrPort) int {
	return slices.IndexFunc(list, func(a *Address) bool { return a.Addr == ap })
}

// newAddress makes an address that joins. The caller holds s.mu.
func (s *Set) newAddress(ap netip.AddrPort) *Address {
	a := &Address{Addr: ap, record: new(record)}
	s.recall(a)
	if s.before != nil {
		if had := s.before.find(ap); had != nil {
			a.record, a.inherited = had.record, true
			a.trusted = s.before.proven(had)
		}
	}
	a.manual.Store(s.manual.of(ap))
	if s.opts.Tag != nil {
		a.Tag = s.opts.Tag(a)
	}
	return a
}

// joined begins the check of an address of the set, and keeps its connections. The caller holds s.mu.
func (s *Set) joined(a *Address) {
	a.keep()
	a.leftAt = time.Time{}
	if !s.closed {
		s.manual.endInTime(a.Addr)
	}
	if a.stop == nil && !a.inherited && s.opts.Check.Probe != nil && !s.closed {
		var ctx context.Context
		ctx, a.stop = context.WithCancel(s.ctx)
		s.work.Go(func() { s.check(ctx, a) })
	}
}

// keep ends the wait for the moment when the connections to a removed address are closed. The caller holds the set's mu.
func (a *Address) keep() {
	if a.closing != nil {
		a.closing.Stop()
		a.closing = nil
	}
}

// left ends the check of an address that is not of the set any more, and has its connections closed later if OnRemoved asks
// for it. An address that is not in use is forgotten. The caller holds s.mu.
func (s *Set) left(a *Address) {
	if a.stop != nil {
		a.stop()
		a.stop = nil
	}
	if a.Active() == 0 || a.inherited { // the connections of an inherited one are Before's still
		a.keep()
		return
	}
	s.gone = append(s.gone, a)
	s.closeLater(a)
}

// closeLater has the connections to a removed address closed CloseAfter later than it left, if OnRemoved asks for it. It may have left
// a set before this one: reloads must not put the end off. The caller holds s.mu.
func (s *Set) closeLater(a *Address) {
	if a.leftAt.IsZero() {
		a.leftAt = time.Now()
	}
	if s.opts.OnRemoved != nil && a.closing == nil && !s.closed {
		a.closing = time.AfterFunc(s.opts.CloseAfter-time.Since(a.leftAt), func() { s.closeRemoved(a) })
	}
}

// closeAgain is how soon connections to a removed address are looked for again: one may have been dialed just as it left.
const closeAgain = time.Second

// closeRemoved calls OnRemoved for an address that left, and again each second while connections to it are open.
func (s *Set) closeRemoved(a *Address) {
	s.mu.Lock()
	if s.closed || a.closing == nil {
		s.mu.Unlock()
		return
	}
	if a.Active() == 0 {
		a.closing = nil
		s.mu.Unlock()
		return
	}
	s.work.Add(1)
	a.closing.Reset(closeAgain)
	s.mu.Unlock()
	defer s.work.Done()
	s.opts.OnRemoved(a)
}

// Close ends the checks and returns when none runs any more, and when no callback does. Addresses are picked still.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	for _, a := range s.gone {
		a.keep()
	}
	s.mu.Unlock()
	s.manual.close(s)
	s.cancel()
	s.work.Wait()
}

// interleave alternates between the families, beginning with that of the first address.
func interleave(addrs []netip.AddrPort) []netip.AddrPort {
	var own, other []netip.AddrPort
	for _, a := range addrs {
		if a.Addr().Is4() == addrs[0].Addr().Is4() {
			own = append(own, a)
		} else {
			other = append(other, a)
		}
	}
	out := make([]netip.AddrPort, 0, len(addrs))
	for i := range max(len(own), len(other)) {
		out = append(out, own[min(i, len(own)):min(i+1, len(own))]...)
		out = append(out, other[min(i, len(other)):min(i+1, len(other))]...)
	}
	return out
}
