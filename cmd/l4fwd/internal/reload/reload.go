// Package reload decides when the configuration is loaded again, and keeps how that went.
package reload

import (
	"context"
	"errors"
	"os"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Options are what a reload consists of.
type Options struct {
	// Load loads the configuration and returns what puts it in place, or else everything that is wrong with it.
	Load func() (Apply, []string)
	// Stale reports whether the file is another than the one that was last loaded.
	Stale func() bool
	// Watching: the file is watched, so a failure that may pass is tried again.
	Watching bool
	// File is the path of the file; empty if there is none.
	File    string
	Manager Manager
	Logger  *zap.Logger
}

// Apply puts a configuration without faults in place. An error has changed nothing; a Passing one may succeed later.
type Apply func(context.Context) (Outcome, error)

// Outcome is what a reload changed.
type Outcome struct {
	Changed []string // keys
	Fixed   []string // keys whose new value takes an upgrade or a restart
}

// Manager hears of reloads that a signal asks for; systemd waits for both messages.
type Manager interface {
	Reloading()
	Ready()
}

// Passing marks an error as one that may pass by itself, such as a port that another process has.
func Passing(err error) error { return &passing{err} }

type passing struct{ err error }

func (p *passing) Error() string { return p.err.Error() }
func (p *passing) Unwrap() error { return p.err }

// A reload that failed for a reason that may pass is tried again after retryFirst, then after twice as long each time, up
// to retryMost.
const (
	retryFirst = time.Second
	retryMost  = time.Minute
)

// State is how the last reload went. The start counts as one.
type State struct {
	Loaded  time.Time // when the configuration in use was loaded
	Tried   time.Time // when the last reload was tried
	Faults  []string  // why it changed nothing; none if it succeeded
	Changed []string  // keys that the reload which succeeded last has changed
	Fixed   []string  // keys whose new value takes an upgrade or a restart
	Begun   time.Time // when the reload that is under way began; zero: none is
}

// ErrEnded is the error of a reload that is asked for once no further one is made: the daemon drains.
var ErrEnded = errors.New("the daemon drains: no reload is made any more")

// request is a reload that somebody waits for.
type request struct {
	by   string
	done chan State // of size 1; closed without a value if the daemon drained meanwhile
}

// Reloader makes one reload after the other, from the goroutine of Run.
type Reloader struct {
	o        Options
	state    atomic.Pointer[State]
	requests chan request
	pauses   chan chan struct{} // closed when the pause is over
	ended    chan struct{}      // closed by the end of Run
	again    <-chan time.Time   // when a failed reload is tried again; nil: it is not
	pause    time.Duration      // before that
}

// New returns a reloader of a daemon that starts now.
func New(o Options) *Reloader {
	r := &Reloader{o: o, requests: make(chan request), pauses: make(chan chan struct{}), ended: make(chan struct{})}
	now := time.Now()
	r.state.Store(&State{Loaded: now, Tried: now})
	return r
}

// State returns how the last reload went. It may be called from any goroutine.
func (r *Reloader) State() State { return *r.state.Load() }

// Notes are lines about the configuration for /readyz?verbose. They never end the readiness: the configuration in use works.
func (r *Reloader) Notes() []string {
	s := r.State()
	var notes []string
	if len(s.Faults) > 0 {
		notes = append(notes, "the reload of "+s.Tried.UTC().Format(time.RFC3339)+" failed and changed nothing:")
		notes = append(notes, s.Faults...)
	}
	for _, k := range s.Fixed {
		notes = append(notes, k+" has a new value that takes an upgrade or a restart")
	}
	return notes
}

// Reload reloads on behalf of by, after those under way, and returns how it went. It fails with ErrEnded, or with the error of ctx,
// after which the reload goes on.
func (r *Reloader) Reload(ctx context.Context, by string) (State, error) {
	q := request{by, make(chan State, 1)}
	select {
	case r.requests <- q:
	case <-r.ended:
		return State{}, ErrEnded
	case <-ctx.Done():
		return State{}, ctx.Err()
	}
	select {
	case s, made := <-q.done:
		if !made {
			return State{}, ErrEnded
		}
		return s, nil
	case <-ctx.Done():
		return State{}, ctx.Err()
	}
}

// Pause waits until no reload is under way, and lets none begin until resume is called. The error is the cause of ctx's end, or ErrEnded.
func (r *Reloader) Pause(ctx context.Context) (resume func(), err error) {
	over := make(chan struct{})
	select {
	case r.pauses <- over:
		return func() { close(over) }, nil
	case <-r.ended:
		return nil, ErrEnded
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	}
}

// byRetry is the cause of a reload that nobody asked for.
const byRetry = "retry"

// Run reloads when a signal or Reload asks for it, when the file has changed, and again after a failure that may pass, until ctx
// ends. One reload serves all signals that came before it.
func (r *Reloader) Run(ctx context.Context, asked <-chan os.Signal, changed <-chan struct{}) {
	defer close(r.ended)
	for {
		select {
		case <-ctx.Done():
			return
		case <-asked:
			r.reloadFor(ctx, "SIGHUP")
		case over := <-r.pauses:
			select {
			case <-over:
			case <-ctx.Done():
			}
		case q := <-r.requests:
			r.reloadFor(ctx, q.by)
			if ctx.Err() == nil {
				q.done <- r.State()
			}
			close(q.done)
		case <-changed:
			if r.o.Stale() {
				r.reload(ctx, "file changed")
			}
		case <-r.again:
			r.reload(ctx, byRetry)
		}
	}
}

// reloadFor makes a reload that somebody asked for, and reports it to the service manager.
func (r *Reloader) reloadFor(ctx context.Context, by string) {
	r.o.Manager.Reloading()
	r.reload(ctx, by)
	r.o.Manager.Ready()
}

// reload loads the configuration and puts it in place.
func (r *Reloader) reload(ctx context.Context, by string) {
	begun := time.Now()
	under := r.State()
	under.Begun = begun
	r.state.Store(&under)
	r.o.Logger.Info("reload begun", zap.String("by", by))
	apply, faults := r.o.Load()
	if len(faults) > 0 {
		r.failed(ctx, by, faults, false)
		return
	}
	out, err := apply(ctx)
	if err != nil {
		r.failed(ctx, by, []string{err.Error()}, errors.As(err, new(*passing)))
		return
	}
	r.succeeded(by, begun, out)
}

// succeeded notes and logs a reload that put its configuration in place.
func (r *Reloader) succeeded(by string, begun time.Time, out Outcome) {
	r.again, r.pause = nil, 0
	now := time.Now()
	r.state.Store(&State{Loaded: now, Tried: now, Changed: out.Changed, Fixed: out.Fixed})
	changed := append([]string{}, out.Changed...) // an empty list rather than none in the log
	fields := []zap.Field{zap.String("by", by), zap.Strings("changed", changed), zap.Duration("took", now.Sub(begun).Round(time.Millisecond))}
	if r.o.File == "" {
		fields = append(fields, zap.String("file", "none: name one with --config"))
	}
	r.o.Logger.Info("reloaded", fields...)
	if len(out.Fixed) > 0 {
		r.o.Logger.Warn("these keys keep their old values: the new ones take an upgrade or a restart", zap.Strings("keys", out.Fixed))
	}
}

// failed logs why a reload changed nothing. If the cause may pass and the file is watched, it is tried again; the same
// failure is then logged once.
func (r *Reloader) failed(ctx context.Context, by string, faults []string, passes bool) {
	last := r.State()
	last.Begun = time.Time{}
	r.state.Store(&last)
	if ctx.Err() != nil {
		return // the daemon drains, which cut the reload short
	}
	next := last
	next.Tried, next.Faults = time.Now(), faults
	r.state.Store(&next)
	fields := []zap.Field{zap.String("by", by), zap.Strings("faults", faults)}
	if r.again, r.pause = nil, min(max(2*r.pause, retryFirst), retryMost); passes && r.o.Watching {
		r.again = time.After(r.pause)
		fields = append(fields, zap.Duration("again_in", r.pause))
	} else {
		r.pause = 0
	}
	level := zapcore.ErrorLevel
	if by == byRetry && slices.Equal(faults, last.Faults) {
		level = zapcore.DebugLevel
	}
	r.o.Logger.Log(level, "reload failed: nothing was changed", fields...)
}
