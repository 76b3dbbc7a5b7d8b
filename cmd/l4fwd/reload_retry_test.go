package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strings"
	"syscall"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/proxy"
)

// reloading is a reloader with a fake forwarder, in simulated time.
type reloading struct {
	*testing.T
	fwd     *fakeForwarder
	lines   *observer.ObservedLogs
	faults  config.Faults // of the configuration
	asked   chan os.Signal
	changed chan struct{}
}

func reloadingDaemon(t *testing.T, watching bool, test func(r *reloading)) {
	synctest.Test(t, func(t *testing.T) {
		d, fwd := newFakeDaemon(t)
		core, lines := observer.New(zap.DebugLevel)
		d.log.Logger = zap.New(core)
		r := &reloading{t, fwd, lines, nil, make(chan os.Signal, 1), make(chan struct{}, 1)}
		version := byte(0)
		load := func() *config.Loaded {
			l := &config.Loaded{Config: d.cfg, Faults: r.faults}
			l.File.There, l.File.Sum[0] = true, version
			version++
			return l
		}
		of := &reloader{d: d, load: load, loaded: d.cfg, path: "/nonexistent", seen: config.FileState{There: true}, watching: watching}
		done := make(chan struct{})
		go func() { defer close(done); of.run(t.Context(), r.asked, r.changed) }()
		t.Cleanup(func() { <-done })
		test(r)
	})
}

// tries counts the reloads that got as far as the forwarder.
func (r *reloading) tries() (n int) {
	r.fwd.mu.Lock()
	defer r.fwd.mu.Unlock()
	for _, c := range r.fwd.calls {
		if c == "reload" {
			n++
		}
	}
	return n
}

func (r *reloading) refuses(err error) {
	r.fwd.mu.Lock()
	defer r.fwd.mu.Unlock()
	r.fwd.reload = err
}

func (r *reloading) errors() int { return r.lines.FilterLevelExact(zap.ErrorLevel).Len() }

// A watched file that named a host whose name did not resolve yet was given up until its next change.
func TestAWatchedReloadIsTriedAgain(t *testing.T) {
	reloadingDaemon(t, true, func(r *reloading) {
		r.refuses(errors.New(`upstream "up" has no address: resolve new.example: NXDOMAIN`))
		r.changed <- struct{}{}
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		require.Greater(t, r.tries(), 10)
		require.Less(t, r.tries(), 20, "with backoff")
		require.Equal(t, 1, r.errors(), "the same failure is logged once")

		r.refuses(&proxy.ListenError{Listener: "in", Addr: netip.MustParseAddrPort("0.0.0.0:443"), Err: syscall.EADDRINUSE})
		time.Sleep(2 * time.Minute)
		require.Equal(t, 2, r.errors(), "another is another")

		r.refuses(nil)
		time.Sleep(2 * time.Minute)
		good := r.lines.FilterMessage("reloaded").All()
		require.Len(t, good, 1)
		require.Equal(t, "retry", good[0].ContextMap()["by"])
		n := r.tries()
		time.Sleep(10 * time.Minute)
		require.Equal(t, n, r.tries(), "what succeeded is not repeated")
	})
}

// What only a person can mend is told once, and not tried again by itself.
func TestWhatCannotPassIsNotTriedAgain(t *testing.T) {
	for name, arrange := range map[string]func(r *reloading){
		"a faulty file": func(r *reloading) { r.faults = config.Faults{{What: "is wrong", Allowed: "write it right"}} },
		"a port of our own": func(r *reloading) {
			r.refuses(&proxy.ListenError{Listener: "in", Addr: netip.MustParseAddrPort("127.0.0.1:8443"), Err: syscall.EADDRINUSE})
		},
	} {
		t.Run(name, func(t *testing.T) {
			reloadingDaemon(t, true, func(r *reloading) {
				r.refuses(errors.New("a name that does not resolve"))
				r.changed <- struct{}{}
				synctest.Wait()
				arrange(r)
				r.changed <- struct{}{}
				synctest.Wait()
				tries, said := r.tries(), r.errors()
				time.Sleep(time.Hour)
				require.Equal(t, tries, r.tries())
				require.Equal(t, said, r.errors())
			})
		})
	}
	t.Run("asked for by a signal alone", func(t *testing.T) {
		reloadingDaemon(t, false, func(r *reloading) {
			r.refuses(errors.New("a name that does not resolve"))
			r.asked <- syscall.SIGHUP
			time.Sleep(time.Hour)
			require.Equal(t, 1, r.tries(), "whoever sends signals sends another")
		})
	})
}

// A port that another process has is taken once that has ended, with the file as it is.
func TestAWatchedFileTakesAPortThatBecomesFree(t *testing.T) {
	one := greeterNamed(t, "one")
	listen, busy := freePort(t), freePort(t)
	other, err := net.Listen("tcp", busy)
	require.NoError(t, err)
	text := "reload: watch\nlisten: [%q]\nupstream: %q\n"
	p := startedWithFile(t, fmt.Sprintf(text, listen, one), nil)
	live, _ := hail(t, listen)
	p.writes(t, fmt.Sprintf(text, busy, one))
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), saidFailed) })
	require.Contains(t, p.log.String(), `"again_in":"1s"`)
	require.NoError(t, other.Close())
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), saidReloaded) })
	require.Contains(t, p.log.String(), `"by":"retry"`)
	_, name := hail(t, busy)
	require.Equal(t, "one", name)
	exchange(t, live)
	require.Equal(t, 1, strings.Count(p.log.String(), saidFailed))
	require.NotContains(t, p.get("/readyz?verbose"), "failed")
}
