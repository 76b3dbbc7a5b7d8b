package main

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/cloud"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/logging"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/reload"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/systemd"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/upgrade"
	"github.com/l4fwd/l4fwd/health"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/handoff"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// daemon is a running l4fwd.
type daemon struct {
	settings atomic.Pointer[config.Config] // the configuration in use
	loops    int
	started  time.Time
	log      *logging.Log
	events   *admin.Events
	health   *health.Health
	notify   *systemd.Notifier
	sockets  sockets
	cloud    *cloud.Cloud // nil: there is no eip.pool
	fwd      forwarder
	rates    *metrics.Sampler
	metrics  http.Handler // of the scrape: both ports answer it
	reload   *reload.Reloader
	drains   drains
	ports    []*port // health and admin, those that are not off

	upgrades  *upgrade.Upgrader
	upgrading sync.WaitGroup     // upgrades that a signal asked for
	from      *upgrade.Successor // what this process takes over; nil: nothing
	passed    *systemd.Passed    // by the service manager
	keeper    *upgrade.Keeper
	again     func() *config.Loaded // loads the configuration again
	taken     *admin.TakenState     // nil: it has taken nothing over
	began     time.Time             // when its loops began to turn with what it took over from a process that runs; zero: it has not
	counts    upgrade.Counts        // of the processes before this one
	failed    chan error            // what broke while running

	stopReloads func() // returns when no reload is under way
}

// newDaemon returns a daemon that only has a log; serve gives it the rest. The caller closes the log.
func newDaemon(cfg config.Config) *daemon {
	events := admin.NewEvents()
	log := logging.New(logging.Options{
		Beside: events, Level: string(cfg.Log.Level), Format: string(cfg.Log.Format),
		Out: os.Stderr, Terminal: logging.IsTerminal(os.Stderr), Color: logging.Color(os.Stderr),
	})
	d := &daemon{
		loops: cfg.Loops, started: time.Now(), log: log, events: events,
		health: health.New(), notify: systemd.NewNotifier(log.Logger), stopReloads: func() {},
		passed: &systemd.Passed{}, drains: drains{asked: make(chan string, 1)}, failed: make(chan error, 2),
	}
	d.keeper = upgrade.NewKeeper(d.notify, log.Logger, nil)
	d.settings.Store(&cfg)
	return d
}

// warn logs the warnings of a configuration.
func (d *daemon) warn(faults config.Faults) {
	for _, f := range faults.Sorted() {
		d.log.Warn("configuration", zap.String("warning", f.Error()))
	}
}

// drains is the drain of a daemon: there is at most one.
type drains struct {
	begun atomic.Bool
	state atomic.Pointer[admin.DrainState] // nil before a drain
	asked chan string                      // of size 1: who asked for it

	passed atomic.Bool // it was passed on to the new process, by a request
	twice  atomic.Bool // a signal was taken for one that the old process has passed on
}

// errDraining is why a daemon that drains is not ready.
var errDraining = errors.New("a drain has begun")

// check is the condition of the readiness.
func (s *drains) check() error {
	if s.begun.Load() {
		return errDraining
	}
	return nil
}

// forwarder is a running proxy.Server; the tests put another one in its place.
type forwarder interface {
	Addrs() []netip.AddrPort     // in the order of Options.Listeners
	ListenersReady() error       // nil: accepting; else why not
	UpstreamsReady() error       // nil: an upstream, and each that is required, has a usable address; else why not
	UpstreamNotes() []string     // what is not well with any upstream, one line each
	Admitted(netip.Addr) error   // nil: the far end admits connections from this public address; else why not
	AdmissionNotes() []string    // which upstreams refuse it, one line each
	Alive(context.Context) error // nil once every loop has turned
	CloseWarm()                  // no connection is kept warm any more
	StopAccepting()              // open connections go on
	Wait(context.Context) error  // nil when no connection is open
	Close(relay.Reason)          // ends everything
	// Reload puts other options in place; an error has changed nothing.
	Reload(context.Context, proxy.Options) error
	admin.Traffic
	Status() proxy.Status
	Stats() proxy.Stats

	// For a hand-over to another process, and from one.
	Sockets() ([]handoff.Socket, error)
	Base() int64
	Save() (json.RawMessage, error)
	SaveCounters() (json.RawMessage, error)
	TakeCounters(json.RawMessage) error
	Freeze(context.Context) (*relay.Frozen, error)
	Adopted() *relay.Frozen
}

// signalName is the operator's name of a signal that ends the daemon. The runtime's own name of SIGTERM is "terminated".
func signalName(s os.Signal) string {
	switch s {
	case syscall.SIGTERM:
		return "SIGTERM"
	case syscall.SIGINT:
		return "SIGINT"
	case syscall.SIGUSR1:
		return "SIGUSR1"
	}
	return s.String()
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

// inSeconds is a time in UTC without its fraction.
func inSeconds(t time.Time) time.Time { return t.UTC().Truncate(time.Second) }
