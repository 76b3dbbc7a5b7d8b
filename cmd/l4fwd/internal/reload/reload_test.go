package reload

import (
	"context"
	"errors"
	"os"
	"sync"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rig is a reloader in simulated time, with a configuration that is what the test says.
type rig struct {
	*Reloader
	t       *testing.T
	lines   *observer.ObservedLogs
	asked   chan os.Signal
	changed chan struct{}
	cancel  context.CancelFunc

	mu     sync.Mutex
	faults []string // of the configuration
	err    error    // of putting it in place
	out    Outcome
	stale  bool
	tries  int // of putting it in place
	takes  time.Duration
	sent   []string // to the service manager
}

func (r *rig) Reloading() { r.send("reloading") }
func (r *rig) Ready()     { r.send("ready") }

func (r *rig) send(what string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sent = append(r.sent, what)
}

func (r *rig) load() (Apply, []string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.faults) > 0 {
		return nil, r.faults
	}
	return r.apply, nil
}

func (r *rig) apply(context.Context) (Outcome, error) {
	r.mu.Lock()
	takes := r.takes
	r.mu.Unlock()
	time.Sleep(takes)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.tries++
	return r.out, r.err
}

func (r *rig) isStale() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.stale
}

// set changes the rig while its reloader runs.
func (r *rig) set(change func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	change()
}

func (r *rig) tried() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.tries
}

// fails counts the failures that were logged as errors.
func (r *rig) fails() int { return r.lines.FilterLevelExact(zap.ErrorLevel).Len() }

func running(t *testing.T, watching bool, test func(r *rig)) {
	synctest.Test(t, func(t *testing.T) {
		core, lines := observer.New(zap.DebugLevel)
		r := &rig{t: t, lines: lines, asked: make(chan os.Signal, 1), changed: make(chan struct{}, 1), stale: true}
		r.Reloader = New(Options{Load: r.load, Stale: r.isStale, Watching: watching, File: "/etc/l4fwd.yaml", Manager: r, Logger: zap.New(core)})
		ctx, cancel := context.WithCancel(t.Context())
		r.cancel = cancel
		done := make(chan struct{})
		go func() { defer close(done); r.Run(ctx, r.asked, r.changed) }()
		test(r)
		cancel()
		<-done
	})
}

func TestASignalReloadsAndSystemdHears(t *testing.T) {
	running(t, false, func(r *rig) {
		begun := r.State()
		require.Empty(r.t, r.Notes())
		require.Equal(r.t, begun.Loaded, begun.Tried, "the start counts as a reload")
		r.set(func() { r.out = Outcome{Changed: []string{"upstreams"}, Fixed: []string{"loops"}} })
		time.Sleep(time.Minute)
		r.asked <- syscall.SIGHUP
		synctest.Wait()
		require.Equal(r.t, []string{"reloading", "ready"}, r.sent)
		s := r.State()
		require.Equal(r.t, begun.Loaded.Add(time.Minute), s.Loaded)
		require.Equal(r.t, State{Loaded: s.Loaded, Tried: s.Loaded, Changed: []string{"upstreams"}, Fixed: []string{"loops"}}, s)
		require.Equal(r.t, []string{"loops has a new value that takes an upgrade or a restart"}, r.Notes())
		line := r.lines.FilterMessage("reloaded").All()[0].ContextMap()
		require.Equal(r.t, map[string]any{"by": "SIGHUP", "changed": []any{"upstreams"}, "took": time.Duration(0)}, line)
		require.Equal(r.t, []any{"loops"}, r.lines.FilterLevelExact(zap.WarnLevel).All()[0].ContextMap()["keys"])

		r.set(func() { r.out = Outcome{} })
		r.asked <- syscall.SIGHUP
		synctest.Wait()
		require.Equal(r.t, []any{}, r.lines.FilterMessage("reloaded").All()[1].ContextMap()["changed"], "an empty list")
		require.Empty(r.t, r.State().Fixed)
	})
}

func TestWithoutAFileTheLogSaysSo(t *testing.T) {
	running(t, false, func(r *rig) {
		r.o.File = ""
		r.asked <- syscall.SIGHUP
		synctest.Wait()
		require.Equal(r.t, "none: name one with --config", r.lines.FilterMessage("reloaded").All()[0].ContextMap()["file"])
	})
}

func TestAFailureKeepsWhatIsInUse(t *testing.T) {
	running(t, false, func(r *rig) {
		begun := r.State()
		r.set(func() { r.out.Fixed = []string{"engine"} })
		r.asked <- syscall.SIGHUP
		synctest.Wait()
		time.Sleep(time.Minute)
		r.set(func() { r.faults = []string{"l4fwd.yaml:3: loops: wrong", "another"} })
		r.asked <- syscall.SIGHUP
		synctest.Wait()
		require.Equal(r.t, State{Loaded: begun.Loaded, Tried: begun.Loaded.Add(time.Minute), Faults: r.faults, Fixed: []string{"engine"}}, r.State())
		require.Equal(r.t, []string{
			"the reload of " + r.State().Tried.UTC().Format(time.RFC3339) + " failed and changed nothing:",
			"l4fwd.yaml:3: loops: wrong", "another", "engine has a new value that takes an upgrade or a restart",
		}, r.Notes())
		require.Equal(r.t, 1, r.fails())
		require.Equal(r.t, 1, r.tried(), "faults are not put in place")
		require.Equal(r.t, []string{"reloading", "ready", "reloading", "ready"}, r.sent)
	})
}

func TestAFileThatWasOnlyTouchedIsNotLoaded(t *testing.T) {
	running(t, true, func(r *rig) {
		r.set(func() { r.stale = false })
		r.changed <- struct{}{}
		synctest.Wait()
		require.Zero(r.t, r.tried())
		r.set(func() { r.stale = true })
		r.changed <- struct{}{}
		synctest.Wait()
		require.Equal(r.t, 1, r.tried())
		require.Equal(r.t, "file changed", r.lines.FilterMessage("reloaded").All()[0].ContextMap()["by"])
		require.Empty(r.t, r.sent, "the service manager asked for nothing")
	})
}

// A watched file that named a host whose name did not resolve yet was given up until its next change.
func TestAFailureThatMayPassIsTriedAgain(t *testing.T) {
	running(t, true, func(r *rig) {
		r.set(func() { r.err = Passing(errors.New("no address: NXDOMAIN")) })
		r.changed <- struct{}{}
		synctest.Wait()
		require.Equal(r.t, retryFirst, r.lines.FilterLevelExact(zap.ErrorLevel).All()[0].ContextMap()["again_in"])
		time.Sleep(10 * time.Minute)
		require.Greater(r.t, r.tried(), 10)
		require.Less(r.t, r.tried(), 20, "with backoff")
		require.Equal(r.t, 1, r.fails(), "the same failure is logged once")

		r.set(func() { r.err = Passing(errors.New("address already in use")) })
		time.Sleep(2 * retryMost)
		require.Equal(r.t, 2, r.fails(), "another failure is another line")

		r.set(func() { r.err = nil })
		time.Sleep(2 * retryMost)
		good := r.lines.FilterMessage("reloaded").All()
		require.Len(r.t, good, 1)
		require.Equal(r.t, "retry", good[0].ContextMap()["by"])
		n := r.tried()
		time.Sleep(10 * time.Minute)
		require.Equal(r.t, n, r.tried(), "a success is not repeated")

		r.set(func() { r.err = Passing(errors.New("again")) })
		r.changed <- struct{}{}
		time.Sleep(retryFirst)
		synctest.Wait()
		require.Equal(r.t, n+2, r.tried(), "the backoff begins anew")
	})
}

// Only a person can mend these. They are logged once, and not tried again.
func TestAFailureThatCannotPassIsNotTriedAgain(t *testing.T) {
	for name, arrange := range map[string]func(r *rig){
		"a faulty file":     func(r *rig) { r.faults = []string{"is wrong"} },
		"a port of our own": func(r *rig) { r.err = errors.New("this daemon listens there") },
	} {
		t.Run(name, func(t *testing.T) {
			running(t, true, func(r *rig) {
				r.set(func() { r.err = Passing(errors.New("a name that does not resolve")) })
				r.changed <- struct{}{}
				synctest.Wait()
				r.set(func() { arrange(r) })
				r.changed <- struct{}{}
				synctest.Wait()
				tries, fails := r.tried(), r.fails()
				time.Sleep(time.Hour)
				require.Equal(r.t, tries, r.tried())
				require.Equal(r.t, fails, r.fails())
			})
		})
	}
	t.Run("a signal without a watch", func(t *testing.T) {
		running(t, false, func(r *rig) {
			r.set(func() { r.err = Passing(errors.New("a name that does not resolve")) })
			r.asked <- syscall.SIGHUP
			time.Sleep(time.Hour)
			require.Equal(r.t, 1, r.tried(), "who sends signals sends another")
		})
	})
}

// A drain ends a reload that is under way. That is no failure of the configuration.
func TestAReloadThatADrainCutsShortIsNoFailure(t *testing.T) {
	running(t, false, func(r *rig) {
		before := r.State()
		r.o.Load = func() (Apply, []string) {
			return func(ctx context.Context) (Outcome, error) {
				<-ctx.Done()
				return Outcome{}, ctx.Err()
			}, nil
		}
		r.asked <- syscall.SIGHUP
		synctest.Wait()
		r.cancel()
		synctest.Wait()
		require.Equal(r.t, 1, r.lines.Len())
		require.Equal(r.t, 1, r.lines.FilterMessage("reload begun").Len())
		require.Equal(r.t, before, r.State())
	})
}

func TestPassingKeepsItsError(t *testing.T) {
	err := Passing(syscall.EADDRINUSE)
	require.ErrorIs(t, err, syscall.EADDRINUSE)
	require.EqualError(t, err, syscall.EADDRINUSE.Error())
}
