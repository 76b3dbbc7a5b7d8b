// Package health turns named conditions into one answer, ready or not, and serves it over HTTP to load balancers,
// orchestrators and people.
package health

import (
	"strings"
	"sync"
	"sync/atomic"
)

// Condition is one named condition at one moment.
type Condition struct {
	Name string
	Err  error // why it does not hold; nil: it holds
}

// Reason is why the condition does not hold, on one line; empty if it holds.
func (c Condition) Reason() string {
	if c.Err == nil {
		return ""
	}
	return strings.Join(strings.Fields(c.Err.Error()), " ")
}

// Health is a list of conditions, evaluated each time somebody asks: nothing is stored that could become stale. Its methods are
// safe for concurrent use.
type Health struct {
	mu     sync.Mutex
	checks []check
	notes  map[string]func() []string // by condition

	wasReady atomic.Bool
}

type check struct {
	name string
	fn   func() error
}

// New returns a Health without conditions, which is ready.
func New() *Health { return &Health{} }

// Register adds a condition, or replaces the one of that name. fn returns nil while the condition holds, otherwise the reason; it
// must not block, and is called from several goroutines.
func (h *Health) Register(name string, fn func() error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for i := range h.checks {
		if h.checks[i].name == name {
			// A new list, since Conditions may be reading the old one.
			h.checks = append([]check(nil), h.checks...)
			h.checks[i].fn = fn
			return
		}
	}
	h.checks = append(h.checks, check{name, fn})
}

// Describe adds notes to the condition of that name: /readyz?verbose shows below it what fn returns, one line each, whether it
// holds or not. fn must not block, and is called from several goroutines.
func (h *Health) Describe(name string, fn func() []string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.notes == nil {
		h.notes = make(map[string]func() []string)
	}
	h.notes[name] = fn
}

// describe returns the notes of a condition.
func (h *Health) describe(name string) []string {
	h.mu.Lock()
	fn := h.notes[name]
	h.mu.Unlock()
	if fn == nil {
		return nil
	}
	return fn()
}

// Conditions evaluates every condition, in the order of registration.
func (h *Health) Conditions() []Condition {
	h.mu.Lock()
	checks := h.checks
	h.mu.Unlock()
	all := make([]Condition, len(checks))
	ready := len(checks) > 0
	for i, c := range checks {
		all[i] = Condition{Name: c.name, Err: c.fn()}
		ready = ready && all[i].Err == nil
	}
	if ready {
		h.wasReady.Store(true)
	}
	return all
}

// WasReady reports whether every condition held at any time that somebody asked.
func (h *Health) WasReady() bool { return h.wasReady.Load() }

// Failing returns the conditions that do not hold. None means ready.
func (h *Health) Failing() []Condition {
	var failing []Condition
	for _, c := range h.Conditions() {
		if c.Err != nil {
			failing = append(failing, c)
		}
	}
	return failing
}
