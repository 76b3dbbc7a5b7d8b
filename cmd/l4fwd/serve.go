package main

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/cloud"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/logging"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/ports"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/upgrade"
	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/health"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// newServe is the verb serve.
func newServe() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the forwarder in the foreground (the default verb)",
		Long: "Runs the forwarder in the foreground. SIGTERM and SIGINT drain it: not ready, drain.lame_duck, stop accepting,\n" +
			"wait for connections up to drain.timeout, release the Elastic IP, complete the lifecycle hook, exit 0. A second one\n" +
			"ends it at once, still releasing the Elastic IP. SIGHUP loads the file again. SIGUSR2 hands sockets and connections to\n" +
			"a new process of the binary now on disk. SIGUSR1 leaves them in systemd's store for a restart: only systemd sends it.",
		Example: "  l4fwd serve --upstream example.openai.azure.com:443\n" +
			"  l4fwd serve --upstream 10.2.0.4:443 --listen :8443 --health :8081\n" +
			"  l4fwd serve --config /etc/l4fwd/l4fwd.yaml --log-level debug",
		Args: noArgs,
		RunE: serveVerb,
	}
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags())
	return cmd
}

// serveVerb loads the configuration and serves, unless it has faults.
func serveVerb(cmd *cobra.Command, _ []string) error {
	from, err := upgrade.Inherit() // before the environment is read
	if err != nil {
		return usage(err)
	}
	l := config.Load(cmd.Flags())
	if l.Faults.Bad() {
		from.Refuse(errors.New("the configuration on disk is faulty:\n  " + strings.Join(faultTexts(l.Faults), "\n  ")))
		l.Faults.Print(cmd.ErrOrStderr())
		return silent(exitUsage)
	}
	return serve(l, func() *config.Loaded { return config.Load(cmd.Flags()) }, from)
}

// serve runs the daemon until it has drained: boot order down, shutdown order up. again loads the configuration again. from is
// what it takes over, nil if it was started in the usual way.
func serve(l *config.Loaded, again func() *config.Loaded, from *upgrade.Successor) error {
	signals := catchSignals()
	defer signals.release()

	d := newDaemon(l.Config)
	d.from, d.again = from, again
	defer d.log.Close(2 * time.Second)
	d.warn(l.Faults)
	cfg := d.fitToMachine()

	if err := d.inherit(); err != nil {
		return d.cannotStart(err)
	}
	healthPort, adminPort, closePorts, err := d.listen(cfg)
	if err != nil {
		return d.cannotStart(err)
	}
	defer closePorts()

	if d.cloud, err = d.locate(); err != nil {
		return d.cannotStart(err)
	}
	d.sockets.unnamed = l.DefaultListener
	if d.fwd, err = d.forward(); err != nil {
		return d.cannotStart(ports.ExplainStart(err, d.from.Addresses()))
	}
	d.passed.Close()
	defer d.fwd.Close(relay.Operator) // after a drain there is nothing left to close
	d.reload = d.newReloader(l, again)
	if err := d.takeOver(); err != nil {
		return d.cannotStart(err)
	}
	d.register()
	d.keepSockets()

	defer d.serveHTTP("health", healthPort, health.NewServer(d.healthHandler(), logging.Std(d.log.Logger)))()
	defer d.serveHTTP("admin", adminPort, d.adminServer(adminPort))()

	d.announce(healthPort, adminPort)
	defer d.cloud.Run()()
	defer d.watch()()
	d.stopReloads = d.reloadOnDemand(l, signals)
	defer d.stopReloads()
	return d.wait(signals)
}

// cannotStart is a failure to start. People read it as plain text at the end of stderr. Where lines are JSON, it is a line
// too, for those who collect them. A process that this one was to take over from goes on.
func (d *daemon) cannotStart(err error) error {
	d.from.Refuse(err)
	if d.log.JSON() {
		d.log.Error("cannot start", zap.Error(err))
	}
	return failure(err)
}

// listen opens the health and the admin port, or takes them over.
func (d *daemon) listen(cfg *config.Config) (healthPort, adminPort *port, closeBoth func(), err error) {
	if healthPort, err = listenHealth(cfg.Health, d.from); err != nil {
		return nil, nil, nil, err
	}
	if adminPort, err = listenAdmin(cfg.Admin, d.from); err != nil {
		healthPort.Close()
		return nil, nil, nil, err
	}
	for _, p := range []*port{healthPort, adminPort} {
		if p != noPort {
			d.ports = append(d.ports, p)
		}
	}
	return healthPort, adminPort, func() { adminPort.Close(); healthPort.Close() }, nil
}

// fitToMachine replaces settings that the machine decides: the number of loops, and limits that follow from open files.
func (d *daemon) fitToMachine() *config.Config {
	cfg := *d.settings.Load()
	d.loops = setProcessors(cfg.Loops, d.log.Logger)
	cfg.Loops = d.loops
	fitToFiles(&cfg, d.log.Logger)
	d.settings.Store(&cfg)
	return &cfg
}

// forward starts the forwarder.
func (d *daemon) forward() (forwarder, error) {
	cfg := *d.settings.Load()
	cfg.Listeners = slices.Clone(cfg.Listeners) // one may get the name of its socket
	options, err := compile(cfg, d.log.Logger)
	if err != nil {
		return nil, err
	}
	options.AccessLogger = d.log.Access
	if d.from != nil {
		sockets, base := d.from.Sockets()
		options.Adopt, options.Known, options.Jump = &relay.Adoption{Sockets: sockets, Base: base}, d.from.Part(partProxy), d.from.Jump()
	}
	if part := d.from.Part(partSockets); part != nil {
		err = d.sockets.takeOver(&cfg, options.Listeners, part)
	} else {
		err = d.sockets.assign(&cfg, options.Listeners, d.passed.Sockets, d.log.Logger)
	}
	if err != nil {
		return nil, err
	}
	d.settings.Store(&cfg)
	fwd, err := proxy.Start(options)
	if d.from.Late() && errors.Is(err, relay.ErrNoHandover) {
		d.log.Error("the connections of the process before this one end", zap.Error(err))
		d.from.Close()
		d.from = nil
		return d.forward()
	}
	return fwd, err
}

// register makes the state of the parts that of the daemon.
func (d *daemon) register() {
	d.upgrades = upgrade.New(upgrade.Options{Daemon: oldSide{d}, Keeper: d.keeper, Manager: d.notify, Logger: d.log.Logger, At: upgradeAt}, d.counts)
	d.rates = metrics.NewSampler(d.fwd.Stats)
	if part := d.from.Part(partHistory); part != nil {
		d.doubt(d.rates.Take(part, d.from.Jump()))
	}
	d.metrics = metrics.NewHandler(d.scrape, logging.Std(d.log.With(zap.String("handler", "metrics"))))
	d.health.Register("listeners", d.fwd.ListenersReady)
	d.health.Register("upstream", d.fwd.UpstreamsReady)
	d.health.Describe("upstream", d.fwd.UpstreamNotes)
	d.health.Register("admission", func() error { return d.fwd.Admitted(d.cloud.PublicAddress()) })
	d.health.Describe("admission", d.fwd.AdmissionNotes)
	d.cloud.Register(d.health.Register)
	d.health.Register("draining", d.drains.check)
	d.health.Register("config", func() error { return nil })
	d.health.Describe("config", d.reload.Notes)
}

// locate finds the daemon's place in AWS; nil if it is to have none.
func (d *daemon) locate() (*cloud.Cloud, error) {
	cfg := d.settings.Load()
	from := d.from.Part(partCloud)
	if !cfg.EIP.Wanted() {
		if from != nil && !d.from.Late() {
			return nil, errors.New("the running process holds an Elastic IP, and eip.pool is off now: drain it, which releases the address, and start anew")
		}
		return nil, nil
	}
	return cloud.Locate(cloud.Options{
		Pool: cfg.EIP.Pool, Required: cfg.EIP.Required, Release: eip.Policy(cfg.EIP.Release), VerifyInterval: cfg.EIP.VerifyInterval,
		Groups: cfg.Lifecycle.ASG == config.FollowAuto, Spot: cfg.Lifecycle.Spot == config.FollowAuto, Interval: lifecycleInterval,
		Logger: d.log.Logger, From: from, Jump: d.from.Jump(),

		Drain:        d.Drain,
		Wait:         func(ctx context.Context) error { return d.fwd.Wait(ctx) },
		Connections:  func() int64 { return d.fwd.Stats().Relay.Active },
		DrainTimeout: func() time.Duration { return d.settings.Load().Drain.Timeout },
		Ready:        d.ready,
	})
}

// lifecycleInterval is how often the instance metadata are asked; 0: the watcher's own 5 s. Tests are in more of a hurry.
var lifecycleInterval time.Duration

// serveHTTP serves until the function it returns is called, which closes the port and every connection to it.
func (d *daemon) serveHTTP(name string, port *port, srv *http.Server) (stop func()) {
	if port == noPort {
		return func() {}
	}
	done := make(chan struct{})
	port.callers.Count(srv)
	port.srv = srv
	go func() {
		defer close(done)
		if err := srv.Serve(port); err != http.ErrServerClosed && !errors.Is(err, net.ErrClosed) {
			d.failed <- fmt.Errorf("serve %s on %s: %w", name, port.Addr(), err)
		}
	}()
	return func() {
		if limit := d.lastAnswers(); limit > 0 {
			port.callers.AnswerLast(port, srv, done, limit)
		}
		_ = srv.Close() // what it was about to answer is worth nothing now
		<-done
	}
}

// announce logs what runs where, and reports it to the service manager. Ready means accepting: with a resolver that is down the unit
// still starts, and STATUS and /readyz show what is missing.
func (d *daemon) announce(healthPort, adminPort *port) {
	s, build, cfg := d.fwd.Status(), thisBuild(), d.settings.Load()
	d.log.Info("started",
		zap.String("version", build.Version), zap.String("commit", build.Commit),
		zap.Int("pid", os.Getpid()),
		zap.String("engine", s.Engine), zap.String("engine_reason", s.EngineReason),
		zap.Int("loops", s.Loops), zap.Int("max_connections", cfg.Limits.MaxConnections),
		zap.String("health", healthPort.Addr().String()), zap.String("admin", adminPort.Addr().String()))
	addrs := d.fwd.Addrs()
	for i, in := range cfg.Listeners {
		if i < len(addrs) {
			d.log.Info("listening", zap.String("listener", in.Name), zap.Stringer("address", addrs[i]), zap.String("upstream", in.Serves()),
				zap.String("source", d.sockets.source(in.Name)))
		}
	}
	if d.from != nil && !d.from.Late() {
		d.notify.TookOver()
		return
	}
	d.notify.Ready()
}
