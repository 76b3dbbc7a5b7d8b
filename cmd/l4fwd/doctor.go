package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/doctor"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/logging"
	"github.com/l4fwd/l4fwd/proxy"
)

// egressService answers with the address of the caller. AWS runs it for its own tools.
const egressService = "https://checkip.amazonaws.com"

// doctorFlags are the flags of the verb doctor beside those of serve.
type doctorFlags struct {
	through, expect, output, egress string
	targets                         []string
}

// newDoctor is the verb doctor.
func newDoctor() *cobra.Command {
	f := &doctorFlags{}
	cmd := &cobra.Command{
		Use:   "doctor",
		Short: "Test the path step by step and say where it is broken",
		Long: "Tests the path as a person would: machine, name at each resolver, TCP, ClientHello, certificate, a request without a\n" +
			"key, the address that Azure sees, the Elastic IP, permissions, lifecycle hooks. The first line is the verdict; then a\n" +
			"line a step, with what a failure means and the command that mends it. It needs no daemon and no privilege, changes\n" +
			"nothing, and ends within 30 s. Exit status: 0 no step failed, 1 a step failed, 2 bad flags.",
		Example: "  l4fwd doctor --config /etc/l4fwd/l4fwd.yaml\n" +
			"  l4fwd doctor --upstream example.openai.azure.com:443 --through 127.0.0.1:8443\n" +
			"  l4fwd doctor --target my-search.search.windows.net:443 --expect private",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return f.run(cmd) },
	}
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags())
	addOutputFlag(cmd.Flags(), &f.output)
	cmd.Flags().StringVar(&f.through, "through", "", "Test the path through `HOST:PORT`: a running daemon, or the load balancer.")
	cmd.Flags().StringArrayVar(&f.targets, "target", nil, "Test `HOST:PORT` too, such as a search service. May be repeated.")
	cmd.Flags().StringVar(&f.expect, "expect", "", "`WHAT` the targets, or without any the upstreams, must be from here: public, private or unreachable.")
	offer(cmd.Flags(), "expect", "public", "private", "unreachable")
	cmd.Flags().StringVar(&f.egress, "egress-url", egressService, "`URL` that answers with the caller's address, asked if an address matters. off: none.")
	return cmd
}

// run makes the diagnosis and prints it.
func (f *doctorFlags) run(cmd *cobra.Command) error {
	if err := checkOutput(f.output); err != nil {
		return err
	}
	l := config.Load(cmd.Flags())
	faults, noUpstream := l.Faults.WithoutUpstream()
	if !noUpstream || len(f.targets) == 0 {
		faults = l.Faults
	}
	about, status := "", statusOf(cmd, l)
	if faults.Bad() {
		if rest, _ := faults.WithoutUpstream(); noUpstream && l.Path == "" && !rest.Bad() {
			return usage(errors.New("no upstream: name what to test with --target HOST:PORT, --upstream HOST:PORT or --config FILE"))
		}
		faults.Print(cmd.ErrOrStderr())
		if l = runningFor(cmd.Context(), l); l == nil {
			return silent(exitUsage)
		}
		about = runningInstead
		fmt.Fprintf(cmd.ErrOrStderr(), "l4fwd: the configuration has faults; this report is about that of the daemon that runs on %s\n", l.Config.Admin.Address)
	}
	o, err := f.options(l)
	if err != nil {
		return usage(err)
	}
	o.Configuration, o.Status = about, status
	r := doctor.Run(cmd.Context(), o)
	out := cmd.OutOrStdout()
	if f.output == "json" {
		err = r.WriteJSON(out)
	} else {
		file, isFile := out.(*os.File)
		err = r.WriteText(out, isFile && logging.Color(file))
	}
	switch {
	case err != nil:
		return failure(err)
	case !r.OK:
		return silent(exitFailure)
	}
	return nil
}

// runningTime is how long the doctor waits for the configuration of the daemon.
const runningTime = 2 * time.Second

// runningFor is the configuration of the daemon that runs while its file has faults: it still serves an older one. nil: there is no
// daemon, or what is wrong is not in a file.
func runningFor(ctx context.Context, l *config.Loaded) *config.Loaded {
	if l.Path == "" || l.Faults.OfFlags() {
		return nil
	}
	ask, err := adminClientAt(l.Config.Admin.Address, "doctor")
	if err != nil {
		return nil
	}
	ctx, cancel := context.WithTimeout(ctx, runningTime)
	defer cancel()
	running, err := runningConfig(ctx, ask)
	if err != nil || running.Faults.Bad() {
		return nil
	}
	running.Config.Admin.Address = l.Config.Admin.Address // where it answers from here
	return running
}

// options are what to test: the targets of the flags beside what the configuration needs.
func (f *doctorFlags) options(l *config.Loaded) (doctor.Options, error) {
	o := diagnosisOf(l)
	expect := doctor.Expect(f.expect)
	if f.expect != "" && !slices.Contains(doctor.Expectations, expect) {
		return o, fmt.Errorf("flag --expect: %q is not a choice; use one of public, private, unreachable", f.expect)
	}
	if o.EgressURL = f.egress; f.egress == "off" {
		o.EgressURL = ""
	} else if !strings.HasPrefix(f.egress, "https://") && !strings.HasPrefix(f.egress, "http://") {
		return o, fmt.Errorf("flag --egress-url: %q is no URL; write one with https://, or off", f.egress)
	}
	if len(f.targets) == 0 {
		for i := range o.Targets {
			o.Targets[i].Expect = expect
		}
	}
	for _, text := range f.targets {
		t, err := config.ParseHostPort(text)
		if err != nil {
			return o, fmt.Errorf("flag --target: %w", err)
		}
		o.Targets = append(o.Targets, doctor.Target{Host: t.Host, Port: t.Port, Expect: expect})
	}
	o.Targets = eachOnce(o.Targets)
	if f.through == "" {
		return o, nil
	}
	via, err := config.ParseHostPort(f.through)
	if err != nil {
		return o, fmt.Errorf("flag --through: %w", err)
	}
	o.Through = &doctor.Target{Host: via.Host, Port: via.Port, First: headerFor(&l.Config, via), Hint: hintFor(&l.Config, via)}
	return o, nil
}

// eachOnce leaves out targets that stand before. One with an expectation replaces the same one of the configuration.
func eachOnce(all []doctor.Target) (list []doctor.Target) {
	for _, t := range all {
		at := slices.IndexFunc(list, func(o doctor.Target) bool { return o.Host == t.Host && o.Port == t.Port })
		if at < 0 {
			list = append(list, t)
		} else {
			list[at].Expect = cmp.Or(list[at].Expect, t.Expect)
		}
	}
	return list
}

// headerFor is what a connection to a listener of this machine begins with: a PROXY header that names nobody, if one is required.
func headerFor(cfg *config.Config, via config.HostPort) []byte {
	if in := listenerAt(cfg, via); in != nil && in.AcceptProxy == config.AcceptProxyRequired && doctor.OfThisMachine(via.Host) {
		return []byte("PROXY UNKNOWN\r\n")
	}
	return nil
}

// hintFor is why the listener that a connection goes through is likely to cut it, as far as the configuration shows it.
func hintFor(cfg *config.Config, via config.HostPort) string {
	in := listenerAt(cfg, via)
	switch {
	case in == nil:
	case in.AcceptProxy == config.AcceptProxyRequired && !doctor.OfThisMachine(via.Host):
		return fmt.Sprintf("the PROXY header is missing: the listener %q has accept_proxy: required, and the load balancer in between must send one", in.Name)
	case len(in.AllowVPCE) > 0:
		return fmt.Sprintf("the listener %q refuses this client, which comes through no VPC endpoint of its allow_vpce", in.Name)
	case len(in.AllowSources) > 0:
		return fmt.Sprintf("the listener %q refuses this client, which is not in its allow_sources", in.Name)
	}
	return ""
}

// listenerAt is the listener of the configuration with the port of an address; nil: there is none.
func listenerAt(cfg *config.Config, via config.HostPort) *config.Listener {
	at := slices.IndexFunc(cfg.Listeners, func(in config.Listener) bool { return in.Address.Port() == via.Port })
	if at < 0 {
		return nil
	}
	return &cfg.Listeners[at]
}

// statusOf is the command that shows the state of the daemon this command is about.
func statusOf(cmd *cobra.Command, l *config.Loaded) string {
	text := "l4fwd status"
	if l.Path != "" {
		text += " --config " + doctor.Word(l.Path)
	}
	if f := cmd.Flags().Lookup("admin"); f != nil && f.Changed {
		text += " --admin " + doctor.Word(f.Value.String())
	}
	return text
}

// diagnosisOf are the steps for a configuration. Without an upstream there are none.
func diagnosisOf(l *config.Loaded) doctor.Options {
	cfg := l.Config
	o := doctor.Options{Version: thisBuild().Version, Servers: cfg.DNS.Servers, DNSTimeout: cfg.DNS.Timeout, EgressURL: egressService}
	if len(cfg.Upstreams) == 0 {
		return o
	}
	for _, u := range cfg.Upstreams {
		o.Targets = append(o.Targets, targetsOf(u, &cfg)...)
	}
	o.Machine = machineOf(l)
	if cfg.EIP.Wanted() {
		o.Cloud = &doctor.Cloud{Pool: cfg.EIP.Pool, Groups: cfg.Lifecycle.ASG == config.FollowAuto, LameDuck: cfg.Drain.LameDuck, DrainTimeout: cfg.Drain.Timeout}
	}
	o.Daemon = func(ctx context.Context) (doctor.DaemonState, error) { return daemonState(ctx, cfg.Admin.Address) }
	return o
}

// targetsOf are the addresses of an upstream. Each has to serve the name that clients ask for.
func targetsOf(u config.Upstream, cfg *config.Config) (all []doctor.Target) {
	name := u.Address.Host
	if _, err := netip.ParseAddr(name); err == nil {
		name = nameRoutedTo(u.Name, cfg, name)
	}
	first := proxy.CheckHeader(compileUpstream(u, &choices{}).SendProxy)
	for _, a := range slices.Concat([]config.HostPort{u.Address}, u.Addresses, u.Backups) {
		t := doctor.Target{Host: a.Host, Port: a.Port, ServerName: name, First: first}
		if u.Check.Type == config.CheckHTTPS {
			t.Path = u.Check.Path
		}
		all = append(all, t)
	}
	return all
}

// nameRoutedTo is the first name, without wildcards, that a route has for an upstream that is an IP address; else the address.
func nameRoutedTo(upstream string, cfg *config.Config, address string) string {
	for _, in := range cfg.Listeners {
		for _, r := range in.Routes {
			for _, sni := range r.SNI {
				if r.Upstream == upstream && !strings.HasPrefix(sni, "*") {
					return sni
				}
			}
		}
	}
	return address
}

// daemonState asks the daemon at an admin address for its state, until the context ends.
func daemonState(ctx context.Context, at config.Endpoint) (doctor.DaemonState, error) {
	if at.Off() {
		return doctor.DaemonState{}, fmt.Errorf("%w: admin.address is off", doctor.ErrNoDaemon)
	}
	client := admin.NewClient("doctor", at.Network(), at.Address())
	if end, ok := ctx.Deadline(); ok {
		client.Within(time.Until(end))
	}
	s, _, err := client.State()
	if errors.Is(err, admin.ErrNoDaemon) {
		return doctor.DaemonState{}, fmt.Errorf("%w on %s", doctor.ErrNoDaemon, at)
	} else if err != nil {
		return doctor.DaemonState{}, err
	}
	state := doctor.DaemonState{PID: s.PID, Version: s.Build.Version, Ready: s.Ready}
	for _, c := range s.Conditions {
		if !c.OK {
			state.NotReady = append(state.NotReady, c.Name+": "+c.Reason)
		}
	}
	for _, in := range s.Proxy.Listeners {
		state.Listens = append(state.Listens, in.Addr)
	}
	return state, nil
}
