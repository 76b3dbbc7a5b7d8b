package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/manual"
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

// manualPages are the arguments of the verb man.
var manualPages = []string{"l4fwd", "l4fwd.yaml"}

// newMan is the verb man.
func newMan() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "man [PAGE]",
		Short: "Print a manual page",
		Long: "Prints a manual page for man(1): l4fwd, which is l4fwd(1) and the default, or l4fwd.yaml, which is l4fwd.yaml(5), the\n" +
			"keys of the configuration file. The packages install both.",
		Example:   "  l4fwd man > l4fwd.1 && man ./l4fwd.1\n  l4fwd man l4fwd.yaml > l4fwd.yaml.5 && man ./l4fwd.yaml.5",
		ValidArgs: manualPages,
		RunE:      printManual,
	}
	config.AddFileFlag(cmd.Flags())
	return cmd
}

// printManual prints the page that args names.
func printManual(cmd *cobra.Command, args []string) error {
	switch {
	case len(args) == 0, len(args) == 1 && args[0] == manualPages[0]:
		return written(manual.WriteCommand(cmd.OutOrStdout(), cmd.Root()))
	case len(args) == 1 && args[0] == manualPages[1]:
		var keys []manual.Key
		for _, k := range config.Describe() {
			keys = append(keys, manual.Key(k))
		}
		return written(manual.WriteFile(cmd.OutOrStdout(), keys))
	}
	return usage(fmt.Errorf("man: name one page: %s", strings.Join(manualPages, " or ")))
}

// newCompletion is the verb completion.
func newCompletion() *cobra.Command {
	cmd := &cobra.Command{
		Use:   "completion bash|zsh|fish",
		Short: "Print the script that completes l4fwd in a shell",
		Long: "Prints the script with which a shell completes verbs, flags and their values. The packages install all three. It asks\n" +
			"the l4fwd of the PATH for what fits.",
		Example: "  source <(l4fwd completion bash)\n" +
			"  l4fwd completion zsh > \"${fpath[1]}/_l4fwd\"\n" +
			"  l4fwd completion fish > ~/.config/fish/completions/l4fwd.fish",
		ValidArgs: manual.Shells,
		RunE: func(cmd *cobra.Command, args []string) error {
			if len(args) != 1 || !slices.Contains(manual.Shells, args[0]) {
				return usage(fmt.Errorf("completion: name one shell: %s", strings.Join(manual.Shells, ", ")))
			}
			return written(manual.WriteCompletion(cmd.OutOrStdout(), cmd.Root(), args[0]))
		},
	}
	config.AddFileFlag(cmd.Flags())
	return cmd
}

// written gives a failed write its exit status.
func written(err error) error {
	if err != nil {
		return failure(err)
	}
	return nil
}

// printed prints what a verb is about.
func printed(cmd *cobra.Command, text []byte) error {
	_, err := cmd.OutOrStdout().Write(text)
	return written(err)
}

// printVersion prints the build in a format that checkOutput has seen.
func printVersion(cmd *cobra.Command, output string) error {
	text := thisBuild().Text()
	if output == "json" {
		b, err := json.Marshal(thisBuild())
		if err != nil {
			return failure(err)
		}
		text = string(b) + "\n"
	}
	return printed(cmd, []byte(text))
}

// newVersion is the verb version.
func newVersion() *cobra.Command {
	var output string
	cmd := &cobra.Command{
		Use:     "version",
		Short:   "Print version, commit, Go version, platform and FIPS module",
		Example: "  l4fwd version\n  l4fwd version --output json",
		Args:    noArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if err := checkOutput(output); err != nil {
				return err
			}
			return printVersion(cmd, output)
		},
	}
	config.AddFileFlag(cmd.Flags())
	addOutputFlag(cmd.Flags(), &output)
	return cmd
}
