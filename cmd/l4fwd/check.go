package main

import (
	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
)

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
		RunE: func(cmd *cobra.Command, _ []string) error {
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
		},
	}
	config.AddFileFlag(cmd.Flags())
	config.AddFlags(cmd.Flags())
	return cmd
}
