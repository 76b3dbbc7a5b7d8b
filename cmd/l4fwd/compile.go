package main

import (
	"cmp"
	"encoding"
	"net/netip"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// compile turns a configuration without faults into what the forwarder does.
func compile(cfg config.Config, log *zap.Logger) (proxy.Options, error) {
	o := proxy.Options{
		Engine: cfg.Engine, Loops: cfg.Loops, MaxConnections: cfg.Limits.MaxConnections,
		PerSource: cfg.Limits.PerSource, AcceptRate: cfg.Limits.AcceptRate,
		PrefaceTimeout:   time.Duration(cfg.Timeouts.Preface),
		IdleTimeout:      time.Duration(cfg.Timeouts.Idle),
		HalfCloseTimeout: time.Duration(cfg.Timeouts.HalfClose),
		Keepalive: relay.Keepalive{
			Idle:     time.Duration(cfg.Keepalive.Idle),
			Interval: time.Duration(cfg.Keepalive.Interval),
			Count:    cfg.Keepalive.Count,
		},
		DNS: proxy.DNS{
			MinTTL:  time.Duration(cfg.DNS.MinTTL),
			MaxTTL:  time.Duration(cfg.DNS.MaxTTL),
			Timeout: time.Duration(cfg.DNS.Timeout),
		},
		Log: log,
	}
	err := o.Access.UnmarshalText([]byte(cfg.Log.Access))
	if err != nil {
		return o, err
	}
	if o.DNS.Servers, err = compileAll(cfg.DNS.Servers, config.ParseResolver); err != nil {
		return o, err
	}
	if o.Listeners, err = compileAll(cfg.Listeners, compileListener); err != nil {
		return o, err
	}
	o.Upstreams, err = compileAll(cfg.Upstreams, compileUpstream)
	return o, err
}

func compileAll[F, T any](from []F, one func(F) (T, error)) ([]T, error) {
	var all []T
	for _, f := range from {
		t, err := one(f)
		if err != nil {
			return nil, err
		}
		all = append(all, t)
	}
	return all, nil
}

func compileListener(in config.Listener) (proxy.Listener, error) {
	addr, err := config.ParseListen(in.Address)
	if err != nil {
		return proxy.Listener{}, err
	}
	sources, err := compileAll(in.AllowSources, proxy.ParseSource)
	if err != nil {
		return proxy.Listener{}, err
	}
	l := proxy.Listener{
		Name: in.Name, Addr: addr, Upstream: in.Upstream, Routes: compileRoutes(in.Routes),
		AllowSources: sources, AllowVPCE: in.AllowVPCE,
	}
	err = l.AcceptProxy.UnmarshalText([]byte(in.AcceptProxy))
	return l, err
}

func compileUpstream(u config.Upstream) (proxy.Upstream, error) {
	host, port, err := config.ParseHostPort(u.Address)
	if err != nil {
		return proxy.Upstream{}, err
	}
	backups, err := compileAll(u.Backups, compileHostPort)
	if err != nil {
		return proxy.Upstream{}, err
	}
	sources, err := compileAll(u.SourceAddresses, netip.ParseAddr)
	if err != nil {
		return proxy.Upstream{}, err
	}
	removed, err := config.ParseRemoved(u.OnRemoved)
	up := proxy.Upstream{
		Name: u.Name, Host: host, Port: port, Backups: backups,
		ConnectTimeout: time.Duration(u.Connect.Timeout), Attempts: u.Connect.Attempts,
		MaxConnections: u.MaxConnections, Removed: proxy.Removed(removed),
		Check: proxy.Check{
			Interval: time.Duration(u.Check.Interval), Timeout: time.Duration(u.Check.Timeout),
			Rise: u.Check.Rise, Fall: u.Check.Fall,
		},
		Outlier: proxy.Outlier{
			Failures: u.Outlier.Failures, Ejection: time.Duration(u.Outlier.Ejection), MaxEjectedPercent: u.Outlier.MaxEjectedPercent,
		},
		Warm:            proxy.Warm{Connections: u.Warm.Connections, MaxIdle: time.Duration(u.Warm.MaxIdle)},
		SourceAddresses: sources,
	}
	var c choices
	c.read(u.Balance, &up.Balance)
	c.read(u.Check.Type, &up.Check.Type)
	c.read(u.SendProxy, &up.SendProxy)
	return up, cmp.Or(err, c.err)
}

func compileHostPort(text string) (proxy.HostPort, error) {
	host, port, err := config.ParseHostPort(text)
	return proxy.HostPort{Host: host, Port: port}, err
}

func compileRoutes(routes []config.Route) []proxy.Route {
	var all []proxy.Route
	for _, r := range routes {
		all = append(all, proxy.Route{SNI: r.SNI, Upstream: r.Upstream})
	}
	return all
}

// choices reads the enumerations of proxy and keeps the first error, so that many can be read in a row.
type choices struct{ err error }

func (c *choices) read(text string, into encoding.TextUnmarshaler) {
	if err := into.UnmarshalText([]byte(text)); err != nil && c.err == nil {
		c.err = err
	}
}
