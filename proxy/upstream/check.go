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

// Probe asks an address whether it works. The error is told to operators as it is. It must return when ctx ends.
type Probe func(ctx context.Context, addr netip.AddrPort) error

// Check is active checking: each address has a goroutine that probes it until it leaves the set.
type Check struct {
	Probe    Probe         // nil: nothing is checked
	Interval time.Duration // from the end of one check to the next, up to a tenth shorter or longer
	Timeout  time.Duration // of one check
	Rise     int           // checks in a row that pass before an address that failed is used again
	Fall     int           // and that fail before it is not; the first check of an address decides alone
}

// firstCheck is when an address is checked for the first time, at the latest: soon, but not all at once.
const firstCheck = time.Second

// check probes an address until ctx ends.
func (s *Set) check(ctx context.Context, a *Address) {
	c := s.opts.Check
	wait := time.NewTimer(rand.N(min(c.Interval/10, firstCheck) + 1))
	defer wait.Stop()
	run := streak{bad: max(c.Fall-1, 0)}
	for {
		select {
		case <-ctx.Done():
			return
		case <-wait.C:
		}
		probing, cancel := context.WithTimeout(ctx, c.Timeout)
		err := c.Probe(probing, a.Addr)
		cancel()
		if ctx.Err() != nil {
			return // cut short: says nothing of the address
		}
		if !ofThisHost(err) {
			s.checked(a, &run, err)
		}
		wait.Reset(c.Interval - c.Interval/10 + rand.N(c.Interval/5+1))
	}
}

// ofThisHost reports whether a check failed for want of something here: descriptors, memory, local ports. That says
// nothing of the address, and taking it out would make it worse.
func ofThisHost(err error) bool {
	for _, here := range []error{syscall.EMFILE, syscall.ENFILE, syscall.ENOBUFS, syscall.ENOMEM, syscall.EADDRNOTAVAIL} {
		if errors.Is(err, here) {
			return true
		}
	}
	return false
}

// streak counts the checks in a row that ended alike.
type streak struct{ good, bad int }

// checked draws the consequences of a check.
func (s *Set) checked(a *Address, run *streak, err error) {
	down := a.down.Load()
	now := time.Now()
	if err == nil {
		run.good, run.bad = run.good+1, 0
		if down != nil && run.good >= s.opts.Check.Rise {
			s.rise(a, now)
			s.tell(s.change(a, StateUsable, "its check passes", now))
		}
		return
	}
	run.good, run.bad = 0, run.bad+1
	why := fmt.Sprintf("check failed: %v", err)
	switch {
	case down != nil:
		a.down.Store(&Down{Why: why, Since: down.Since})
	case run.bad >= s.opts.Check.Fall:
		a.down.Store(&Down{Why: why, Since: now})
		s.mu.Lock()
		s.spare(now)
		s.mu.Unlock()
		s.tell(s.change(a, StateDown, why, now))
	}
}

// rise has an address used again. What attempts met while its check failed counts no more: it can be connected to now.
func (s *Set) rise(a *Address, now time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	a.failures.Store(0)
	a.ejections = 0
	a.ejected.Store(0)
	a.back.Store(now.UnixNano())
	a.down.Store(nil)
}
