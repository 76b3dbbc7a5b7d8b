package lifecycle

import (
	"context"
	"fmt"
	"time"
)

// savedVersion is the version of Saved. A field may be added, and never changes its meaning.
const savedVersion = 1

// Saved is what a Watcher passes to that of the next process on the same machine, so that it neither asks Auto Scaling anew nor
// completes a hook twice. It is JSON on the way.
type Saved struct {
	Version int   `json:"version"`
	Order   Order `json:"order"`
	Done    Order `json:"done"` // the order that was carried out

	Target          string      `json:"target,omitempty"`
	Known           bool        `json:"known"`
	Group           string      `json:"group,omitempty"`
	Current         string      `json:"current,omitempty"`
	Hooks           []SavedHook `json:"hooks,omitempty"`
	TerminationDone bool        `json:"termination_done,omitempty"`
}

// SavedHook is a hook of the group.
type SavedHook struct {
	Name       string        `json:"name"`
	Transition string        `json:"transition"`
	Timeout    time.Duration `json:"timeout"` // nanoseconds
	Completed  bool          `json:"completed,omitempty"`
	NextBeat   time.Time     `json:"next_beat,omitzero"`
	NotWaiting bool          `json:"not_waiting,omitempty"`
}

// onClock returns a time as the clock of now has it, which may have been set since the time was taken.
func onClock(t time.Time) time.Time {
	if t.IsZero() {
		return t
	}
	now := time.Now()
	return now.Add(t.Sub(now))
}

// Move moves the times of heartbeats by d: by how much the clock was set since they were saved. When Spot takes the instance away is the
// cloud's own time, and stays. nil: there is nothing to move.
func (s *Saved) Move(d time.Duration) {
	if s == nil {
		return
	}
	for i := range s.Hooks {
		if t := &s.Hooks[i].NextBeat; !t.IsZero() {
			*t = t.Add(d)
		}
	}
}

// Pause waits until neither the metadata nor Auto Scaling are being asked, and keeps both from being asked until resume is called. It
// returns the state as it stays until then. The error says that ctx ended first.
func (w *Watcher) Pause(ctx context.Context) (s *Saved, resume func(), err error) {
	select {
	case w.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, nil, fmt.Errorf("a call of Auto Scaling is under way: %w", context.Cause(ctx))
	}
	g := &w.group
	s = &Saved{Version: savedVersion, Target: g.target, Known: g.known, Group: g.name, Current: g.current, TerminationDone: g.terminationDone}
	for _, h := range g.hooks {
		s.Hooks = append(s.Hooks, SavedHook{h.name, h.transition, h.timeout, h.completed, onClock(h.nextBeat), h.notWaiting})
	}
	w.mu.Lock()
	defer w.mu.Unlock()
	s.Order, s.Done = w.order, w.done
	return s, func() { <-w.turn }, nil
}

// TakeOver continues what another process has begun, and hands its order to OnOrder. It is called before Run.
func (w *Watcher) TakeOver(s *Saved) error {
	if s.Version != savedVersion {
		return fmt.Errorf("the state of the lifecycle has version %d, this process reads %d", s.Version, savedVersion)
	}
	g := &w.group
	g.target, g.known, g.name, g.current, g.terminationDone = s.Target, s.Known, s.Group, s.Current, s.TerminationDone
	for _, h := range s.Hooks {
		g.hooks = append(g.hooks, &hook{name: h.Name, transition: h.Transition, timeout: h.Timeout, completed: h.Completed, nextBeat: h.NextBeat, notWaiting: h.NotWaiting})
	}
	w.mu.Lock()
	w.order, w.done = s.Order, s.Done
	w.mu.Unlock()
	w.publish()
	if s.Order.Intent != Wait {
		w.o.OnOrder(s.Order)
	}
	return nil
}
