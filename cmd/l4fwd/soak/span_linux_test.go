package soak

import (
	"sync"
	"time"
)

// soakSpan is a time from which to which something held; no end: it still does. No beginning: it always did.
type soakSpan struct{ from, to time.Time }

// soakSpans are those of one thing, in order.
type soakSpans struct {
	mu  sync.Mutex
	all []soakSpan
}

func (s *soakSpans) open(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all = append(s.all, soakSpan{from: at})
}

func (s *soakSpans) close(at time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.all[len(s.all)-1].to = at
}

// now returns since when it holds, if it does.
func (s *soakSpans) now() (since time.Time, holds bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.all) == 0 || !s.all[len(s.all)-1].to.IsZero() {
		return time.Time{}, false
	}
	return s.all[len(s.all)-1].from, true
}

// last returns the newest.
func (s *soakSpans) last() soakSpan {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all[len(s.all)-1]
}

// any reports whether a span is as wanted.
func (s *soakSpans) any(want func(soakSpan) bool) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sp := range s.all {
		if want(sp) {
			return true
		}
	}
	return false
}

// latest returns when the last span that holds at some time from from to to began, from at the earliest.
func (s *soakSpans) latest(from, to time.Time) (begun time.Time, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, sp := range s.all {
		if sp.meets(from, to) {
			begun, found = sp.from, true
		}
	}
	if begun.Before(from) {
		begun = from
	}
	return begun, found
}

// gap reports whether at a time it had not held for at least so long, or held again only for at most known.
func (s *soakSpans) gap(at time.Time, least, known time.Duration) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, sp := range s.all {
		if sp.to.IsZero() || at.Before(sp.to.Add(least)) {
			continue
		}
		if i+1 == len(s.all) || !at.After(s.all[i+1].from.Add(known)) {
			return true
		}
	}
	return false
}

// away returns since when, from from to to, it did not hold for at least so long.
func (s *soakSpans) away(from, to time.Time, least time.Duration) (since time.Time, found bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i, sp := range s.all {
		if sp.to.IsZero() {
			break
		}
		since, back := sp.to, to
		if since.Before(from) {
			since = from
		}
		if i+1 < len(s.all) && s.all[i+1].from.Before(to) {
			back = s.all[i+1].from
		}
		if back.Sub(since) >= least {
			return since, true
		}
	}
	return time.Time{}, false
}

// covers reports whether it held from from to to.
func (sp soakSpan) covers(from, to time.Time) bool {
	return !from.Before(sp.from) && (sp.to.IsZero() || !to.After(sp.to))
}

// meets reports whether it held at some time from from to to.
func (sp soakSpan) meets(from, to time.Time) bool {
	return !to.Before(sp.from) && (sp.to.IsZero() || !from.After(sp.to))
}
