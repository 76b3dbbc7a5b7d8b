package main

import (
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/hangup"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/manual"
)

// newRoot builds the command tree. Without a verb the command is serve.
func newRoot(stdout, stderr io.Writer) *cobra.Command {
	root := &cobra.Command{
		Use:   "l4fwd",
		Short: "Forward TCP connections to an upstream",
		Long: "l4fwd accepts TCP connections and relays them to an upstream, untouched. Without a verb it serves.\n\n" +
			"A setting is taken from its flag, else from the environment (L4FWD_<KEY>), else from the file, else it has\n" +
			"its default. docs/CONFIG.md describes all keys.\n\n" + exitStatuses,
		Example:       "  l4fwd --upstream example.openai.azure.com:443\n  l4fwd check --config /etc/l4fwd/l4fwd.yaml\n  l4fwd status",
		Args:          verbOrNothing,
		SilenceErrors: true,
		SilenceUsage:  true,
		RunE: func(cmd *cobra.Command, args []string) error {
			if asked, err := cmd.Flags().GetBool("version"); err == nil && asked {
				return printVersion(cmd, "text")
			}
			return serveVerb(cmd, args)
		},
		PersistentPreRun: func(cmd *cobra.Command, _ []string) {
			if cmd.HasParent() && cmd.Name() != "serve" {
				hangup.Default()
			}
		},

		CompletionOptions: cobra.CompletionOptions{DisableDefaultCmd: true}, // newCompletion is in its place
	}
	setHelp(root, stdout, stderr)
	config.AddFileFlag(root.Flags())
	config.AddFlags(root.Flags())
	root.AddCommand(newServe(), newCheck(), newStatus(), newReload(), newDrain(), newUpgrade(), newEIP(), newVersion(), newDocs(), newDoctor(), newImport(), newMan(), newCompletion(), newConns(), newAddress(), newLogLevel(), newBundle(), newTop())
	for _, cmd := range append(root.Commands(), root) {
		config.GiveOnce(cmd.Flags())
		for _, sub := range cmd.Commands() {
			config.GiveOnce(sub.Flags())
		}
	}
	root.SetHelpCommand(newHelp(root))
	if err := manual.Complete(root); err != nil {
		panic(err) // a flag that is not there, or completed twice: a test builds the tree
	}
	return root
}

// setHelp sets what cobra prints by itself: the help and complaints about flags. It sets functions, not templates: text/template
// looks up methods by names that the linker cannot know, so that it keeps every method of the EC2 client, 20 MB of them.
func setHelp(root *cobra.Command, stdout, stderr io.Writer) {
	root.Flags().Bool("version", false, "Print what the verb version prints.")
	root.SetOut(stdout)
	root.SetErr(stderr)
	root.SetUsageFunc(printUsage)
	root.SetFlagErrorFunc(flagError)
	help := root.HelpFunc()
	root.SetHelpFunc(func(cmd *cobra.Command, args []string) {
		if cmd != root || cmd.Flags().NArg() == 0 { // else run reports the unknown verb
			help(cmd, args)
		}
	})
}

// printUsage prints what follows the description in the help of a verb, as cobra does, with lines of at most 100 columns.
func printUsage(cmd *cobra.Command) error {
	var b strings.Builder
	b.WriteString("Usage:")
	if cmd.Runnable() {
		fmt.Fprintf(&b, "\n  %s", cmd.UseLine())
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n  %s [command]", cmd.CommandPath())
	}
	if cmd.HasExample() {
		fmt.Fprintf(&b, "\n\nExamples:\n%s", cmd.Example)
	}
	writeVerbs(&b, cmd)
	if cmd.HasAvailableLocalFlags() {
		fmt.Fprintf(&b, "\n\nFlags:\n%s", strings.TrimRight(cmd.LocalFlags().FlagUsagesWrapped(100), " \n"))
	}
	if cmd.HasAvailableSubCommands() {
		fmt.Fprintf(&b, "\n\nUse \"%s [command] --help\" for more information about a command.", cmd.CommandPath())
	}
	_, err := fmt.Fprintln(cmd.OutOrStderr(), b.String())
	return err
}

// writeVerbs lists the verbs below cmd, if it has any.
func writeVerbs(b *strings.Builder, cmd *cobra.Command) {
	if !cmd.HasAvailableSubCommands() {
		return
	}
	b.WriteString("\n\nAvailable Commands:")
	for _, sub := range cmd.Commands() {
		if sub.IsAvailableCommand() || sub.Name() == "help" {
			fmt.Fprintf(b, "\n  %-*s %s", sub.NamePadding(), sub.Name(), sub.Short)
		}
	}
}

// exitStatuses is a part of the help of l4fwd itself: every visible verb has its line.
const exitStatuses = `Exit status:
  serve        0 after a drain, also one cut short by its timeout; 1 a failure while running, or an Elastic IP
               that was not released; 2 bad flags or configuration
  check        0 the configuration is valid; 2 it is not
  status       0 ready; 1 not ready; 3 no daemon answers
  reload       0 the file is in use; 1 it was refused and nothing changed; 3 no daemon answers
  upgrade      0 the new process serves; 1 it does not, and the old one goes on; 3 no daemon answers
  drain        0 the drain has begun; 1 it has not, or no daemon answers
  conns        0 listed, or closed; 1 no connection of that id is open, or no daemon answers
  address      0 done; 1 failed, or no daemon answers
  log-level    0 done; 1 failed, or no daemon answers
  doctor       0 no step failed, warnings too; 1 a step failed
  eip          0 done; 1 failed
  import       0 all that matters was carried; 1 a line changes routing, access or timeouts; 2 the file cannot be read
  top          0; 1 no daemon answers, or there is no terminal
  bundle       0 the archive is written; 1 it is not
  version      0
  man          0
  completion   0
  every verb   2 bad flags`

// newHelp is the verb help, which fails for what is no verb.
func newHelp(root *cobra.Command) *cobra.Command {
	return &cobra.Command{
		Use:   "help [verb]",
		Short: "Help about a verb",

		ValidArgsFunction: manual.CompleteVerbs(root),

		RunE: func(_ *cobra.Command, args []string) error {
			cmd, rest, err := root.Find(args)
			switch {
			case err != nil:
				return err
			case cmd == root:
				if err := verbOrNothing(root, rest); err != nil {
					return err
				}
			}
			return cmd.Help()
		},
	}
}

// verbOrNothing rejects what is no verb, and says which one may have been meant.
func verbOrNothing(cmd *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	var verbs []string
	for _, c := range cmd.Commands() {
		if !c.Hidden {
			verbs = append(verbs, c.Name())
		}
	}
	hint := "verbs: " + strings.Join(verbs, ", ")
	if config.NamesFile(args[0]) {
		return usage(fmt.Errorf("unexpected argument %q; name a file with --config %s", args[0], args[0]))
	}
	if near := config.Nearest(args[0], verbs); near != "" {
		hint = "did you mean " + near + "? " + hint
	}
	return usage(fmt.Errorf("unknown verb %q; %s", args[0], hint))
}

// flagError explains a fault of the command line, with the flag that may have been meant.
func flagError(cmd *cobra.Command, err error) error {
	var repeated *config.RepeatedFlag
	if errors.As(err, &repeated) {
		return usage(repeated)
	}
	var unknown *pflag.NotExistError
	if !errors.As(err, &unknown) {
		return usage(fmt.Errorf("%w; see %s --help", err, cmd.CommandPath()))
	}
	var flags []string
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !f.Hidden {
			flags = append(flags, f.Name)
		}
	})
	hint := "see " + cmd.CommandPath() + " --help"
	if near := config.Nearest(unknown.GetSpecifiedName(), flags); near != "" {
		hint = "did you mean --" + near + "?"
	}
	return usage(fmt.Errorf("unknown flag %s; %s", dashed(unknown), hint))
}

// dashed is an unknown flag as it was written.
func dashed(e *pflag.NotExistError) string {
	if e.GetSpecifiedShortnames() != "" {
		return "-" + e.GetSpecifiedName()
	}
	return "--" + e.GetSpecifiedName()
}
