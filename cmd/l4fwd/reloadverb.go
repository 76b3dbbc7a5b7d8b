package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
)

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
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags(), "admin")
	return cmd
}

// printReload prints what a reload changed. Faults are the error.
func printReload(out io.Writer, r admin.Reloaded) error {
	if !r.InUse {
		return failure(errors.New("the reload failed and changed nothing:\n  " + strings.Join(r.Faults, "\n  ")))
	}
	text := "reloaded; nothing has changed\n"
	if len(r.Changed) > 0 {
		text = "reloaded; changed: " + strings.Join(r.Changed, ", ") + "\n"
	}
	if len(r.Fixed) > 0 {
		text += "these keys keep their old values until a restart: " + strings.Join(r.Fixed, ", ") + "\n"
	}
	if _, err := fmt.Fprint(out, text); err != nil {
		return failure(err)
	}
	return nil
}
