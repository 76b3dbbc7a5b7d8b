package lifecycle

import (
	"context"
	"time"

	"go.uber.org/zap"
)

// answerHooks completes the hooks that wait for what the daemon has done, and keeps the others waiting by heartbeats.
func (w *Watcher) answerHooks(ctx context.Context) {
	g, order := &w.group, w.Order()
	if w.apiPaused() || !w.pending(order) {
		return
	}
	if !w.worked("group", g.lookup(ctx)) {
		return
	}
	if g.retained() {
		w.leaveRetained()
		return
	}
	switch order.Intent {
	case Serve:
		if g.launching() && g.waiting() && w.o.Ready() == nil {
			w.completeAll(ctx, g.hooksOf(launchTransition))
		}
	case Rest:
		// Both kinds of hook run on the way into the warm pool, depending on where the instance comes from.
		w.holdOrComplete(ctx, g.hooks)
	case Leave:
		g.terminationDone = w.holdOrComplete(ctx, g.hooksOf(terminateTransition))
	}
}

// leaveRetained has the daemon release the address of a retained instance: it is out of service for good and would keep an address
// of the pool. No hook waits any more.
func (w *Watcher) leaveRetained() {
	g := &w.group
	if !g.terminationDone {
		w.log.Warn("lifecycle: the instance is retained", zap.String("state", g.current), zap.String("group", g.name),
			zap.String("because", "a termination hook was abandoned or timed out; it keeps running, outside of the desired capacity, until somebody terminates it"))
	}
	g.terminationDone = true
	w.setOrder(orderOf(g.current))
}

// pending reports whether the API has to be asked: a hook may wait, now or soon, for something that we can report.
func (w *Watcher) pending(order Order) bool {
	g := &w.group
	if !g.known {
		return true
	}
	if g.name == "" {
		g.terminationDone = true
		return false
	}
	switch order.Intent {
	case Serve:
		return g.launching() && w.o.Ready() == nil
	case Rest:
		return g.current != g.target && !g.retained()
	case Leave:
		return !g.terminationDone
	}
	return false
}

// holdOrComplete keeps the hooks waiting until the daemon has carried out its order, then completes them. It reports whether none
// is left.
func (w *Watcher) holdOrComplete(ctx context.Context, hooks []*hook) bool {
	g := &w.group
	if len(hooks) == 0 || g.name == "" {
		return true
	}
	if !g.waiting() {
		return g.current == "" || g.current == "Terminated" || g.proceeding()
	}
	if w.isDone() {
		return w.completeAll(ctx, hooks)
	}
	for _, h := range hooks {
		w.sendHeartbeat(ctx, h)
	}
	return false
}

// completeAll completes the hooks that are not completed yet, and reports whether none is left.
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
		case !w.worked("hook "+h.name, err):
			left++
		default:
			h.completed = true
			w.log.Info("lifecycle hook completed", zap.String("hook", h.String()), zap.String("group", w.group.name), zap.String("result", "CONTINUE"))
		}
	}
	return left == 0
}

// sendHeartbeat sends a heartbeat if half of the hook's time has passed.
func (w *Watcher) sendHeartbeat(ctx context.Context, h *hook) {
	now := time.Now()
	if h.notWaiting || now.Before(h.nextBeat) {
		return
	}
	err := w.group.heartbeat(ctx, h)
	if noAction(err) {
		h.notWaiting = true // not this kind of transition, or somebody completed it
		return
	}
	if w.worked("heartbeat of "+h.name, err) {
		h.nextBeat = now.Add(h.timeout / 2)
		w.log.Debug("lifecycle heartbeat", zap.String("hook", h.String()))
	}
}

// proceeding reports whether a termination goes on without waiting for a hook.
func (g *group) proceeding() bool {
	return g.current == "Terminating:Proceed" || g.current == "Warmed:Terminating:Proceed"
}
