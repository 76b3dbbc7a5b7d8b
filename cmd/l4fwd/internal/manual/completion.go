package manual

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// Choices is the annotation of a flag that takes one of a few values: these.
const Choices = "l4fwd_choices"

// Shells are those that there is a completion for.
var Shells = []string{"bash", "zsh", "fish"}

// WriteCompletion writes the script for one of Shells. The script asks the binary itself what fits, so it does not age.
func WriteCompletion(out io.Writer, root *cobra.Command, shell string) error {
	switch shell {
	case "bash":
		return root.GenBashCompletionV2(out, true)
	case "zsh":
		return root.GenZshCompletion(out)
	case "fish":
		return root.GenFishCompletion(out, true)
	}
	return fmt.Errorf("no completion for %q; use one of %s", shell, strings.Join(Shells, ", "))
}

// Complete has every verb below root answer what can follow: the choices of a flag, files where a file is meant, and nothing
// where a shell would offer files for a duration or an address. Call it once all verbs and flags are there.
func Complete(root *cobra.Command) error {
	if err := completeFlags(root); err != nil {
		return err
	}
	for _, cmd := range root.Commands() {
		if cmd.ValidArgsFunction == nil && len(cmd.ValidArgs) == 0 && !strings.HasSuffix(cmd.Use, "FILE") {
			cmd.ValidArgsFunction = cobra.NoFileCompletions
		}
		if err := Complete(cmd); err != nil {
			return err
		}
	}
	return nil
}

// CompleteVerbs offers the visible verbs below root, once: for the verb help.
func CompleteVerbs(root *cobra.Command) cobra.CompletionFunc {
	return func(_ *cobra.Command, args []string, _ string) (all []cobra.Completion, _ cobra.ShellCompDirective) {
		for _, cmd := range root.Commands() {
			if !cmd.Hidden && len(args) == 0 {
				all = append(all, cobra.CompletionWithDesc(cmd.Name(), cmd.Short))
			}
		}
		return all, cobra.ShellCompDirectiveNoFileComp
	}
}

// completeFlags has the flags of a verb complete their values.
func completeFlags(cmd *cobra.Command) (err error) {
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		arg, _ := pflag.UnquoteUsage(f)
		choices := slices.DeleteFunc(slices.Clone(f.Annotations[Choices]), func(c string) bool { return c == "" })
		switch {
		case err != nil || arg == "": // the first error stays; a flag without a value
		case arg == "FILE" && f.Name == "config":
			err = cmd.MarkFlagFilename(f.Name, "yaml", "yml")
		case arg == "FILE":
			err = cmd.MarkFlagFilename(f.Name)
		default:
			err = cmd.RegisterFlagCompletionFunc(f.Name, cobra.FixedCompletions(choices, cobra.ShellCompDirectiveNoFileComp))
		}
	})
	return err
}
