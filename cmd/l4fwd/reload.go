package main

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/ports"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/reload"
	"github.com/l4fwd/l4fwd/proxy"
)

// reloads loads the configuration again and puts it in place of the one in use. Only the goroutine of the reloader uses it.
type reloads struct {
	d      *daemon
	load   func() *config.Loaded // as at start: flags and environment keep their precedence
	loaded config.Config         // the configuration in use as it was loaded, but for keys that take an upgrade or a restart
	file   config.FileState      // what the file held when it was last loaded, whatever came of it
}

// newReloader returns what reloads the configuration l, which is the one of the start.
func (d *daemon) newReloader(l *config.Loaded, load func() *config.Loaded) *reload.Reloader {
	r := &reloads{d: d, load: load, loaded: l.Config, file: l.File}
	return reload.New(reload.Options{
		Load:     r.next,
		Stale:    func() bool { return config.StateOf(l.Path) != r.file },
		Watching: watched(l), File: l.Path, Manager: d.notify, Logger: d.log.Logger,
	})
}

// watched reports whether reload: watch has a file to watch.
func watched(l *config.Loaded) bool { return l.Config.Reload == config.ReloadWatch && l.Path != "" }

// reloadOnDemand reloads when a signal asks for it, and with reload: watch when the file changes, until the function it
// returns is called.
func (d *daemon) reloadOnDemand(l *config.Loaded, signals *signals) (stop func()) {
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	changed := make(chan struct{}, 1)
	if watched(l) {
		wg.Go(func() { config.Watch(ctx, l.Path, changed, d.log.Logger) })
	}
	wg.Go(func() { d.reload.Run(ctx, signals.reload, changed) })
	return sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
}

// next loads the configuration, and returns what puts it in place or what is wrong with it.
func (r *reloads) next() (reload.Apply, []string) {
	l := r.load()
	r.file = l.File
	if l.Faults.Bad() {
		return nil, faultTexts(l.Faults)
	}
	return func(ctx context.Context) (reload.Outcome, error) { return r.apply(ctx, l) }, nil
}

// apply puts a configuration without faults in place.
func (r *reloads) apply(ctx context.Context, l *config.Loaded) (reload.Outcome, error) {
	next := l.Config
	out := reload.Outcome{Fixed: config.KeepFixed(&next, &r.loaded)}
	out.Changed = config.Changed(&r.loaded, &next)
	if err := r.put(ctx, next, l.DefaultListener); err != nil {
		return reload.Outcome{}, err
	}
	r.loaded = next
	return out, nil
}

// put gives the forwarder a configuration, fitted to the limit of open files, and makes it the one in use.
func (r *reloads) put(ctx context.Context, next config.Config, defaultListener bool) error {
	d := r.d
	r.fit(&next)
	next.Listeners = append([]config.Listener(nil), next.Listeners...) // those of r.loaded keep their names
	o, err := compile(next, d.log.Logger)
	if err != nil {
		return err
	}
	d.sockets.reassign(&next, o.Listeners, defaultListener)
	if err := d.fwd.Reload(ctx, o); err != nil {
		return explainReload(err, d.fwd.Addrs())
	}
	d.sockets.forget(next.Listeners)
	if !slices.EqualFunc(r.loaded.Listeners, next.Listeners, sameSocket) {
		d.keepSockets()
	}
	d.log.SetLevel(string(next.Log.Level))
	d.settings.Store(&next)
	return nil
}

// fit lowers the limits of next to what the limit of open files allows with the loops that run. It logs that only if the warm
// connections, the number of listeners or max_connections differ from those in use.
func (r *reloads) fit(next *config.Config) {
	used := r.loaded
	next.Loops, used.Loops = r.d.loops, r.d.loops
	log := zap.NewNop()
	if warmFiles(next) != warmFiles(&used) || len(next.Listeners) != len(used.Listeners) || next.Limits.MaxConnections != used.Limits.MaxConnections {
		log = r.d.log.Logger
	}
	fitToFiles(next, log)
}

// faultTexts are the faults, without warnings, in the order of the file.
func faultTexts(all config.Faults) []string {
	var texts []string
	for _, f := range all.Sorted() {
		if !f.Warning {
			texts = append(texts, f.Error())
		}
	}
	return texts
}

// Reload reloads the configuration on behalf of by, and waits for the outcome.
func (d *daemon) Reload(ctx context.Context, by string) (admin.Reloaded, error) {
	s, err := d.reload.Reload(ctx, by)
	if errors.Is(err, reload.ErrEnded) && d.upgrades.Successor() != 0 {
		err = d.upgrades.Ended()
	}
	if err != nil {
		return admin.Reloaded{}, err
	}
	return admin.Reloaded{
		InUse: len(s.Faults) == 0, Faults: append([]string{}, s.Faults...),
		Changed: append([]string{}, s.Changed...), Fixed: append([]string{}, s.Fixed...),
	}, nil
}

// explainReload says what to do about an error of a reload; used is where the daemon listens. All that the forwarder refuses in
// a configuration without faults may pass by itself, but for a port that the daemon has itself.
func explainReload(err error, used []netip.AddrPort) error {
	var le *proxy.ListenError
	if !errors.As(err, &le) {
		return reload.Passing(err)
	}
	if own := ports.ExplainOwn(fmt.Sprintf("listener %q", le.Listener), le.Addr, err, used); own != nil {
		return own
	}
	return reload.Passing(ports.ExplainStart(err, nil))
}
