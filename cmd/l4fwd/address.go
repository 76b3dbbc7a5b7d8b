package main

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
	"github.com/l4fwd/l4fwd/proxy"
)

// newAddress is the verb address.
func newAddress() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "address",
		Short: "List the addresses of upstreams, take one out of use by hand, and back",
		Long: "Lists the addresses of the running daemon's upstreams, takes one out of use by hand, and puts it back.\n\n" +
			"An ejected address gets no new connection until it is restored or its time is over, also across reloads and changes of\n" +
			"DNS, and also if no other address is left; an upgrade and `systemctl restart` keep it, a stop and a start forget it.\n" +
			"Connections to it go on: conns lists and closes them.\n" +
			"Ejecting the last usable address is done, with a warning: from then on new connections to the upstream are refused, and\n" +
			"an instance without another usable upstream is not ready, so that the load balancer sends clients elsewhere.\n" +
			"Exit status: 0 done, 1 failed, or no daemon answers.",
		Example: "  l4fwd address list\n  l4fwd address eject dais24 20.42.4.211:443 --for 15m\n  l4fwd address restore dais24 20.42.4.211:443",
		Args:    noArgs,
		RunE: func(*cobra.Command, []string) error {
			return usage(errors.New("address: name one of list, eject, restore; see l4fwd address --help"))
		},
	}
	cmd.AddCommand(newAddressList(), newEject(), newRestore())
	return talksToDaemon(cmd)
}

// newAddressList is the verb address list.
func newAddressList() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "list [UPSTREAM]",
		Short:   "List the addresses with their standing",
		Long:    "Lists the addresses of all upstreams, or of one, with their standing.",
		Example: "  l4fwd address list dais24",
		Args:    arguments("[UPSTREAM]", 0, 1),
		RunE:    func(cmd *cobra.Command, args []string) error { return listAddresses(cmd, args, output) },
	}
	addOutputFlag(cmd.Flags(), &output)
	return talksToDaemon(cmd)
}

// listAddresses prints the addresses of all upstreams, or of the one that args names.
func listAddresses(cmd *cobra.Command, args []string, output string) error {
	if err := checkOutput(output); err != nil {
		return err
	}
	c, err := adminClient(cmd)
	if err != nil {
		return err
	}
	list, raw, err := c.Addresses(strings.Join(args, ""))
	if err != nil {
		return failure(err)
	}
	var out bytes.Buffer
	if output == "json" {
		out.Write(append(raw, '\n'))
	} else {
		admin.WriteAddresses(&out, list)
	}
	return printed(cmd, out.Bytes())
}

// newEject is the verb address eject.
func newEject() *cobra.Command {
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "eject UPSTREAM ADDRESS [--for D]",
		Short: "Take an address out of use",
		Long: "Takes an address of an upstream out of use, for --for or until it is restored. It gets no new connection; those that\n" +
			"are open go on. Another eject replaces the time.",
		Example: "  l4fwd address eject dais24 20.42.4.211:443 --for 15m",
		Args:    arguments("UPSTREAM ADDRESS", 2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := checkFor(cmd, length); err != nil {
				return err
			}
			return changeAddress(cmd, args, func(c *admin.Client, addr netip.AddrPort) (proxy.Ejection, error) {
				return c.Eject(args[0], addr, length)
			})
		},
	}
	cmd.Flags().DurationVar(&length, "for", 0, "Restore it by itself after `D`, 1s to 720h; without it: never.")
	return talksToDaemon(cmd)
}

// newRestore is the verb address restore.
func newRestore() *cobra.Command {
	return talksToDaemon(&cobra.Command{
		Use:     "restore UPSTREAM ADDRESS",
		Short:   "Put an ejected address back into use",
		Long:    "Ends an ejection by hand. The address gets its share of new connections again, slowly at first.",
		Example: "  l4fwd address restore dais24 20.42.4.211:443",
		Args:    arguments("UPSTREAM ADDRESS", 2, 2),
		RunE: func(cmd *cobra.Command, args []string) error {
			return changeAddress(cmd, args, func(c *admin.Client, addr netip.AddrPort) (proxy.Ejection, error) {
				return c.Restore(args[0], addr)
			})
		},
	})
}

// changeAddress ejects or restores an address and prints what became of it.
func changeAddress(cmd *cobra.Command, args []string, act func(*admin.Client, netip.AddrPort) (proxy.Ejection, error)) error {
	addr, err := netip.ParseAddrPort(args[1])
	if err != nil {
		return usage(fmt.Errorf("%q is not an address with its port: write it as address list shows it, such as 20.42.4.211:443", args[1]))
	}
	c, err := adminClient(cmd)
	if err != nil {
		return err
	}
	e, err := act(c, addr)
	if err != nil {
		return failure(err)
	}
	until := ""
	if !e.Until.IsZero() {
		until = " until " + e.Until.UTC().Format(time.RFC3339)
	}
	fmt.Fprintf(cmd.OutOrStdout(), "%s of %s: %s%s; %d connections are open to it; usable addresses of %s: %d\n",
		e.Address, e.Upstream, e.State, until, e.Active, e.Upstream, e.Others)
	if e.Warning != "" {
		fmt.Fprintln(cmd.ErrOrStderr(), "WARNING: "+plain.Lines(e.Warning))
	}
	return nil
}

// newLogLevel is the verb log-level.
func newLogLevel() *cobra.Command {
	var length time.Duration
	cmd := &cobra.Command{
		Use:   "log-level [LEVEL [--for D]]",
		Short: "Change the running daemon's log level for a while",
		Long: "Changes the level of the running daemon's log: " + strings.Join(admin.LogLevels, ", ") + ". After --for the level of the\n" +
			"configuration is in force again. A reload ends it earlier: what the file has is in force then. The access log has no level.\n" +
			"Without LEVEL it shows the level in force.\n" +
			"Exit status: 0 done, 1 no daemon answers.",
		Example:   "  l4fwd log-level debug --for 10m\n  l4fwd log-level info\n  l4fwd log-level",
		Args:      arguments("LEVEL, one of "+strings.Join(admin.LogLevels, ", "), 0, 1),
		ValidArgs: admin.LogLevels,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 0 {
				return showLogLevel(cmd)
			}
			return setLogLevel(cmd, args[0], length)
		},
	}
	cmd.Flags().DurationVar(&length, "for", 0, "Return to the configured level after `D`, 1s to 720h; without it: at a reload.")
	return talksToDaemon(cmd)
}

// setLogLevel changes the level of the running daemon and prints what holds now.
func setLogLevel(cmd *cobra.Command, level string, length time.Duration) error {
	if !slices.Contains(admin.LogLevels, level) {
		return usage(fmt.Errorf("level %q is not a choice; use one of %s", level, strings.Join(admin.LogLevels, ", ")))
	}
	if err := checkFor(cmd, length); err != nil {
		return err
	}
	c, err := adminClient(cmd)
	if err != nil {
		return err
	}
	l, err := c.SetLogLevel(level, length)
	if err != nil {
		return failure(err)
	}
	return printLogLevel(cmd, l)
}

// showLogLevel prints the level of the running daemon and what may be chosen.
func showLogLevel(cmd *cobra.Command) error {
	choices := strings.Join(admin.LogLevels, ", ")
	if cmd.Flags().Changed("for") {
		return usage(fmt.Errorf("log-level --for: name the level, one of %s", choices))
	}
	c, err := adminClient(cmd)
	if err != nil {
		return err
	}
	l, err := c.LogLevel()
	if err != nil {
		return failure(err)
	}
	if err := printLogLevel(cmd, l); err != nil {
		return err
	}
	_, err = fmt.Fprintf(cmd.OutOrStdout(), "change it with l4fwd log-level and one of %s\n", choices)
	return err
}

// printLogLevel prints a level and how long it is in force.
func printLogLevel(cmd *cobra.Command, l admin.LogLevel) error {
	until := "until the next reload, which sets " + l.Configured
	if !l.Until.IsZero() {
		until = "until " + l.Until.UTC().Format(time.RFC3339) + ", then " + l.Configured
	}
	if l.Level == l.Configured {
		until = "as configured"
	}
	_, err := fmt.Fprintf(cmd.OutOrStdout(), "log level %s, %s\n", l.Level, until)
	return err
}

// checkFor reports a value of --for that is out of range.
func checkFor(cmd *cobra.Command, d time.Duration) error {
	err := admin.CheckFor(d)
	if err == nil && cmd.Flags().Changed("for") && d == 0 {
		err = fmt.Errorf("%s is out of range: use 1s to 720h", d)
	}
	if err != nil {
		return usage(fmt.Errorf("flag --for: %w", err))
	}
	return nil
}

// arguments takes from least to most arguments, which usage names.
func arguments(want string, least, most int) cobra.PositionalArgs {
	return func(cmd *cobra.Command, args []string) error {
		if len(args) < least || len(args) > most {
			return usage(fmt.Errorf("%s takes %s; see %s --help", cmd.CommandPath(), want, cmd.CommandPath()))
		}
		return nil
	}
}
