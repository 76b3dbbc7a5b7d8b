package upstream

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"syscall"
	"time"
)

// Probe asks an address whether it works: nil means that it does. Operators read the error as it is. It must return when ctx
// ends.
type Probe func(ctx context.Context, addr netip.AddrPort) error

// Check is active checking: each address has a goroutine that probes it until the address leaves the set.
type Check struct {
	Probe    Probe         // nil: nothing is checked
	Interval time.Duration // from the end of one check to the next, up to a tenth shorter or longer
	Timeout  time.Duration // of one check
	Rise     int           // checks in a row that must pass before an address that failed is used again
	Fall     int           // checks in a row that must fail before an address is out; the first check of an address decides alone
}

// firstCheck is the longest time until an address is checked for the first time: soon, but not all addresses at once.
const firstCheck = time.Second

// check probes an address until ctx ends.
func (s *Set) check(ctx context.Context, a *Address) {
	c := s.opts.Check
	var run streak
	wait := time.NewTimer(soon(c.Interval))
	defer wait.Stop()
	for first := true; ; first = false {
		again := s.again.Load()
		select {
		case <-ctx.Done():
			return
		case <-*again:
			wait.Reset(soon(c.Interval))
			continue
		case <-wait.C:
		}
		probing, cancel := context.WithTimeout(ctx, c.Timeout)
		err := c.Probe(probing, a.Addr)
		cancel()
		if ctx.Err() != nil {
			return // cut short: says nothing of the address
		}
		if !isOfThisHost(err) {
			s.verdict(a, &run, err)
		}
		wait.Reset(next(c.Interval, first))
	}
}

// soon is when an address is checked that must not wait for a whole interval.
func soon(interval time.Duration) time.Duration { return rand.N(min(interval/10, firstCheck) + 1) }

// next is the time from one check to the next. The second check of an address comes at any moment of an interval, since the
// instances of a fleet, and the addresses of an upstream, often begin together and are not to ask in step.
func next(interval time.Duration, first bool) time.Duration {
	if first {
		return interval/2 + rand.N(interval/2+1)
	}
	return interval - interval/10 + rand.N(interval/5+1)
}

// Recheck has every address checked soon, without waiting for the rest of the interval: something changed on the way there.
func (s *Set) Recheck() {
	fresh := make(chan struct{})
	close(*s.again.Swap(&fresh))
}

// isOfThisHost reports whether a check failed because something is short on this machine: descriptors, memory, local ports.
// That says nothing of the address, and to take it out would make things worse.
func isOfThisHost(err error) bool {
	for _, here := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, here) {
			return true
		}
	}
	return false
}

// streak counts the checks in a row that ended alike.
type streak struct {
	good, bad int
	since     int64 // of the last failed attempt that is known: record.avoid
	after     int   // checks begun and passed after it
}

// verdict applies the outcome of a check to the address's standing.
func (s *Set) verdict(a *Address, run *streak, err error) {
	first := !a.checked.Swap(true) && !a.trusted
	down := a.down.Load()
	now := time.Now()
	if err == nil {
		run.good, run.bad = run.good+1, 0
		if down != nil && run.good >= s.opts.Check.Rise {
			s.rise(a, now)
			s.notify(s.change(a, StateUsable, "its check passes", now))
		}
		s.forgive(a, run)
		return
	}
	run.good, run.bad, run.after = 0, run.bad+1, 0
	why := fmt.Sprintf("check failed: %v", err)
	switch {
	case down != nil:
		a.down.Store(&Down{Why: why, Since: down.Since})
	case first, run.bad >= s.opts.Check.Fall:
		a.down.Store(&Down{Why: why, Since: now})
		s.mu.Lock()
		s.endEjections(now)
		s.mu.Unlock()
		s.notify(s.change(a, StateDown, why, now))
	}
}

// forgive ends the row of failed attempts at an address whose check has passed as often since the last of them as one that was out
// needs. Without it an address that no client wants would count as failing for ever. An ejection ends by its own time.
func (s *Set) forgive(a *Address, run *streak) {
	switch last := a.avoid.Load(); {
	case a.failures.Load() == 0 || a.ejected.Load() != 0:
	case last != run.since: // this check may have begun before it
		run.since, run.after = last, 0
	default:
		if run.after++; run.after >= s.opts.Check.Rise {
			a.failures.Store(0)
		}
	}
}

// rise has an address used again. What attempts met while its check failed counts no more: connecting works again.
func (s *Set) rise(a *Address, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.failures.Store(0)
	a.ejections.Store(0)
	a.ejected.Store(0)
	a.back.Store(stamp(now))
	a.down.Store(nil)
}
