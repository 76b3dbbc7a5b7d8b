// Package limit refuses connections beyond a limit: the open connections of one source, and new connections a second. The
// relay counts all open connections itself.
//
// Limits are set for a Scope: the process, or one listener. All loops call its methods at once. They wait for nothing and start
// nothing. Limits may change at any time; open connections stay open and stay counted.
package limit

import (
	"fmt"
	"math"
	"net/netip"
	"time"
)

// Limits of a scope. Zero means no limit.
type Limits struct {
	PerSource int // open at once of one source: an IPv4 address, an IPv6 /64
	Rate      int // admitted a second, over time; up to as many at once; at most MaxRate
}

// MaxRate is the highest rate that can be set, in connections a second.
const MaxRate = 1_000_000

// Check reports an error if a limit is out of range.
func (l Limits) Check() error {
	switch {
	case l.PerSource < 0 || l.Rate < 0:
		return fmt.Errorf("limits must not be negative: %+v", l)
	case l.Rate > MaxRate:
		return fmt.Errorf("a rate of %d connections a second is more than %d", l.Rate, MaxRate)
	}
	return nil
}

// Scope counts. Its zero value has no limits and is ready; it must not be copied.
type Scope struct {
	rate    bucket
	sources sources
}

// SetLimits replaces the limits, which must pass Check. Connections beyond a lowered one are not closed: none is
// admitted until enough have ended.
func (s *Scope) SetLimits(l Limits) error {
	if err := l.Check(); err != nil {
		return err
	}
	s.rate.set(l.Rate)
	s.sources.max.Store(int64(l.PerSource))
	return nil
}

// Admit reports whether the rate allows another connection, which is counted then.
func (s *Scope) Admit() bool { return s.rate.allow() }

// Taken returns what is taken of the rate: how long it takes to come back. Take takes as much.
func (s *Scope) Taken() time.Duration { return s.rate.taken() }

// Take takes what Taken returned in another process. It is called after SetLimits.
func (s *Scope) Take(d time.Duration) { s.rate.take(d) }

// EnterSource counts a connection of a source, which may be known from a PROXY header. ok is false if the source has as many as
// it may have. While there is no limit nothing is counted, and the connections of that time are not counted later. The caller
// gives each ticket to LeaveSource once. The zero ticket, which refused and uncounted connections get, may be given, too.
func (s *Scope) EnterSource(a netip.Addr) (t Ticket, ok bool) {
	most := s.sources.max.Load()
	if most == 0 {
		return Ticket{}, true
	}
	t = ticketOf(a)
	if !s.sources.acquire(t, most) {
		return Ticket{}, false
	}
	return t, true
}

// Reenter counts a connection of a source that another process had admitted, whatever the limit is now. While there is none it
// is not counted.
func (s *Scope) Reenter(a netip.Addr) (t Ticket) {
	if s.sources.max.Load() != 0 {
		t = ticketOf(a)
		s.sources.acquire(t, math.MaxInt64)
	}
	return t
}

// LeaveSource gives back what EnterSource took.
func (s *Scope) LeaveSource(t Ticket) {
	if t != (Ticket{}) {
		s.sources.release(t)
	}
}

// Sources returns how many sources have connections that are counted. It locks each part of the table in turn.
func (s *Scope) Sources() int { return s.sources.count() }
