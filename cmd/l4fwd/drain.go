package main

import (
	"context"
	"errors"
	"os"
	"os/signal"
	"sync"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/hangup"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// Drain begins a drain on behalf of by, unless one has begun, and reports whether it did. Once a new process serves it is that one's.
func (d *daemon) Drain(by string) bool {
	if d.drains.begun.Load() {
		return false
	}
	if d.upgrades.Successor() != 0 {
		return d.drains.passed.CompareAndSwap(false, true) && d.passOn(by)
	}
	select {
	case d.drains.asked <- by:
		return true
	default:
		return false
	}
}

// wait returns when the daemon has ended: nil after a drain, also one that was cut short, and after an upgrade; an
// error if something broke.
func (d *daemon) wait(signals *signals) error {
	defer d.upgrading.Wait()
	var broken error
	var by string
	for by == "" {
		select {
		case s := <-signals.end:
			by = signalName(s)
		case by = <-d.drains.asked:
		case broken = <-d.failed:
			by = "failure"
			d.log.Error("failed while running, draining", zap.Error(broken))
		case <-signals.upgrade:
			d.upgrading.Go(func() { _, _ = d.upgrades.Upgrade("SIGUSR2") }) // how it went is logged
		case s := <-signals.restart:
			if by = signalName(s); d.left(by) {
				return nil
			}
		case <-d.upgrades.Gone():
			d.passOnLast(signals)
			return d.handedOver()
		}
	}
	if d.passOn(by) {
		return nil
	}
	left := d.drain(by, signals)
	if err := errors.Join(broken, left); err != nil {
		return failure(err)
	}
	return nil
}

// errCutShort is the cause of the end of a drain that a second signal cuts short.
var errCutShort = errors.New("a second signal")

// drain ends the forwarder: not ready, lame duck, stop accepting, wait, close. Then it ends the daemon's place in AWS. The
// error is about an Elastic IP that was not released.
func (d *daemon) drain(by string, signals *signals) error {
	begun := time.Now()
	lameDuck, timeout := d.beginDrain(by)

	ctx, cut := context.WithCancelCause(context.Background())
	defer cut(nil)
	defer signals.onEnd(d.passedTwice, func() { cut(errCutShort) })()

	waiting, cancel := context.WithTimeout(ctx, lameDuck+timeout)
	defer cancel()
	defer d.cloud.BeforeAway(cancel)()
	sleep(waiting, lameDuck)
	d.keeper.Drop()
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
	return d.cloud.Leave(ctx)
}

// beginDrain ends the readiness, and all that would begin something new but accepting clients. It announces the drain and
// returns how long clients are still accepted, and how long connections may take after that. A daemon that was never ready
// has no clients to wait for: no load balancer has sent any.
func (d *daemon) beginDrain(by string) (lameDuck, timeout time.Duration) {
	wasReady := d.health.WasReady()
	d.drains.begun.Store(true)
	d.stopReloads()
	d.cloud.Settle()
	d.fwd.CloseWarm()
	cfg := d.settings.Load().Drain
	lameDuck, timeout = cfg.LameDuck, cfg.Timeout
	if !wasReady {
		lameDuck = 0
	}
	now := time.Now()
	d.drains.state.Store(&admin.DrainState{By: by, Begun: inSeconds(now), Until: inSeconds(now.Add(lameDuck + timeout))})
	d.notify.Stopping(lameDuck + timeout + d.cloud.LeaveTime() + 10*time.Second)
	d.log.Info("draining", zap.String("by", by), zap.Duration("lame_duck", lameDuck), zap.Duration("timeout", timeout),
		zap.Int64("connections", d.fwd.Stats().Relay.Active))
	return lameDuck, timeout
}

// signals are those the daemon reacts to.
type signals struct {
	end     chan os.Signal // SIGTERM, SIGINT: drain; a second one ends at once
	reload  chan os.Signal // SIGHUP
	upgrade chan os.Signal // SIGUSR2
	restart chan os.Signal // SIGUSR1, which the service manager sends for a restart
}

// catchSignals takes the signals from the runtime; those of package hangup are taken already. SIGPIPE is ignored: a log that nobody reads any
// more is no reason to drop connections.
func catchSignals() *signals {
	s := &signals{end: make(chan os.Signal, 2), reload: hangup.Signals, upgrade: hangup.Upgrades, restart: hangup.Restarts}
	signal.Notify(s.end, syscall.SIGTERM, syscall.SIGINT)
	signal.Ignore(syscall.SIGPIPE)
	return s
}

// release gives the signals their usual effects again, but those of package hangup: one during a drain must not change the exit status.
func (s *signals) release() {
	signal.Stop(s.end)
	signal.Reset(syscall.SIGPIPE)
}

// onEnd calls fn at the next signal to end that twice does not take for the one before, until the function it returns is called.
func (s *signals) onEnd(twice func() bool, fn func()) (stop func()) {
	quit := make(chan struct{})
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			select {
			case <-s.end:
				if twice() {
					continue
				}
				fn()
			case <-quit:
			}
			return
		}
	})
	return func() {
		close(quit)
		wg.Wait()
	}
}
