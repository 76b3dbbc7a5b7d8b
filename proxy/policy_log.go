package proxy

import (
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/upstream"
)

// What is logged of an upstream as a whole. The lines are written by the access log's goroutine, since a loop must not wait
// for a log.

// logFails logs once that every address of an upstream fails.
func (p *policy) logFails(t *target, now time.Time) {
	if !t.set.AllFailing() || !t.failsLog.due(now) || !t.fails.CompareAndSwap(false, true) {
		return
	}
	t.failsLog.logged(now)
	last := t.lastFail.Load()
	p.access.event(func() {
		p.log.Warn("every address of the upstream fails: each client is still tried, and its connection ends if its own attempts fail, too",
			zap.String("upstream", t.opts.Name), zap.Stringer("last_address", last.addr), zap.Stringer("last_reason", last.reason))
	})
}

// logAnswers logs the end of what logFails logged.
func (p *policy) logAnswers(t *target, a *upstream.Address) {
	if !t.fails.Load() || !t.fails.CompareAndSwap(true, false) {
		return
	}
	p.access.event(func() {
		p.log.Info("upstream answers again", zap.String("upstream", t.opts.Name), zap.Stringer("address", a.Addr))
	})
}

// logBackup logs when connections begin to go to backups, and when they go to a primary again.
func (p *policy) logBackup(t *target, a *upstream.Address) {
	backup := t.set.IsBackup(a)
	if t.onBackup.Load() == backup {
		return
	}
	now := time.Now()
	if backup && !t.backupLog.due(now) || !t.onBackup.CompareAndSwap(!backup, backup) {
		return
	}
	if backup {
		t.backupLog.logged(now)
	}
	p.access.event(func() {
		fields := []zap.Field{zap.String("upstream", t.opts.Name), zap.Stringer("address", a.Addr)}
		if backup {
			p.log.Warn("a backup serves: no primary address is usable", fields...)
		} else {
			p.log.Info("a primary address serves again", fields...)
		}
	})
}
