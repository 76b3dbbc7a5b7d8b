package lifecycle

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// answer does what the hooks of the group wait for.
func (w *Watcher) answer(ctx context.Context) {
	g, order := &w.group, w.Order()
	if w.silenced() || !w.pending(order) {
		return
	}
	if !w.note("group", g.lookup(ctx)) {
		return
	}
	switch order.Intent {
	case Serve:
		if g.launching() && g.waits() && w.o.Ready() == nil {
			w.completeAll(ctx, g.of(launchTransition))
		}
	case Rest:
		// Both kinds of hook run on the way into the warm pool, depending on where the instance comes from.
		w.restOrLeave(ctx, g.hooks)
	case Leave:
		g.left = w.restOrLeave(ctx, g.of(terminateTransition))
	}
}

// pending reports whether the API has to be asked: whether a hook may wait, now or soon, for something that we can tell.
func (w *Watcher) pending(order Order) bool {
	g := &w.group
	if !g.known {
		return true
	}
	if g.name == "" {
		g.left = true
		return false
	}
	switch order.Intent {
	case Serve:
		return g.launching() && w.o.Ready() == nil
	case Rest:
		return g.current != g.target
	case Leave:
		return !g.left
	}
	return false
}

// restOrLeave keeps the hooks waiting until the daemon has done what they wait for, then completes them. It reports
// whether none is left.
func (w *Watcher) restOrLeave(ctx context.Context, hooks []*hook) bool {
	g := &w.group
	if len(hooks) == 0 || g.name == "" {
		return true
	}
	if !g.waits() {
		return g.current == "" || g.current == "Terminated" || g.proceeds()
	}
	if w.carriedOut() {
		return w.completeAll(ctx, hooks)
	}
	for _, h := range hooks {
		w.beat(ctx, h)
	}
	return false
}

// completeAll completes the hooks that are not yet, and reports whether none is left.
func (w *Watcher) completeAll(ctx context.Context, hooks []*hook) bool {
	left := 0
	for _, h := range hooks {
		if h.completed {
			continue
		}
		err := w.group.complete(ctx, h)
		switch {
		case noAction(err):
			h.completed = true
			w.log.Info("lifecycle hook does not wait for us", zap.String("hook", h.String()), zap.String("group", w.group.name))
		case !w.note("hook "+h.name, err):
			left++
		default:
			h.completed = true
			w.log.Info("lifecycle hook completed", zap.String("hook", h.String()), zap.String("group", w.group.name), zap.String("result", "CONTINUE"))
		}
	}
	return left == 0
}

// beat sends a heartbeat when half of the hook's time has passed.
func (w *Watcher) beat(ctx context.Context, h *hook) {
	now := time.Now()
	if h.unheard || now.Before(h.beat) {
		return
	}
	err := w.group.heartbeat(ctx, h)
	if noAction(err) {
		h.unheard = true // not this kind of transition, or somebody completed it
		return
	}
	if w.note("heartbeat of "+h.name, err) {
		h.beat = now.Add(h.timeout / 2)
		w.log.Debug("lifecycle heartbeat", zap.String("hook", h.String()))
	}
}

func (g *group) proceeds() bool {
	return g.current == "Terminating:Proceed" || g.current == "Warmed:Terminating:Proceed"
}
