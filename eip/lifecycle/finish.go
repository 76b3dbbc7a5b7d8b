package lifecycle

import (
	"context"
	"fmt"
	"time"
)

// Done says that an order was carried out: the connections have ended and the address was given back. The hook that waits
// for it is then completed.
func (w *Watcher) Done(order Order) {
	w.mu.Lock()
	w.done = order
	w.mu.Unlock()
	w.poke()
}

// Finish is the end of a drain: it returns once no hook of a termination is left to complete. If the instance is not on
// its way out, that is at once. Where ctx ends first, the error tells what was waited for.
func (w *Watcher) Finish(ctx context.Context) error {
	w.mu.Lock()
	w.ending = true
	w.mu.Unlock()
	w.poke()
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

func (w *Watcher) poke() {
	select {
	case w.wake <- struct{}{}:
	default:
	}
}

// carriedOut reports whether the present order was.
func (w *Watcher) carriedOut() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.ending || w.done == w.order
}

// silenced reports whether it is of no use yet to ask the API.
func (w *Watcher) silenced() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return !w.ending && time.Now().Before(w.quiet)
}

// finish lets Finish return.
func (w *Watcher) finish() {
	w.mu.Lock()
	defer w.mu.Unlock()
	over := w.order.Intent != Leave || !w.o.Groups || w.group.left || w.refused != nil
	select {
	case <-w.finished:
	default:
		if w.ending && over {
			close(w.finished)
		}
	}
}
