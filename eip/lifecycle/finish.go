package lifecycle

import (
	"context"
	"fmt"
	"time"
)

// Done reports that the daemon has carried out an order: its connections have ended and its address was released. The hook that
// waits for that is then completed.
func (w *Watcher) Done(order Order) {
	w.mu.Lock()
	w.done = order
	w.mu.Unlock()
	w.wakeUp()
}

// Finish ends a drain: it returns once no termination hook is left to complete, at once if the instance is not being terminated. If
// ctx ends first, the error says what it waited for.
func (w *Watcher) Finish(ctx context.Context) error {
	w.mu.Lock()
	w.ending = true
	w.mu.Unlock()
	w.wakeUp()
	select {
	case <-w.finished:
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.refused
	case <-ctx.Done():
		s := w.Status()
		if s.Fault != "" {
			return fmt.Errorf("the termination hook was not completed: %s", s.Fault)
		}
		return fmt.Errorf("the termination hook was not completed: the instance is in state %q of group %s, not in Terminating:Wait", s.Current, s.Group)
	}
}

// wakeUp makes Run look again now.
func (w *Watcher) wakeUp() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// isDone reports whether the daemon has carried out the present order.
func (w *Watcher) isDone() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ending || w.done == w.order
}

// apiPaused reports whether the API is not asked for now, since a permission is missing. A drain that ends asks all the same.
func (w *Watcher) apiPaused() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.ending && time.Now().Before(w.pausedUntil)
}

// finish closes finished, for which Finish waits, if a drain is ending and no termination hook is left to complete: the instance is
// not to leave, Options.Groups is false, the hook is completed, or a permission to complete it is missing.
func (w *Watcher) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	over := w.order.Intent != Leave || !w.o.Groups || w.group.terminationDone || w.refused != nil
	select {
	case <-w.finished:
	default:
		if w.ending && over {
			close(w.finished)
		}
	}
}
