package main

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/proxy"
)

// reloader puts the configuration of the file in place of the one in use, one time after the other, from one goroutine.
type reloader struct {
	d      *daemon
	load   func() *config.Loaded // as at start: flags and environment keep their precedence
	loaded config.Config         // the configuration in use, as it was loaded but for fixed keys
	path   string
	seen   config.FileState // of the file when it was last loaded, whatever came of it
	fitted int              // limits.max_connections in use

	watching bool             // reload: watch
	again    <-chan time.Time // when a reload that failed is tried again; nil: it is not
	pause    time.Duration    // before that
}

// A reload that failed for a reason that may pass is tried again after retryFirst, then after twice as long each time, up
// to retryMost.
const (
	retryFirst = time.Second
	retryMost  = time.Minute
)

// reloadState is what became of the last reload.
type reloadState struct {
	at     time.Time // when the configuration in use was loaded
	tried  time.Time // when the last one was tried
	faults []string  // why it changed nothing; none: it did
	fixed  []string  // keys whose new value waits for a restart
}

// followConfig reloads on SIGHUP, and with reload: watch when the file changes, until the function it returns is called.
func (d *daemon) followConfig(l *config.Loaded, load func() *config.Loaded, signals *signals) (stop func()) {
	r := &reloader{d: d, load: load, loaded: l.Config, path: l.Path, seen: l.File, fitted: d.cfg.Limits.MaxConnections}
	ctx, cancel := context.WithCancel(context.Background())
	var wg sync.WaitGroup
	changed := make(chan struct{}, 1)
	if r.watching = l.Config.Reload == config.ReloadWatch && l.Path != ""; r.watching {
		wg.Go(func() { config.Watch(ctx, l.Path, changed, d.log.Logger) })
	}
	wg.Go(func() { r.run(ctx, signals.reload, changed) })
	return sync.OnceFunc(func() {
		cancel()
		wg.Wait()
	})
}

func (r *reloader) run(ctx context.Context, asked <-chan os.Signal, changed <-chan struct{}) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked: // those that came meanwhile are served by this one
			r.d.notify.Reloading()
			r.reload(ctx, "SIGHUP")
			r.d.notify.Ready()
		case <-changed:
			if config.StateOf(r.path) != r.seen {
				r.reload(ctx, "file changed")
			}
		case <-r.again:
			r.reload(ctx, byRetry)
		}
	}
}

// byRetry is why a reload is made that nobody asked for.
const byRetry = "retry"

// reload loads the configuration and puts it in place; a fault changes nothing.
func (r *reloader) reload(ctx context.Context, why string) {
	begun := time.Now()
	l := r.load()
	r.seen = l.File
	if l.Faults.Bad() {
		r.failed(why, faultTexts(l.Faults), false)
		return
	}
	next := l.Config
	fixed := config.KeepFixed(&next, &r.loaded)
	changed := config.Changed(&r.loaded, &next)
	if err := r.apply(ctx, next, l.DefaultListener); err != nil {
		r.failed(why, []string{err.Error()}, errors.As(err, new(*passingError)))
		return
	}
	r.loaded, r.again, r.pause = next, nil, 0
	now := time.Now()
	r.d.reloaded.Store(&reloadState{at: now, tried: now, fixed: fixed})
	fields := []zap.Field{zap.String("by", why), zap.Strings("changed", changed), zap.Duration("took", now.Sub(begun).Round(time.Millisecond))}
	if r.path == "" {
		fields = append(fields, zap.String("file", "none: name one with --config"))
	}
	r.d.log.Info("reloaded", fields...)
	if len(fixed) > 0 {
		r.d.log.Warn("what these keys say now takes a restart: they keep their old values", zap.Strings("keys", fixed))
	}
}

// apply puts a configuration without faults in place.
func (r *reloader) apply(ctx context.Context, next config.Config, defaultListener bool) error {
	d := r.d
	next.Loops = d.cfg.Loops
	fitted := r.fitted
	used := r.loaded
	used.Loops = d.cfg.Loops
	log := zap.NewNop()
	changed := warmFiles(next) != warmFiles(used)
	if changed {
		log = d.log.Logger
	}
	if fitWarm(&next, log); changed || next.Limits.MaxConnections != r.loaded.Limits.MaxConnections {
		fitted = fitToFiles(next.Limits.MaxConnections, warmFiles(next), d.log.Logger)
	}
	next.Limits.MaxConnections = fitted
	next.Listeners = append([]config.Listener(nil), next.Listeners...) // those of loaded keep their names
	o, err := compile(next, d.log.Logger)
	if err != nil {
		return err
	}
	d.inheritAgain(next.Listeners, o.Listeners, defaultListener)
	if err := d.fwd.Reload(ctx, o); err != nil {
		return explainReload(err, d.fwd.Addrs())
	}
	r.fitted = fitted
	d.forgetSockets(next.Listeners)
	d.log.SetLevel(string(next.Log.Level))
	d.inUse.Store(&next)
	return nil
}

// failed tells why a reload changed nothing. Where that may pass and nobody is there who would ask again, it is tried again; the
// same failure is logged once.
func (r *reloader) failed(why string, faults []string, passes bool) {
	if r.d.draining.Load() {
		return // cut short
	}
	last := r.d.lastReload()
	r.d.reloaded.Store(&reloadState{at: last.at, tried: time.Now(), faults: faults, fixed: last.fixed})
	fields := []zap.Field{zap.String("by", why), zap.Strings("faults", faults)}
	if r.again, r.pause = nil, min(max(2*r.pause, retryFirst), retryMost); passes && r.watching {
		r.again = time.After(r.pause)
		fields = append(fields, zap.Duration("again_in", r.pause))
	} else {
		r.pause = 0
	}
	level := zap.ErrorLevel
	if why == byRetry && slices.Equal(faults, last.faults) {
		level = zap.DebugLevel
	}
	r.d.log.Log(level, "reload failed: nothing was changed", fields...)
}

func faultTexts(all config.Faults) []string {
	var texts []string
	for _, f := range all.Sorted() {
		if !f.Warning {
			texts = append(texts, f.Error())
		}
	}
	return texts
}

// lastReload is how the last reload went; the start counts as one.
func (d *daemon) lastReload() reloadState {
	if s := d.reloaded.Load(); s != nil {
		return *s
	}
	return reloadState{at: d.started, tried: d.started}
}

// configNotes is what /readyz?verbose says of the configuration. It never ends the readiness: what was loaded before works.
func (d *daemon) configNotes() []string {
	s := d.lastReload()
	var notes []string
	if len(s.faults) > 0 {
		notes = append(notes, "the reload of "+s.tried.UTC().Format(time.RFC3339)+" failed and changed nothing:")
		notes = append(notes, s.faults...)
	}
	for _, k := range s.fixed {
		notes = append(notes, k+" has a new value that takes a restart")
	}
	return notes
}

// settings is the configuration in use.
func (d *daemon) settings() *config.Config {
	if c := d.inUse.Load(); c != nil {
		return c
	}
	return &d.cfg
}

// inheritAgain gives listeners that accept from a socket of the service manager that socket's address, as inherit did.
func (d *daemon) inheritAgain(named []config.Listener, listeners []proxy.Listener, defaultListener bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i := range listeners {
		in := &listeners[i]
		if defaultListener && d.defaultListener {
			for name := range d.sockets {
				in.Name, named[i].Name = name, name
			}
		}
		if addr, ok := d.sockets[in.Name]; ok {
			in.Addr = addr
		}
	}
}

// forgetSockets forgets those whose listener is gone: the relay has closed them.
func (d *daemon) forgetSockets(listeners []config.Listener) {
	d.mu.Lock()
	defer d.mu.Unlock()
	left := make(map[string]bool, len(listeners))
	for _, in := range listeners {
		left[in.Name] = true
	}
	for name := range d.sockets {
		if !left[name] {
			delete(d.sockets, name)
			delete(d.sources, name)
		}
	}
}
