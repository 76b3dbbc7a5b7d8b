package main

import (
	"context"
	"net"
	"net/http"
	"net/netip"
	"os"
	"time"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/logging"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/reload"
	"github.com/l4fwd/l4fwd/health"
	"github.com/l4fwd/l4fwd/proxy"
)

// State is the daemon's state as of now, for the admin port.
func (d *daemon) State() admin.State {
	place := d.cloud.Status()
	s := admin.State{
		Build: thisBuild(), PID: os.Getpid(), Started: inSeconds(d.started),
		Uptime:   float64(time.Since(d.started).Milliseconds()) / 1000,
		Ready:    true,
		Draining: d.drains.begun.Load(),
		Drain:    d.drains.state.Load(),
		Rates:    d.rates.Rates(d.fwd.Stats()),
		Proxy:    d.fwd.Status(),
		Config:   configState(d.reload.State()),
		Taken:    d.taken,
		Sources:  map[string]string{},
		Instance: place.Instance, EIP: place.EIP, Lifecycle: place.Lifecycle,
	}
	for _, in := range d.settings.Load().Listeners {
		s.Sources[in.Name] = d.sockets.source(in.Name)
	}
	s.Proxy.Draining = s.Draining // a drain begins before the listeners close
	for _, c := range d.health.Conditions() {
		s.Conditions = append(s.Conditions, admin.ConditionState{Name: c.Name, OK: c.Err == nil, Reason: c.Reason()})
		s.Ready = s.Ready && c.Err == nil
	}
	return s
}

// configState is the last reload as the admin port shows it.
func configState(s reload.State) admin.ConfigState {
	return admin.ConfigState{
		Loaded: inSeconds(s.Loaded), Begun: inSeconds(s.Begun), Tried: inSeconds(s.Tried),
		OK: len(s.Faults) == 0, Faults: append([]string{}, s.Faults...), Fixed: append([]string{}, s.Fixed...),
	}
}

// Recent is the last lines of the log.
func (d *daemon) Recent() []byte { return d.log.Recent() }

// Effective is the configuration in use as a file: that of the flags, the environment and the file, fitted to the machine.
func (d *daemon) Effective() ([]byte, error) { return config.Render(*d.settings.Load()) }

// ServeMetrics answers as the health port answers /metrics.
func (d *daemon) ServeMetrics(w http.ResponseWriter, r *http.Request) { d.metrics.ServeHTTP(w, r) }

// limitsOf lists the limits of a configuration that are not off.
func limitsOf(cfg *config.Config) (all []metrics.Limit) {
	add := func(name, upstream string, value float64) {
		if value > 0 {
			all = append(all, metrics.Limit{Name: name, Upstream: upstream, Value: value})
		}
	}
	add("connections", "", float64(cfg.Limits.MaxConnections))
	add("connections_per_source", "", float64(cfg.Limits.PerSource))
	add("accepts_per_second", "", float64(cfg.Limits.AcceptRate))
	add("buffered_bytes", "", float64(cfg.Limits.Buffered))
	for i := range cfg.Upstreams {
		add("upstream_connections", cfg.Upstreams[i].Name, float64(cfg.Upstreams[i].MaxConnections))
	}
	return all
}

// LogLevel is the level of the log, for the admin port.
func (d *daemon) LogLevel() admin.LogLevel {
	level, until := d.log.Level()
	return admin.LogLevel{Level: level, Configured: string(d.settings.Load().Log.Level), Until: inSeconds(until)}
}

// SetLogLevel changes it for a while; 0: until a reload, which sets what the file has.
func (d *daemon) SetLogLevel(level string, length time.Duration) admin.LogLevel {
	d.log.SetLevelFor(level, length, string(d.settings.Load().Log.Level))
	return d.LogLevel()
}

// History is what happened in the last minutes.
func (d *daemon) History() metrics.History { return d.rates.History() }

// Events are the latest events.
func (d *daemon) Events() []admin.Event { return d.events.List() }

// Connections: see proxy.Server.Connections.
func (d *daemon) Connections(ctx context.Context) (proxy.Listing, error) {
	return d.fwd.Connections(ctx)
}

// CloseConnection: see proxy.Server.CloseConnection.
func (d *daemon) CloseConnection(id uint64) error { return d.fwd.CloseConnection(id) }

// EjectAddress: see proxy.Server.EjectAddress.
func (d *daemon) EjectAddress(upstream string, addr netip.AddrPort, length time.Duration) (proxy.Ejection, error) {
	return d.fwd.EjectAddress(upstream, addr, length)
}

// RestoreAddress: see proxy.Server.RestoreAddress.
func (d *daemon) RestoreAddress(upstream string, addr netip.AddrPort) (proxy.Ejection, error) {
	return d.fwd.RestoreAddress(upstream, addr)
}

// healthHandler answers the requests to the health port.
func (d *daemon) healthHandler() http.Handler {
	mux := http.NewServeMux()
	health.Handle(mux, d.health, d.fwd.Alive)
	mux.Handle("GET /metrics", d.metrics)
	return admin.Named(admin.HealthPort, mux)
}

// adminServer answers the requests to the admin port. A profile takes longer than the other port allows.
func (d *daemon) adminServer(port net.Listener) *http.Server {
	srv := health.NewServer(admin.NewHandler(d, port.Addr(), d.log.Logger), logging.Std(d.log.Logger))
	srv.WriteTimeout = admin.WriteTimeout
	return srv
}

// scrape is the daemon's state as of now, for /metrics.
func (d *daemon) scrape() *metrics.Scrape {
	st, last := d.fwd.Stats(), d.reload.State()
	s := &metrics.Scrape{
		Stats: st, Rates: d.rates.Rates(st), Build: thisBuild(),
		Draining: d.drains.begun.Load(), Loaded: last.Loaded, ReloadFailed: len(last.Faults) > 0,
		Files: openFiles(), LinesDropped: st.AccessDropped + d.log.Dropped(),
		Sockets: len(d.settings.Load().Listeners) * max(d.loops, 1),
		Limits:  limitsOf(d.settings.Load()),
	}
	counts := d.upgrades.Counts()
	s.Handovers = metrics.Handovers{Taken: counts.Taken, Failed: counts.Failed, Refused: counts.Refused, Pause: counts.Pause}
	s.EIP, s.Lifecycle = d.cloud.Stats()
	return s
}
