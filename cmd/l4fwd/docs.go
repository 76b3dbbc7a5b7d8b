package main

import (
	"errors"
	"io"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
)

// generatedDocs are the documents that are made from the code, by the argument of the verb docs.
var generatedDocs = map[string]func(io.Writer) error{
	"config":  config.WriteDoc,
	"keys":    config.WriteAnnotated,
	"metrics": metrics.WriteDoc,
}

// newDocs is the hidden verb that prints the generated documents.
func newDocs() *cobra.Command {
	cmd := &cobra.Command{
		Use:     "docs config|keys|metrics",
		Short:   "Print docs/CONFIG.md, docs/all-keys.yaml or docs/METRICS.md",
		Example: "  l4fwd docs config > docs/CONFIG.md\n  l4fwd docs keys > docs/all-keys.yaml\n  l4fwd docs metrics > docs/METRICS.md",
		Hidden:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) == 1 && generatedDocs[args[0]] != nil {
				return generatedDocs[args[0]](cmd.OutOrStdout())
			}
			return usage(errors.New("docs: name one document: config, keys or metrics"))
		},
	}
	config.AddFileFlag(cmd.Flags())
	return cmd
}
