package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/manual"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
)

// newStatus is the verb status.
func newStatus() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:   "status",
		Short: "Show the state of the running daemon",
		Long: "Asks the running daemon over admin.address for its state. Exit status: 0 it is ready, 1 it is not ready,\n" +
			"3 no daemon answers.",
		Example: "  l4fwd status\n  l4fwd status --admin unix:/run/l4fwd/admin.sock\n  l4fwd status --output json | jq .proxy.upstreams",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			return showStatus(cmd, output)
		},
	}
	addOutputFlag(cmd.Flags(), &output)
	return talksToDaemon(cmd)
}

// addOutputFlag adds --output; checkOutput says whether its value is a choice.
func addOutputFlag(fs *pflag.FlagSet, output *string) {
	fs.StringVarP(output, "output", "o", "text", "How to print it: `FORMAT` text or json.")
	offer(fs, "output", "text", "json")
}

// offer has the shells complete the value of a flag with choices.
func offer(fs *pflag.FlagSet, flag string, choices ...string) {
	fs.Lookup(flag).Annotations = map[string][]string{manual.Choices: choices}
}

// checkOutput reports a value of --output that is not a choice.
func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return usage(fmt.Errorf("flag --output: %q is not a choice; use one of text, json", output))
	}
	return nil
}

// statusWidth is how many columns the text of status has, those of the narrowest terminal. The JSON has every name in full.
const statusWidth = 80

// showStatus prints the state of the daemon. Its exit status says whether the daemon is ready.
func showStatus(cmd *cobra.Command, output string) error {
	c, err := adminClient(cmd)
	if err != nil {
		return err
	}
	s, raw, err := c.State()
	if err != nil {
		return unanswered(err)
	}
	var out bytes.Buffer
	if output == "json" {
		out.Write(append(raw, '\n')) // as the daemon wrote it, which may be of another version
	} else {
		admin.WriteText(&out, s, statusWidth)
	}
	if err := printed(cmd, out.Bytes()); err != nil {
		return err
	}
	if !s.Ready {
		return silent(exitFailure)
	}
	return nil
}

// unanswered gives the error its exit status.
func unanswered(err error) error {
	if errors.Is(err, admin.ErrNoDaemon) {
		return &exitError{exitNoDaemon, err}
	}
	return failure(err)
}

// newDrain is the verb drain.
func newDrain() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "drain",
		Short: "Drain the running daemon, which then exits",
		Long: "Begins a drain, as SIGTERM does: not ready, drain.lame_duck, stop accepting, wait for connections up to\n" +
			"drain.timeout, exit 0. The verb returns at once; status shows how it goes on.",
		Example: "  l4fwd drain\n  l4fwd drain --admin unix:/run/l4fwd/admin.sock",
		Args:    noArgs,
		RunE:    func(cmd *cobra.Command, _ []string) error { return beginDrain(cmd) },
	}
	return talksToDaemon(cmd)
}

// beginDrain has the running daemon drain, and does not wait for the end.
func beginDrain(cmd *cobra.Command) error {
	c, err := adminClient(cmd)
	if err != nil {
		return err
	}
	begun, err := c.Drain()
	if err != nil {
		return failure(err)
	}
	said := "a drain runs already"
	if begun {
		said = "draining"
	}
	fmt.Fprintln(cmd.OutOrStdout(), said)
	return nil
}

// newReload is the verb reload.
func newReload() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "reload",
		Short: "Have the running daemon load its file again",
		Long: "Has the running daemon load its configuration file again, as SIGHUP does, and waits for the outcome. Exit status:\n" +
			"0 the file is in use, 1 it was refused and nothing was changed, 3 no daemon answers.",
		Example: "  l4fwd reload\n  l4fwd reload --admin unix:/run/l4fwd/admin.sock",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			c, err := adminClient(cmd)
			if err != nil {
				return err
			}
			out, err := c.Reload()
			if err != nil {
				return unanswered(err)
			}
			return printReload(cmd.OutOrStdout(), out)
		},
	}
	return talksToDaemon(cmd)
}

// printReload prints what a reload changed. Faults are the error.
func printReload(out io.Writer, r admin.Reloaded) error {
	if !r.InUse {
		return failure(errors.New(plain.Lines("the reload failed and changed nothing:\n  " + strings.Join(r.Faults, "\n  "))))
	}
	text := "reloaded; nothing has changed\n"
	if len(r.Changed) > 0 {
		text = "reloaded; changed: " + strings.Join(r.Changed, ", ") + "\n"
	}
	if len(r.Fixed) > 0 {
		text += "these keys keep their old values until an upgrade or a restart: " + strings.Join(r.Fixed, ", ") + "\n"
	}
	_, err := fmt.Fprint(out, text)
	return written(err)
}

// talksToDaemon adds the flags with which a verb finds the daemon.
func talksToDaemon(cmd *cobra.Command) *cobra.Command {
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags(), "admin")
	return cmd
}

// adminClient speaks to the daemon at the admin address of flags, environment and file. It ignores faults in other keys: a
// running daemon must be reachable while its file is being edited.
func adminClient(cmd *cobra.Command) (*admin.Client, error) {
	l := config.Load(cmd.Flags())
	var faults config.Faults
	for _, f := range l.Faults {
		// A daemon may be reached at an address on which none may listen.
		if !f.Warning && (l.Broken && !l.AdminNamed || f.Key == "admin.address" && l.Config.Admin.Address.Local()) {
			faults = append(faults, f)
		}
	}
	if len(faults) > 0 {
		faults.Print(cmd.ErrOrStderr())
		return nil, silent(exitUsage)
	}
	return adminClientAt(l.Config.Admin.Address, cmd.Name())
}

// adminClientAt speaks to the daemon at an admin address, on behalf of a verb.
func adminClientAt(e config.Endpoint, verb string) (*admin.Client, error) {
	if e.Off() {
		return nil, usage(errors.New("admin.address is off: name the daemon's with --admin ADDR"))
	}
	if e.Addr.IsValid() && e.Addr.Addr().IsUnspecified() {
		e.Addr = netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 0, 0, 1}), e.Addr.Port())
	}
	return admin.NewClient(verb, e.Network(), e.Address()), nil
}
