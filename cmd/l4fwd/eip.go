package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net/netip"
	"regexp"
	"time"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/pool"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/ports"
	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/instance"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
)

// newEIP is the verb eip, which has verbs of its own.
func newEIP() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "eip",
		Short:   "List, claim or release addresses of the pool",
		Example: "  l4fwd eip list --eip-pool tag:l4fwd-pool=aoai",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			return usage(errors.New("eip: name one of list, claim, release; see l4fwd eip --help"))
		},
	}
	config.AddFileFlag(cmd.Flags())
	cmd.AddCommand(newEIPList(), newEIPClaim(), newEIPRelease())
	return cmd
}

// newEIPList is the verb eip list.
func newEIPList() *cobra.Command {
	var format string
	cmd := &cobra.Command{
		Use:   "list",
		Short: "Show the pool and who holds what",
		Long: "Lists the addresses of eip.pool as EC2 shows them. The formats azure-cli and tfvars are for the firewall of the\n" +
			"Azure OpenAI resource: every address of the pool, held or free, so that it can stay as it is. STATE is the holder's in its\n" +
			"Auto Scaling group. A retained instance serves nothing and keeps its address: the table says how to free it.",
		Example: "  l4fwd eip list --eip-pool tag:l4fwd-pool=aoai\n" +
			"  RG=my-group NAME=my-openai sh -c \"$(l4fwd eip list --eip-pool tag:l4fwd-pool=aoai --format azure-cli)\"\n" +
			"  l4fwd eip list --config /etc/l4fwd/l4fwd.yaml --format tfvars > ip_rules.auto.tfvars",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return listPool(cmd, format) },
	}
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags(), "eip-pool")
	cmd.Flags().StringVar(&format, "format", "table", "How to print it: `FORMAT` table, json, azure-cli or tfvars.")
	offer(cmd.Flags(), "format", "table", "json", "azure-cli", "tfvars")
	return cmd
}

// listPool prints the addresses of the pool.
func listPool(cmd *cobra.Command, format string) error {
	printed, known := pool.Formats[format]
	if !known {
		return usage(fmt.Errorf("flag --format: %q is not a choice; use one of table, json, azure-cli, tfvars", format))
	}
	return withPool(cmd, time.Minute, func(ctx context.Context, aws clients, which eip.Selector) error {
		all, err := eip.List(ctx, aws.ec2, which)
		if err != nil {
			return err
		}
		entries := pool.Entries(all)
		if printed.States {
			entries = pool.EntriesWithStates(ctx, cmd.ErrOrStderr(), aws.autoScaling, all)
		}
		return printed.Write(cmd.OutOrStdout(), entries)
	})
}

// place is where an address is to be: our interface and its private address.
type place struct{ eni, private string }

var eniID = regexp.MustCompile(`^eni-[0-9a-f]{8,17}$`)

// addFlags adds the flags that name the place.
func (p *place) addFlags(cmd *cobra.Command) {
	cmd.Flags().StringVar(&p.eni, "interface", "", "The network interface `ENI`, eni-…. Default: the primary one of the instance.")
	cmd.Flags().StringVar(&p.private, "private-ip", "", "The private IPv4 `ADDRESS` on it that the address is for. Default: the primary one of the instance.")
}

// check returns a usage error for a flag whose value cannot be. It asks nobody, so that a typing error is named before anything that
// EC2 needs, such as a region, is missed.
func (p *place) check() error {
	if p.eni != "" && !eniID.MatchString(p.eni) {
		return usage(fmt.Errorf("flag --interface: %q is no network interface; write eni- and 8 to 17 hexadecimal digits", p.eni))
	}
	if p.private == "" {
		return nil
	}
	if private, err := netip.ParseAddr(p.private); err != nil || !private.Is4() {
		return usage(fmt.Errorf("flag --private-ip: %q is no IPv4 address; write the private one of the interface, like 10.0.1.7", p.private))
	}
	return nil
}

// complete takes what no flag says from the instance that this runs on, as the daemon does. Off EC2 it stays missing.
func (p *place) complete(ctx context.Context) error {
	if p.eni != "" && p.private != "" {
		return nil
	}
	_, id, err := instance.Load(ctx)
	switch {
	case errors.Is(err, instance.ErrNotEC2), errors.Is(err, instance.ErrDisabled):
		return nil
	case err != nil:
		return ports.Advise(err, "%s; or name the place with --interface and --private-ip", err)
	}
	p.eni = cmp.Or(p.eni, id.Interface)
	if p.eni == id.Interface {
		p.private = cmp.Or(p.private, id.PrivateIP)
	}
	return nil
}

// options returns the options of a claim for that place, whose flags were checked.
func (p *place) options(ctx context.Context, client eip.Client, which eip.Selector) (eip.Options, error) {
	if err := p.complete(ctx); err != nil {
		return eip.Options{}, err
	}
	switch {
	case p.eni == "":
		return eip.Options{}, usage(errors.New("flag --interface is missing: write --interface and the network interface, eni-…"))
	case p.private == "":
		return eip.Options{}, usage(errors.New("flag --private-ip is missing: write --private-ip and the private IPv4 address on the interface"))
	}
	private, err := netip.ParseAddr(p.private)
	if err != nil {
		return eip.Options{}, fmt.Errorf("read the private address of the instance: %w", err) // that of a flag was checked
	}
	return eip.Options{Client: client, Selector: which, Interface: p.eni, PrivateIP: private}, nil
}

// newEIPClaim is the verb eip claim.
func newEIPClaim() *cobra.Command {
	var at place
	var timeout time.Duration
	cmd := &cobra.Command{
		Use:   "claim",
		Short: "Claim an address for a network interface by hand",
		Long: "Associates a free address of eip.pool with the interface, never one that somebody holds, and prints it. One that\n" +
			"the interface has already is kept. On an instance the interface is its own, unless flags name another.",
		Example: "  l4fwd eip claim --eip-pool tag:l4fwd-pool=aoai\n" +
			"  l4fwd eip claim --eip-pool tag:l4fwd-pool=aoai --interface eni-0123456789abcdef0 --private-ip 10.0.1.7",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return at.claim(cmd, timeout) },
	}
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags(), "eip-pool")
	at.addFlags(cmd)
	cmd.Flags().DurationVar(&timeout, "timeout", 30*time.Second, "How long, `D`, to wait for a free address.")
	return cmd
}

// claim associates a free address of the pool with the place.
func (p *place) claim(cmd *cobra.Command, timeout time.Duration) error {
	if timeout <= 0 {
		return usage(fmt.Errorf("flag --timeout: %s is out of range; write a duration above 0, like 30s", timeout))
	}
	if err := p.check(); err != nil {
		return err
	}
	return withPool(cmd, timeout, func(ctx context.Context, aws clients, which eip.Selector) error {
		o, err := p.options(ctx, aws.ec2, which)
		if err != nil {
			return err
		}
		hold, err := eip.Claim(ctx, o)
		if err != nil {
			return err
		}
		return printHold(cmd, hold)
	})
}

// newEIPRelease is the verb eip release.
func newEIPRelease() *cobra.Command {
	var at place
	cmd := &cobra.Command{
		Use:   "release",
		Short: "Give the address of a network interface back by hand",
		Long: "Disassociates the address of eip.pool that the interface has, by its association, and prints it. A daemon that holds\n" +
			"it notices within eip.verify_interval and claims again: drain it first. On an instance the interface is its own,\n" +
			"unless flags name another.",
		Example: "  l4fwd eip release --eip-pool tag:l4fwd-pool=aoai\n" +
			"  l4fwd eip release --eip-pool tag:l4fwd-pool=aoai --interface eni-0123456789abcdef0 --private-ip 10.0.1.7",
		Args: noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error { return at.release(cmd) },
	}
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags(), "eip-pool")
	at.addFlags(cmd)
	return cmd
}

// release gives back the address of the pool that the place has.
func (p *place) release(cmd *cobra.Command) error {
	if err := p.check(); err != nil {
		return err
	}
	return withPool(cmd, 30*time.Second, func(ctx context.Context, aws clients, which eip.Selector) error {
		o, err := p.options(ctx, aws.ec2, which)
		if err != nil {
			return err
		}
		hold, err := eip.ReleaseOwn(ctx, o)
		switch {
		case err != nil:
			return err
		case hold.Allocation == "":
			return fmt.Errorf("%s on %s has no address of the pool %s", p.private, p.eni, which)
		}
		return printHold(cmd, hold)
	})
}

// printHold prints an address and its allocation.
func printHold(cmd *cobra.Command, hold eip.Hold) error {
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "%s %s\n", hold.Public, hold.Allocation)
	return err
}

// clients are the services of AWS that the verbs call.
type clients struct {
	ec2         eip.Client
	autoScaling lifecycle.Client
}

// withPool runs do with the clients and the pool of the configuration, for at most timeout. Faults of the configuration in keys
// that have nothing to do with the pool are ignored.
func withPool(cmd *cobra.Command, timeout time.Duration, do func(context.Context, clients, eip.Selector) error) error {
	l := config.Load(cmd.Flags())
	var faults config.Faults
	for _, f := range l.Faults {
		if !f.Warning && (l.Broken || f.Key == "eip.pool") {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		faults.Print(cmd.ErrOrStderr())
		return silent(exitUsage)
	}
	if !l.Config.EIP.Wanted() {
		return usage(errors.New("no pool: name one with --eip-pool tag:KEY=VALUE, or as eip.pool in a file given with --config"))
	}
	ctx, cancel := context.WithTimeout(cmd.Context(), timeout)
	defer cancel()
	cfg, err := eip.LoadConfig(ctx)
	if err != nil {
		return failure(err)
	}
	err = do(ctx, clients{eip.NewClient(cfg), lifecycle.NewClient(cfg)}, l.Config.EIP.Pool)
	if e := (*exitError)(nil); err == nil || errors.As(err, &e) {
		return err
	}
	return failure(err)
}
