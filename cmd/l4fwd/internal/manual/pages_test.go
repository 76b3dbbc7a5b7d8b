package manual

import (
	"bytes"
	"errors"
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// tool is a root with a verb of verbs, a hidden verb, and flags of each kind.
func tool() *cobra.Command {
	run := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "l4fwd", Short: "Do It", Long: "About it.\n\nExit status:\n  serve  0", Example: "  l4fwd serve"}
	serve := &cobra.Command{Use: "serve", Short: "Serve", Long: "It serves.", Example: "  l4fwd serve --loops 3", Run: run}
	importing := &cobra.Command{Use: "import", Short: "Import", Run: run}
	importing.AddCommand(&cobra.Command{Use: "haproxy FILE", Short: "Import a haproxy.cfg", Run: run})
	conns := &cobra.Command{Use: "conns", Short: "List", ValidArgs: []cobra.Completion{"close"}, Run: run}
	conns.Flags().String("sort", "rate", "By `KEY`.")
	conns.Flags().String("cert", "", "Trust `FILE`.")
	conns.Flags().Bool("wide", false, "Wide.")
	level := &cobra.Command{Use: "log-level", Short: "Level", Run: run}
	level.ValidArgsFunction = cobra.FixedCompletions([]cobra.Completion{"debug"}, cobra.ShellCompDirectiveNoFileComp)
	check := &cobra.Command{Use: "check", Short: "Check", Run: run}
	for _, cmd := range []*cobra.Command{serve, check} {
		cmd.Flags().String("config", "", "Read `FILE`.")
		cmd.Flags().StringSlice("listen", nil, "Listen at `ADDRESS`.")
	}
	if err := conns.Flags().SetAnnotation("sort", Choices, []string{"", "rate", "age"}); err != nil {
		panic(err)
	}
	root.AddCommand(serve, importing, conns, level, check, &cobra.Command{Use: "docs", Short: "Hidden", Hidden: true, Run: run},
		&cobra.Command{Use: "help", Short: "Help", Run: run})
	return root
}

// The page of the program has its sections in the order of man-pages(7), each visible verb in the synopsis and below Verbs.
func TestWholeCommandPage(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteCommand(&b, tool()))
	text := b.String()
	at := 0
	for _, want := range []string{
		".SH NAME\nl4fwd \\- do It\n",
		".SH SYNOPSIS\n\\fBl4fwd check [flags]\\fR\n.br\n\\fBl4fwd conns [flags]\\fR\n.br\n\\fBl4fwd import haproxy FILE\\fR\n.br\n\\fBl4fwd log\\-level\\fR\n.br\n\\fBl4fwd serve [flags]\\fR\n",
		".SH DESCRIPTION\nAbout it.\n.SH VERBS\n",
		".SS \"l4fwd check\"\nCheck.\n.PP\nIt takes the flags of l4fwd serve.\n.SS ",
		"\"l4fwd conns\"\nList.\n.TP\n", "\\fB\\-\\-wide\\fR\nWide.\n",
		".SS \"l4fwd import haproxy\"\nImport a haproxy.cfg.\n",
		".SS \"l4fwd serve\"\nServe.\n.PP\nIt serves.\n", "\\fB\\-\\-listen\\fR \\fIADDRESS\\fR\nListen at ADDRESS.\n",
		".PP\nExamples:\n.PP\n.nf\n  l4fwd serve \\-\\-loops 3\n.fi\n",
		".SH EXIT STATUS\n.nf\n  serve  0\n.fi\n.SH ENVIRONMENT\n.TP\n", ".SH FILES\n.TP\n", ".SH SIGNALS\n.TP\n",
		".SH EXAMPLES\n.nf\n  l4fwd serve\n.fi\n.SH SEE ALSO\nl4fwd.yaml(5), systemctl(1), and",
	} {
		next := strings.Index(text[at:], want)
		require.GreaterOrEqual(t, next, 0, "%q after\n%s", want, text[at:])
		at += next + len(want)
	}
	require.NotContains(t, text, "Hidden")
	require.NotContains(t, text, "l4fwd help")
	require.Equal(t, 1, strings.Count(text, "Examples:\n"), "only where there are some")
}

// The page of the file has its sections too.
func TestWholeFilePage(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, WriteFile(&b, []Key{{Path: "loops", Doc: "Event loops."}}))
	at := 0
	for _, want := range []string{".SH NAME\n", ".SH DESCRIPTION\nThe file is YAML.", ".SH EXAMPLES\n.nf\nlisteners:\n", ".SH KEYS\n.TP\n\\fBloops\\fR\nEvent loops.\n",
		".SH FILES\n.TP\n", ".SH SEE ALSO\nl4fwd(1), and"} {
		next := strings.Index(b.String()[at:], want)
		require.GreaterOrEqual(t, next, 0, "%q after\n%s", want, b.String()[at:])
		at += next + len(want)
	}
}

type brokenPipe struct{}

func (brokenPipe) Write([]byte) (int, error) { return 0, errors.New("broken pipe") }

func TestAPageThatCannotBeWrittenIsAnError(t *testing.T) {
	require.EqualError(t, WriteCommand(brokenPipe{}, tool()), "broken pipe")
	require.EqualError(t, WriteFile(brokenPipe{}, nil), "broken pipe")
}

// completed is what the hidden verb of cobra that the scripts call answers.
func completed(t *testing.T, args ...string) string {
	root := tool()
	require.NoError(t, Complete(root))
	root.SetArgs(append([]string{cobra.ShellCompRequestCmd}, args...))
	var b bytes.Buffer
	root.SetOut(&b)
	root.SetErr(&bytes.Buffer{})
	require.NoError(t, root.Execute())
	return b.String()
}

// A shell is offered the choices of a flag, files where a file is meant and YAML where the configuration is, and nothing for an
// address or behind a verb that takes no argument.
func TestWhatAShellIsOffered(t *testing.T) {
	for line, want := range map[string]string{
		"conns --sort ":   "rate\nage\n:4\n", // 4: no files
		"conns --cert ":   ":0\n",            // files
		"serve --config ": "yaml\nyml\n:8\n", // files that end so
		"serve --listen ": ":4\n",
		"serve ":          ":4\n",
		"import haproxy ": ":0\n",
		"log-level ":      "debug\n:4\n",
		"conns ":          "close\n:4\n",
	} {
		require.Equal(t, want, completed(t, strings.Split(line, " ")...), line)
	}
	twice := tool()
	require.NoError(t, Complete(twice))
	require.ErrorContains(t, Complete(twice), "already registered", "a flag that has a completion is not passed over")
}

// The verb help offers each visible verb, once.
func TestVerbsAreOfferedOnce(t *testing.T) {
	root := tool()
	offered, directive := CompleteVerbs(root)(nil, nil, "")
	require.Equal(t, []cobra.Completion{"check\tCheck", "conns\tList", "help\tHelp", "import\tImport", "log-level\tLevel", "serve\tServe"}, offered)
	require.Equal(t, cobra.ShellCompDirectiveNoFileComp, directive)
	offered, _ = CompleteVerbs(root)(nil, []string{"serve"}, "")
	require.Empty(t, offered)
}

// Each shell has a script of its own language.
func TestScriptsOfShells(t *testing.T) {
	for shell, mark := range map[string]string{"bash": "__start_l4fwd", "zsh": "#compdef l4fwd", "fish": "complete -c l4fwd"} {
		var b bytes.Buffer
		require.NoError(t, WriteCompletion(&b, tool(), shell))
		require.Contains(t, b.String(), mark)
		require.Error(t, WriteCompletion(brokenPipe{}, tool(), shell), shell)
	}
}
