// Package upstream keeps the addresses of an upstream and their standing, and picks one for each connect attempt.
//
//	         attempt failed: avoided for 1s, 2s, 4s … 30s
//	usable ─────────────────────────────────────────────► failing
//	       ◄─────────────────────────────────────────────
//	         attempt connected
//
// A failing address is avoided for a while: it is picked only where no other is left, so that never all are out.
package upstream

import (
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// Address is one address of an upstream. It stays the same while the name keeps answering with it, and while
// connections to it are open.
type Address struct {
	Addr netip.AddrPort
	Tag  any // the owner's, set when the address is made

	active   atomic.Int64
	failures atomic.Uint32 // failed attempts in a row
	avoid    atomic.Int64  // until when it is failing, Unix nanoseconds
}

const (
	avoidFirst = time.Second
	avoidMax   = 30 * time.Second
)

// Active returns the connections and attempts that use the address now.
func (a *Address) Active() int64 { return a.active.Load() }

// Failures returns the attempts that failed in a row.
func (a *Address) Failures() uint32 { return a.failures.Load() }

// Avoided reports whether attempts at the address failed of late, so that another is preferred.
func (a *Address) Avoided(now time.Time) bool {
	return a.failures.Load() > 0 && now.UnixNano() < a.avoid.Load()
}

// Connected reports that an attempt succeeded.
func (a *Address) Connected() {
	if a.failures.Load() != 0 {
		a.failures.Store(0)
	}
}

// Failed reports that an attempt failed, for a reason that lies with the address.
func (a *Address) Failed(now time.Time) {
	n := a.failures.Add(1)
	d := avoidMax
	if n < 6 {
		d = min(avoidFirst<<(n-1), avoidMax)
	}
	a.avoid.Store(now.Add(d).UnixNano())
}

// Release ends a use that began with Pick.
func (a *Address) Release() { a.active.Add(-1) }

// Set is the addresses of one upstream. Pick may be called from any goroutine and takes no lock; Update takes one.
type Set struct {
	tag  func(*Address) any
	cur  atomic.Pointer[[]*Address]
	turn atomic.Uint32

	mu   sync.Mutex
	gone []*Address // out of the answer, still in use
}

// NewSet returns an empty set. tag makes the Tag of each address that joins; nil: none has one.
func NewSet(tag func(*Address) any) *Set {
	s := &Set{tag: tag}
	s.cur.Store(&[]*Address{})
	return s
}

// Update replaces the addresses. Those that were there before keep their standing.
func (s *Set) Update(addrs []netip.AddrPort) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known := append(slices.Clone(s.gone), *s.cur.Load()...)
	next := make([]*Address, 0, len(addrs))
	for _, ap := range addrs {
		i := slices.IndexFunc(known, func(a *Address) bool { return a.Addr == ap })
		if i >= 0 {
			next = append(next, known[i])
			known = slices.Delete(known, i, i+1)
			continue
		}
		a := &Address{Addr: ap}
		if s.tag != nil {
			a.Tag = s.tag(a)
		}
		next = append(next, a)
	}
	s.gone = slices.DeleteFunc(known, func(a *Address) bool { return a.Active() == 0 })
	s.cur.Store(&next)
}

// Addresses returns the current addresses. The slice is shared: read it only.
func (s *Set) Addresses() []*Address { return *s.cur.Load() }

// Pick chooses the address for an attempt and counts it as in use until Release: of those not in tried, the usable one
// with the fewest connections, else a failing one; where all were tried, the same among all. It returns nil if the set
// is empty.
func (s *Set) Pick(tried []*Address) *Address {
	list := *s.cur.Load()
	if len(list) == 1 {
		list[0].active.Add(1)
		return list[0]
	}
	best := choose(list, tried, time.Now(), s.turn.Add(1))
	if best != nil {
		best.active.Add(1)
	}
	return best
}

// choose ranks by: not tried before failing-free before fewest in use; turn rotates where the search starts, so that
// equals take turns.
func choose(list, tried []*Address, now time.Time, turn uint32) *Address {
	var best *Address
	var bestRank, bestActive int64
	for i := range list {
		a := list[(uint64(i)+uint64(turn))%uint64(len(list))]
		var rank int64
		if slices.Contains(tried, a) {
			rank += 2
		}
		if a.Avoided(now) {
			rank++
		}
		active := a.Active()
		if best == nil || rank < bestRank || rank == bestRank && active < bestActive {
			best, bestRank, bestActive = a, rank, active
		}
	}
	return best
}

// AllFailing reports whether there are addresses and the last attempt at every one failed, however long ago.
func (s *Set) AllFailing() bool {
	list := *s.cur.Load()
	for _, a := range list {
		if a.Failures() == 0 {
			return false
		}
	}
	return len(list) > 0
}
