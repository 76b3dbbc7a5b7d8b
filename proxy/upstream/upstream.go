// Package upstream keeps the addresses of an upstream and their standing, and picks one for each connect attempt.
//
//	          attempt failed: avoided for 1s, 2s, 4s … 30s        Outlier.Failures in a row
//	usable ─────────────────────────────────────────────► failing ─────────────────────────► ejected
//	 ▲ ▲ ▲    attempt connected                              │                                  │
//	 │ │ └───────────────────────────────────────────────────┘                                  │
//	 │ └──────────────────────────── slow start ◄── Outlier.Ejection over, or attempt connected ┘
//	 └────────── slow start ◄── Check.Rise checks passed ── check failed ◄── Check.Fall checks failed, from any of them
//
// A failing address is usable, and picked where no better one is left. An ejected one, and one whose check failed, is
// picked only by a connection that has tried all usable ones. An address is ejected only while another one is usable.
package upstream

import (
	"context"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Balance says how addresses of equal standing share the connections.
type Balance uint8

// The ways to balance.
const (
	LeastConn  Balance = iota // the one with the fewest connections; equals take turns
	RoundRobin                // each in turn
	First                     // the first, in the order of Update
)

// Outlier is passive ejection: an address is out for a while after attempts at it failed.
type Outlier struct {
	Failures          int           // attempts in a row that fail; 0: nothing is ejected
	Ejection          time.Duration // for how long; twice, three times … ten times as long if it fails again at once
	MaxEjectedPercent int           // of the primaries, and of the backups, 1 at least; 0: nothing is ejected
}

// Options of a Set; the zero value works.
type Options struct {
	Balance   Balance
	Outlier   Outlier
	Check     Check
	SlowStart time.Duration // how long an address that was out takes to get its full share again

	Tag func(*Address) any // makes the Tag of each address that joins; nil: none has one

	// OnChange hears of each address that goes out or comes back by a check or an ejection; the end of an ejection by
	// time is not told. It is called from loops and checks: it must not block, nor call the Set. Nil: nobody hears.
	OnChange func(Change)

	// OnRemoved is called, CloseAfter after an address left, while connections to it are open; again each second until
	// none is. It must not call the Set. Nil: they stay.
	OnRemoved  func(*Address)
	CloseAfter time.Duration
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
	opts Options
	cur  atomic.Pointer[snapshot]
	turn atomic.Uint32

	mu     sync.Mutex
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
	s := &Set{opts: o}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.cur.Store(&snapshot{})
	return s
}

// Update replaces the addresses. Those that were there before keep their standing; what is in both lists is a primary.
// Families are interleaved (RFC 8305, section 4), so that neither hides the other.
func (s *Set) Update(primaries, backups []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := append(slices.Clone(s.gone), s.cur.Load().list...)
	next := &snapshot{}
	join := func(addrs []netip.AddrPort) {
		for _, ap := range interleave(addrs) {
			if slices.ContainsFunc(next.list, func(a *Address) bool { return a.Addr == ap }) {
				continue
			}
			i := slices.IndexFunc(known, func(a *Address) bool { return a.Addr == ap })
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
	for _, a := range known {
		s.left(a)
	}
	s.gone = slices.DeleteFunc(known, func(a *Address) bool { return a.Active() == 0 })
	s.spare(time.Now())
}

func (s *Set) newAddress(ap netip.AddrPort) *Address {
	a := &Address{Addr: ap}
	if s.opts.Tag != nil {
		a.Tag = s.opts.Tag(a)
	}
	return a
}

// joined begins what goes on while an address is one of the set. The caller holds s.mu.
func (s *Set) joined(a *Address) {
	if a.closing != nil {
		a.closing.Stop()
		a.closing = nil
	}
	if a.stop == nil && s.opts.Check.Probe != nil && !s.closed && s.ctx.Err() == nil {
		var ctx context.Context
		ctx, a.stop = context.WithCancel(s.ctx)
		s.work.Go(func() { s.check(ctx, a) })
	}
}

// left ends it. The caller holds s.mu.
func (s *Set) left(a *Address) {
	if a.stop != nil {
		a.stop()
		a.stop = nil
	}
	if s.opts.OnRemoved != nil && a.closing == nil && a.Active() > 0 && !s.closed {
		a.closing = time.AfterFunc(s.opts.CloseAfter, func() { s.closeRemoved(a) })
	}
}

// closeAgain is how soon connections to a removed address are looked for again: one may have been dialed just as it left.
const closeAgain = time.Second

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

// Retire ends the checks, for a set that gets no new connections. Update still tells which addresses leave, and OnRemoved is
// called for them, until Close.
func (s *Set) Retire() { s.cancel() }

// InUse reports whether connections or attempts use one of the addresses, or one that left.
func (s *Set) InUse() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	used := func(a *Address) bool { return a.Active() > 0 }
	return slices.ContainsFunc(s.cur.Load().list, used) || slices.ContainsFunc(s.gone, used)
}

// Close ends the checks and returns when none runs any more, and when no callback does. Pick goes on.
func (s *Set) Close() {
	s.mu.Lock()
	s.closed = true
	for _, a := range s.gone {
		if a.closing != nil {
			a.closing.Stop()
		}
	}
	s.mu.Unlock()
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
