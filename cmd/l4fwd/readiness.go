package main

import (
	"context"
	"errors"
	"strings"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/health"
)

// watchInterval is how soon a change of readiness is logged. Load balancers ask for themselves.
const watchInterval = 2 * time.Second

// watch follows the readiness, the rates and the watchdog until the function it returns is called. An idle daemon wakes
// up less than once a second for it.
func (d *daemon) watch() (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	wg.Go(func() { d.watchReadiness(ctx) })
	wg.Go(func() { d.rates.Run(ctx) })
	wg.Go(func() { d.notify.Watchdog(ctx, d.fwd.Alive) })
	return func() {
		cancel()
		wg.Wait()
	}
}

// watchReadiness reports each change of the readiness to the service manager, and logs it when the conditions that fail
// are others than before. What else a reason says may change with every lookup; its own part logs that.
func (d *daemon) watchReadiness(ctx context.Context) {
	t := time.NewTicker(watchInterval)
	defer t.Stop()
	said, logged := "", "-"
	var files shortage
	for {
		files.look(d.fwd.Stats().Relay.AcceptPauses, openFiles, d.log.Logger)
		failing := d.health.Failing()
		if now := sentence(failing); now != said && !d.drains.begun.Load() { // a drain has its own lines
			said = now
			d.notify.Status(now)
			if which := conditionNames(failing); which != logged {
				d.logReadiness(failing, logged == "-")
				logged = which
			}
		}
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
	}
}

// logReadiness logs the readiness. Not to be ready yet is no warning.
func (d *daemon) logReadiness(failing []health.Condition, first bool) {
	level := zap.WarnLevel
	if first {
		level = zap.InfoLevel
	}
	if len(failing) == 0 {
		d.log.Info("ready")
		return
	}
	d.log.Log(level, "not ready", zap.String("because", strings.TrimPrefix(sentence(failing), notReady)))
}

// ready is nil while every condition holds; else it says which do not.
func (d *daemon) ready() error {
	if failing := d.health.Failing(); len(failing) > 0 {
		return errors.New(sentence(failing))
	}
	return nil
}

// conditionNames joins the names of conditions with commas.
func conditionNames(all []health.Condition) string {
	names := make([]string, len(all))
	for i, c := range all {
		names[i] = c.Name
	}
	return strings.Join(names, ",")
}

const notReady = "not ready: "

// sentence is the readiness in one line.
func sentence(failing []health.Condition) string {
	if len(failing) == 0 {
		return "ready"
	}
	reasons := make([]string, len(failing))
	for i, c := range failing {
		reasons[i] = c.Name + ": " + c.Reason()
	}
	return notReady + strings.Join(reasons, "; ")
}
