package main

import (
	"context"
	"encoding"

	"github.com/spf13/cobra"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/health/probe"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// compile turns a configuration without faults into the options of the forwarder. An error means that config and proxy
// do not know the same choices.
func compile(cfg config.Config, log *zap.Logger) (proxy.Options, error) {
	var c choices
	o := proxy.Options{
		Engine: string(cfg.Engine), Loops: cfg.Loops, Steered: cfg.Steering == config.SteeringCPU, MaxConnections: cfg.Limits.MaxConnections,
		PerSource: cfg.Limits.PerSource, AcceptRate: cfg.Limits.AcceptRate, Buffered: cfg.Limits.Buffered,
		PrefaceTimeout: cfg.Timeouts.Preface, IdleTimeout: cfg.Timeouts.Idle, HalfCloseTimeout: cfg.Timeouts.HalfClose,
		Keepalive: relay.Keepalive(cfg.Keepalive),
		DNS:       proxy.DNS{Servers: cfg.DNS.Servers, MinTTL: cfg.DNS.MinTTL, MaxTTL: cfg.DNS.MaxTTL, Timeout: cfg.DNS.Timeout},
		Prober:    probeAddress,
		Log:       log,
	}
	c.read(string(cfg.Log.Access), &o.Access)
	o.Starts, o.Progress = cfg.Log.Starts, cfg.Log.Progress
	for _, in := range cfg.Listeners {
		o.Listeners = append(o.Listeners, compileListener(in, &c))
	}
	for _, u := range cfg.Upstreams {
		o.Upstreams = append(o.Upstreams, compileUpstream(u, &c))
	}
	return o, c.err
}

// compileListener turns one entry of listeners into that of the forwarder.
func compileListener(in config.Listener, c *choices) proxy.Listener {
	l := proxy.Listener{
		Name: in.Name, Addr: in.Address.AddrPort, Upstream: in.Upstream, Routes: compileRoutes(in.Routes),
		AllowSources: in.AllowSources, AllowVPCE: in.AllowVPCE,
	}
	c.read(string(in.AcceptProxy), &l.AcceptProxy)
	return l
}

// hostPorts turns addresses of the configuration into those of the forwarder.
func hostPorts(all []config.HostPort) (out []proxy.HostPort) {
	for _, a := range all {
		out = append(out, proxy.HostPort(a))
	}
	return out
}

// compileUpstream turns one entry of upstreams into that of the forwarder.
func compileUpstream(u config.Upstream, c *choices) proxy.Upstream {
	up := proxy.Upstream{
		Name: u.Name, Host: u.Address.Host, Port: u.Address.Port,
		ConnectTimeout: u.Connect.Timeout, Attempts: u.Connect.Attempts, Stagger: u.Connect.Stagger,
		MaxConnections: u.MaxConnections, Removed: proxy.Removed(u.OnRemoved),
		Check:   proxy.Check{Path: u.Check.Path, Interval: u.Check.Interval, Timeout: u.Check.Timeout, Rise: u.Check.Rise, Fall: u.Check.Fall},
		Outlier: proxy.Outlier(u.Outlier), Warm: proxy.Warm(u.Warm),
		SourceAddresses: u.SourceAddresses, Required: u.Required,
		Others: hostPorts(u.Addresses), Backups: hostPorts(u.Backups),
	}
	c.read(string(u.Balance), &up.Balance)
	c.read(string(u.Check.Type), &up.Check.Type)
	c.read(string(u.Admission), &up.Admission)
	c.read(string(u.SendProxy), &up.SendProxy)
	return up
}

// compileRoutes keeps the order of the routes: the first match wins.
func compileRoutes(routes []config.Route) []proxy.Route {
	var all []proxy.Route
	for _, r := range routes {
		all = append(all, proxy.Route{SNI: r.SNI, Upstream: r.Upstream})
	}
	return all
}

// choices reads the enumerations of proxy and keeps the first error, so that many can be read in a row.
type choices struct{ err error }

// read reads one enumeration into its place.
func (c *choices) read(text string, into encoding.TextUnmarshaler) {
	if err := into.UnmarshalText([]byte(text)); err != nil && c.err == nil {
		c.err = err
	}
}

// probeAddress makes the checks of upstreams. It is the forwarder's proxy.Prober.
func probeAddress(ctx context.Context, p proxy.Probe) (refusal string, err error) {
	secure := probe.TLSRequest{Addr: p.Addr, ServerName: p.Host, First: p.First}
	switch p.Type {
	case proxy.CheckHTTPS:
		r, err := probe.HTTPS(ctx, probe.HTTPRequest{TLSRequest: secure, Path: p.Path})
		return r.Refusal, err
	case proxy.CheckTLS:
		_, err = probe.TLS(ctx, secure)
	default:
		_, err = probe.TCP(ctx, p.Addr)
	}
	return "", err
}

// newCheck is the verb check.
func newCheck() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "check",
		Short: "Validate the configuration and print what is in effect",
		Long: "Loads and validates the configuration exactly as serve would. Every fault is reported at once on stderr,\n" +
			"with file, line and key, and the exit status is 2. Otherwise the effective configuration is printed as YAML,\n" +
			"which itself passes check unchanged.",
		Example: "  l4fwd check --config /etc/l4fwd/l4fwd.yaml\n  L4FWD_LOOPS=4 l4fwd check --upstream example.com:443 > effective.yaml",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return check(cmd) },
	}
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags())
	return cmd
}

// check prints the faults of the configuration, or without any the configuration.
func check(cmd *cobra.Command) error {
	l := config.Load(cmd.Flags())
	l.Faults.Print(cmd.ErrOrStderr())
	if l.Faults.Bad() {
		return silent(exitUsage)
	}
	effective, err := config.Render(l.Config)
	if err != nil {
		return failure(err)
	}
	return printed(cmd, effective)
}
