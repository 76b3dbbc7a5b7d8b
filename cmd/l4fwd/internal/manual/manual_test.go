package manual

import (
	"strings"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/require"
)

// A help text may begin with what is a request of roff, or hold what is an escape: it is shown as it is.
func TestTextsAreNoRoff(t *testing.T) {
	for text, want := range map[string]string{
		".SH fake":       `\&.SH fake`,
		"'tis":           `\&\(aqtis`,
		`C:\new`:         `C:\enew`,
		"--a-flag":       `\-\-a\-flag`,
		"a×b…":           `a\[u00D7]b...`,
		"run `.sh -x` .": `run \fB\&.sh \-x\fR .`,
		"`x`.":           `\fBx\fR.`,
		"`odd":           `\fBodd\fR`,
	} {
		require.Equal(t, want, marked(text), text)
	}
}

// Paragraphs are filled; what is indented stays as it is.
func TestProse(t *testing.T) {
	p := &page{fresh: true}
	p.prose("one\ntwo:\n  a  b\n\nthree")
	require.Equal(t, "one two:\n.PP\n.nf\n  a  b\n.fi\n.PP\nthree\n", p.b.String())
}

// A verb that takes all flags of serve names them by serve; a hidden verb or flag is in no page.
func TestCommandPage(t *testing.T) {
	run := func(*cobra.Command, []string) {}
	root := &cobra.Command{Use: "l4fwd", Short: "Do It", Long: "About.\n\nExit status:\n  serve  0", Example: "  l4fwd"}
	serve := &cobra.Command{Use: "serve", Short: "Serve", Run: run}
	serve.Flags().Int("loops", 3, "How many, `N`.")
	check := &cobra.Command{Use: "check", Short: "Check", Run: run}
	check.Flags().Int("loops", 3, "How many, `N`.")
	check.Flags().BoolP("quiet", "q", false, "Be quiet.")
	check.Flags().Bool("secret", false, "Nobody knows.")
	require.NoError(t, check.Flags().MarkHidden("secret"))
	root.AddCommand(serve, check, &cobra.Command{Use: "later", Hidden: true, Run: run})
	var b strings.Builder
	require.NoError(t, WriteCommand(&b, root))
	text := b.String()
	require.Contains(t, text, "l4fwd \\- do It\n")
	require.Contains(t, text, "It takes the flags of l4fwd serve, and:\n.TP\n\\fB\\-q\\fR, \\fB\\-\\-quiet\\fR\nBe quiet.\n")
	require.Contains(t, text, "\\fB\\-\\-loops\\fR \\fIN\\fR\nHow many, N. Default: \\fB3\\fR.\n")
	require.Equal(t, 1, strings.Count(text, "loops"))
	require.Contains(t, text, ".SH EXIT STATUS\n.nf\n  serve  0\n.fi\n")
	require.NotContains(t, text, "secret")
	require.NotContains(t, text, "later")
}

func TestFilePage(t *testing.T) {
	var b strings.Builder
	require.NoError(t, WriteFile(&b, []Key{
		{Path: "loops", Doc: "Event loops.", Allowed: "`0` to `9`", Default: "1", Flag: "loops", Variables: []string{"L4FWD_LOOPS"}, Restart: true, Notes: []string{"More."}},
		{Path: "listeners[]", Section: true},
		{Path: "listeners[].name", Doc: "Its name.", Required: true},
	}))
	require.Contains(t, b.String(), ".TP\n\\fBloops\\fR\nEvent loops. Allowed: \\fB0\\fR to \\fB9\\fR. Default: \\fB1\\fR. Also \\fB\\-\\-loops\\fR, \\fBL4FWD_LOOPS\\fR. A new value takes an upgrade or a restart.\n.IP\nMore.\n")
	require.Contains(t, b.String(), ".SS \"listeners[]\"\n.TP\n\\fBlisteners[].name\\fR\nIts name. Required.\n")
}

func TestCompletionOfAnUnknownShell(t *testing.T) {
	require.EqualError(t, WriteCompletion(&strings.Builder{}, &cobra.Command{}, "tcsh"), `no completion for "tcsh"; use one of bash, zsh, fish`)
}
