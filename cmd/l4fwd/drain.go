package main

import (
	"context"
	"errors"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// wait returns when the daemon has ended: nil after a drain, also one cut short; an error when something broke.
func (d *daemon) wait(signals *signals) error {
	var broken error
	var who string
	for who == "" {
		select {
		case s := <-signals.end:
			who = signalName(s)
		case who = <-d.asked:
		case broken = <-d.failed:
			who = "failure"
			d.log.Error("failed while running, draining", zap.Error(broken))
		case s := <-signals.unsupported:
			d.log.Warn(unsupportedSignal(s))
		}
	}
	left := d.drain(who, signals)
	if err := errors.Join(broken, left); err != nil {
		return failure(err)
	}
	return nil
}

// errCutShort is the cause of a drain's end by a second signal.
var errCutShort = errors.New("a second signal")

// drain ends the forwarder: not ready, lame duck, stop accepting, wait, close; then the daemon's place in AWS. The error is
// about an Elastic IP that was not released.
func (d *daemon) drain(who string, signals *signals) error {
	begun := time.Now()
	d.draining.Store(true)
	d.stopReloads()
	d.cloud.settle()
	d.fwd.CloseWarm()
	lameDuck, timeout := d.settings().Drain.LameDuck, d.settings().Drain.Timeout
	d.drainState.Store(&DrainState{By: who, Begun: begun.UTC().Truncate(time.Second), Until: begun.Add(lameDuck + timeout).UTC().Truncate(time.Second)})
	d.notify.Stopping(lameDuck + timeout + d.cloud.leaveTime() + 10*time.Second)
	d.log.Info("draining", zap.String("by", who), zap.Duration("lame_duck", lameDuck), zap.Duration("timeout", timeout),
		zap.Int64("connections", d.fwd.Stats().Relay.Active))

	ctx, cut := context.WithCancelCause(context.Background())
	defer cut(nil)
	defer signals.onEnd(func() { cut(errCutShort) })()

	waiting, cancel := context.WithTimeout(ctx, lameDuck+timeout)
	defer cancel()
	defer d.cloud.beforeAway(cancel)()
	sleep(waiting, lameDuck)
	d.fwd.StopAccepting()
	outcome, reason := "complete", relay.Operator
	if err := d.fwd.Wait(waiting); err != nil {
		outcome, reason = "timeout", relay.DrainTimeout
		if context.Cause(ctx) == errCutShort {
			outcome, reason = "cut short by a second signal", relay.Operator
		}
	}
	left := d.fwd.Stats().Relay.Active
	d.fwd.Close(reason)
	d.log.Info("drained", zap.String("outcome", outcome), zap.Int64("closed", left), zap.Duration("took", time.Since(begun).Round(time.Millisecond)))
	return d.cloud.leave(ctx)
}

// sleep waits for d or the end of ctx.
func sleep(ctx context.Context, d time.Duration) {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
	case <-t.C:
	}
}

// askDrain begins a drain, unless one has begun, and reports whether it did.
func (d *daemon) askDrain(who string) bool {
	if d.draining.Load() {
		return false
	}
	select {
	case d.asked <- who:
		return true
	default:
		return false
	}
}
