package main

import (
	"fmt"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/logging"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/systemd"
	"github.com/l4fwd/l4fwd/health"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the forwarder in the foreground (the default verb)",
		Long: "Runs the forwarder in the foreground. SIGTERM and SIGINT drain it: not ready, drain.lame_duck, stop accepting,\n" +
			"wait for connections up to drain.timeout, release the Elastic IP, complete the lifecycle hook, exit 0. A second one\n" +
			"ends it at once, still releasing the Elastic IP.",
		Example: "  l4fwd serve --upstream example.openai.azure.com:443\n" +
			"  l4fwd serve --upstream 10.2.0.4:443 --listen :8443 --health :8081\n" +
			"  l4fwd serve --config /etc/l4fwd.yaml --log-level debug",
		Args: noArgs,
		RunE: serveVerb,
	}
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags())
	return cmd
}

func serveVerb(cmd *cobra.Command, _ []string) error {
	l := config.Load(cmd.Flags())
	if l.Faults.Bad() {
		l.Faults.Print(cmd.ErrOrStderr())
		return silent(exitUsage)
	}
	return serve(l, func() *config.Loaded { return config.Load(cmd.Flags()) })
}

// daemon is what the parts of a running l4fwd share.
type daemon struct {
	cfg        config.Config // of the start; see settings for what is in use
	build      metrics.Build
	log        *logging.Log
	started    time.Time
	health     *health.Health
	notify     *systemd.Notifier
	fwd        forwarder
	cloud      *presence // nil: no address is to be held
	nowhere    error     // why none can be, though eip.pool is set; nil where it can, or is to be
	rates      *metrics.Sampler
	draining   atomic.Bool
	drainState atomic.Pointer[DrainState] // nil before a drain
	asked      chan string                // a request to drain: who asked
	failed     chan error                 // what broke while running

	defaultListener bool // no listener was configured

	mu      sync.Mutex
	sources map[string]string         // where sockets come from that were not opened, by listener
	sockets map[string]netip.AddrPort // those of the service manager, by listener

	inUse       atomic.Pointer[config.Config] // nil: cfg, since nothing was reloaded
	reloaded    atomic.Pointer[reloadState]   // nil: nothing was reloaded
	stopReloads func()                        // returns when no reload is under way
}

// serve runs the daemon until it has drained: boot order down, shutdown order up. again loads the configuration again.
func serve(l *config.Loaded, again func() *config.Loaded) error {
	signals := catchSignals()
	defer signals.release()

	d := newDaemon(l.Config)
	d.defaultListener = l.DefaultListener
	defer d.log.Close(2 * time.Second)
	for _, f := range l.Faults.Sorted() {
		d.log.Warn("configuration", zap.String("warning", f.Error()))
	}
	d.cfg.Loops = setProcessors(d.cfg.Loops, d.log.Logger)
	fitWarm(&d.cfg, d.log.Logger)
	d.cfg.Limits.MaxConnections = fitToFiles(d.cfg.Limits.MaxConnections, warmFiles(d.cfg), d.log.Logger)

	healthPort, err := listenHealth(d.cfg.Health)
	if err != nil {
		return d.cannotStart(err)
	}
	defer healthPort.Close()
	adminPort, err := listenAdmin(d.cfg.Admin)
	if err != nil {
		return d.cannotStart(err)
	}
	defer adminPort.Close()

	if d.cloud, err = d.locate(); err != nil {
		return d.cannotStart(err)
	}
	if d.fwd, err = d.forward(); err != nil {
		return d.cannotStart(explainStart(err))
	}
	defer d.fwd.Close(relay.Operator) // after a drain there is nothing left to close

	defer d.serveHTTP("health", healthPort, health.NewServer(d.healthMux(), logging.Std(d.log.Logger)))()
	defer d.serveHTTP("admin", adminPort, newAdminServer(d, adminPort))()

	d.announce(healthPort, adminPort)
	defer d.cloud.run()()
	defer d.watch()()
	d.stopReloads = d.followConfig(l, again, signals)
	defer d.stopReloads()
	return d.wait(signals)
}

// cannotStart is a failure to start. People read it as plain text at the end of stderr; where lines are JSON, those who
// collect them get it as one too.
func (d *daemon) cannotStart(err error) error {
	if d.log.JSON() {
		d.log.Error("cannot start", zap.Error(err))
	}
	return failure(err)
}

func newDaemon(cfg config.Config) *daemon {
	log := logging.New(logging.Options{Level: string(cfg.Log.Level), Format: string(cfg.Log.Format), Out: os.Stderr, Terminal: logging.IsTerminal(os.Stderr)})
	return &daemon{
		cfg: cfg, build: thisBuild(), started: time.Now(),
		log: log, stopReloads: func() {},
		health: health.New(), notify: systemd.NewNotifier(log.Logger),
		asked: make(chan string, 1), failed: make(chan error, 2),
	}
}

// forward starts the forwarder and the conditions that depend on it.
func (d *daemon) forward() (forwarder, error) {
	options, err := compile(d.cfg, d.log.Logger)
	if err != nil {
		return nil, err
	}
	options.AccessLogger = d.log.Access
	sockets, release, err := systemd.Sockets()
	if err != nil {
		return nil, err
	}
	defer release()
	if err := d.inherit(options.Listeners, sockets); err != nil {
		return nil, err
	}
	fwd, err := proxy.Start(options)
	if err != nil {
		return nil, err
	}
	d.register(fwd)
	return fwd, nil
}

// register makes the forwarder's state part of the daemon's.
func (d *daemon) register(fwd forwarder) {
	d.rates = metrics.NewSampler(fwd.Stats)
	d.health.Register("listeners", fwd.ListenersReady)
	d.health.Register("upstream", fwd.UpstreamsReady)
	d.health.Describe("upstream", fwd.UpstreamNotes)
	d.cloud.register()
	d.health.Register("draining", d.notDraining)
	d.health.Register("config", func() error { return nil })
	d.health.Describe("config", d.configNotes)
}

func (d *daemon) notDraining() error {
	if d.draining.Load() {
		return errorText("a drain has begun")
	}
	return nil
}

func (d *daemon) healthMux() http.Handler {
	mux := http.NewServeMux()
	health.Handle(mux, d.health, d.fwd.Alive)
	mux.Handle("GET /metrics", metrics.NewHandler(d.scrape, logging.Std(d.log.With(zap.String("handler", "metrics")))))
	return named(serverHealth, mux)
}

// serveHTTP serves until the function it returns is called, which closes the port and every connection to it.
func (d *daemon) serveHTTP(name string, port net.Listener, srv *http.Server) (stop func()) {
	if port == noPort {
		return func() {}
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := srv.Serve(port); err != http.ErrServerClosed {
			d.failed <- fmt.Errorf("serve %s on %s: %w", name, port.Addr(), err)
		}
	}()
	return func() {
		_ = srv.Close() // what it was about to answer is worth nothing now
		<-done
	}
}

// announce says what runs where, to the log and to the service manager. Ready means accepting: with a resolver that is
// down the unit still starts, and STATUS and /readyz tell what is missing.
func (d *daemon) announce(healthPort, adminPort net.Listener) {
	s := d.fwd.Status()
	d.log.Info("started",
		zap.String("version", d.build.Version), zap.String("commit", d.build.Commit),
		zap.Int("pid", os.Getpid()),
		zap.String("engine", s.Engine), zap.String("engine_reason", s.EngineReason),
		zap.Int("loops", s.Loops), zap.Int("max_connections", d.cfg.Limits.MaxConnections),
		zap.String("health", healthPort.Addr().String()), zap.String("admin", adminPort.Addr().String()))
	addrs := d.fwd.Addrs()
	for i, in := range d.cfg.Listeners {
		if i < len(addrs) {
			d.log.Info("listening", zap.String("listener", in.Name), zap.Stringer("address", addrs[i]), zap.String("upstream", in.Serves()),
				zap.String("source", sourceOf(d.sources, in.Name)))
		}
	}
	d.notify.Ready()
}

// scrape is the daemon's state for /metrics.
func (d *daemon) scrape() *metrics.Scrape {
	st, last := d.fwd.Stats(), d.lastReload()
	s := &metrics.Scrape{
		Stats: st, Rates: d.rates.Rates(st), Build: d.build,
		Draining: d.draining.Load(), Loaded: last.at, ReloadFailed: len(last.faults) > 0,
		Files: openFiles(), LinesDropped: st.AccessDropped + d.log.Dropped(),
		Sockets: len(d.settings().Listeners) * max(d.cfg.Loops, 1),
	}
	d.cloud.measure(s)
	return s
}
