// Package limit counts connections and turns away those beyond a limit: open ones, open ones of one source, new ones a
// second.
//
// A Scope is what limits are set for: the process, or one listener. Its methods are called from all loops at once, wait
// for nothing, and start nothing. Limits may change at any time; what is open stays open and stays counted.
package limit

import (
	"fmt"
	"net/netip"
	"sync/atomic"
)

// Limits of a scope. Zero means no limit.
type Limits struct {
	Connections int // open at once
	PerSource   int // open at once of one source: an IPv4 address, an IPv6 /64
	Rate        int // admitted a second, over time; up to as many at once; at most MaxRate
}

// MaxRate is the highest rate that can be set, in connections a second.
const MaxRate = 1_000_000

// Check reports an error if a limit is out of range.
func (l Limits) Check() error {
	switch {
	case l.Connections < 0 || l.PerSource < 0 || l.Rate < 0:
		return fmt.Errorf("limits must not be negative: %+v", l)
	case l.Rate > MaxRate:
		return fmt.Errorf("a rate of %d connections a second is more than %d", l.Rate, MaxRate)
	}
	return nil
}

// Refusal says which limit was reached.
type Refusal uint8

// None admits.
const (
	None Refusal = iota
	Connections
	Source
	Rate
)

var refusalText = [...]string{None: "", Connections: "limit_connections", Source: "limit_source", Rate: "limit_rate"}

// String returns the refusal as metrics and logs spell it; None is the empty string.
func (r Refusal) String() string {
	if int(r) >= len(refusalText) {
		return "internal"
	}
	return refusalText[r]
}

// Scope counts. Its zero value has no limits and is ready; it must not be copied.
type Scope struct {
	max     atomic.Int64 // connections
	_       [56]byte     // what is read only stays in a cache line that is not written
	open    atomic.Int64
	_       [56]byte
	rate    bucket
	sources sources
}

// SetLimits replaces the limits, which must pass Check. Connections beyond a lowered one are not closed: none is
// admitted until enough have ended.
func (s *Scope) SetLimits(l Limits) error {
	if err := l.Check(); err != nil {
		return err
	}
	s.max.Store(int64(l.Connections))
	s.rate.set(l.Rate)
	s.sources.max.Store(int64(l.PerSource))
	return nil
}

// Enter admits a connection to all of the scopes or to none, and refuses it for Connections or Rate. Each admitted one is
// followed by exactly one Leave of the same scopes. Where the last of several scopes refuses for its rate, the others
// have spent their share all the same.
func Enter(scopes ...*Scope) Refusal {
	for i, s := range scopes {
		if !s.acquire() {
			Leave(scopes[:i]...)
			return Connections
		}
	}
	for _, s := range scopes {
		if !s.rate.allow() {
			Leave(scopes...)
			return Rate
		}
	}
	return None
}

// Admit takes a connection of the rate alone. It returns false if there is none left.
func (s *Scope) Admit() bool { return s.rate.allow() }

// Leave gives back what Enter took.
func Leave(scopes ...*Scope) {
	for _, s := range scopes {
		s.open.Add(-1)
	}
}

// acquire is exact: it refuses only if the limit is reached, and never lets one more in.
func (s *Scope) acquire() bool {
	for {
		n, most := s.open.Load(), s.max.Load()
		if most == 0 {
			s.open.Add(1)
			return true
		}
		if n >= most {
			return false
		}
		if s.open.CompareAndSwap(n, n+1) {
			return true
		}
	}
}

// Open returns how many connections have entered and not left.
func (s *Scope) Open() int64 { return s.open.Load() }

// EnterSource counts a connection of a source, once that is known: it may come from a PROXY header. It refuses for
// Source. While there is no limit nothing is counted, and the connections of that time are not counted later either.
// Each ticket is to be given to LeaveSource once; the zero one, which refusals and uncounted connections get, may be.
func (s *Scope) EnterSource(a netip.Addr) (Ticket, Refusal) {
	most := s.sources.max.Load()
	if most == 0 {
		return Ticket{}, None
	}
	t := ticketOf(a)
	if !s.sources.acquire(t, most) {
		return Ticket{}, Source
	}
	return t, None
}

// LeaveSource gives back what EnterSource took.
func (s *Scope) LeaveSource(t Ticket) {
	if t != (Ticket{}) {
		s.sources.release(t)
	}
}

// Sources returns how many sources have connections that are counted. It locks each part of the table in turn.
func (s *Scope) Sources() int { return s.sources.count() }
