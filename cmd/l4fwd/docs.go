package main

import (
	"errors"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
)

// newDocs is the hidden verb that prints the generated documents.
func newDocs() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "docs config|metrics",
		Short:   "Print docs/CONFIG.md or docs/METRICS.md",
		Example: "  l4fwd docs config > docs/CONFIG.md\n  l4fwd docs metrics > docs/METRICS.md",
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			out := cmd.OutOrStdout()
			switch {
			case len(args) == 1 && args[0] == "config":
				return config.WriteDoc(out)
			case len(args) == 1 && args[0] == "metrics":
				return metrics.WriteDoc(out)
			}
			return usage(errors.New("docs: name one document, config or metrics"))
		},
	}
	config.AddFileFlag(cmd.Flags())
	return cmd
}
