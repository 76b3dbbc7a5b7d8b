package lifecycle

import (
	"maps"
	"slices"
)

// Status returns the present state. The caller owns it.
func (w *Watcher) Status() Status {
	w.mu.Lock()
	defer w.mu.Unlock()
	s := w.status
	s.Hooks = slices.Clone(s.Hooks)
	return s
}

// publish copies the state of Run's goroutine to where Status reads it.
func (w *Watcher) publish() {
	s := Status{Target: w.group.target, Current: w.group.current, Group: w.group.name}
	for _, h := range w.group.hooks {
		s.Hooks = append(s.Hooks, h.String())
	}
	for _, what := range slices.Sorted(maps.Keys(w.faults)) {
		s.Fault = what + ": " + w.faults[what]
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.State, s.Intent, s.Why = w.order.State, w.order.Intent, w.order.Why
	if s.State == InService && w.group.launching() {
		s.State = Pending
	}
	if s.Intent == Leave && w.group.retained() {
		s.State = Retained // the order to leave is the older one, and stays
	}
	w.status = s
}
