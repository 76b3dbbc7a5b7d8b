package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/manual"
)

// The manual pages in docs/ are those of this code: the packages install the files.
func TestManualPagesAreThoseOfTheCode(t *testing.T) {
	for _, page := range []struct{ name, file string }{{"l4fwd", "l4fwd.1"}, {"l4fwd.yaml", "l4fwd.yaml.5"}} {
		path := filepath.Join("..", "..", "docs", page.file)
		want, err := os.ReadFile(path)
		require.NoError(t, err)
		o := l4fwd(t, nil, "man", page.name)
		require.Equal(t, exitOK, o.code, o.stderr)
		require.Equal(t, o.stdout, string(want), "%s is old: make docs", path)
		for what, cmd := range map[string][]string{"man": {"--warnings", "-l"}, "mandoc": {"-Tlint", "-Wwarning"}} {
			if _, err := exec.LookPath(what); err != nil {
				t.Logf("%s is not installed, so it does not read %s", what, page.file)
				continue
			}
			c := exec.Command(what, append(cmd, path)...)
			c.Env = append(os.Environ(), "LC_ALL=C", "MANROFFSEQ=")
			var said bytes.Buffer
			c.Stderr = &said
			if what == "mandoc" {
				c.Stdout = &said
			}
			_ = c.Run() // mandoc reports the missing date, which would change with every build
			for line := range strings.Lines(said.String()) {
				require.Contains(t, line, "missing date", "%s: %s", what, line)
			}
		}
	}
	require.Equal(t, l4fwd(t, nil, "man"), l4fwd(t, nil, "man", "l4fwd"))
	require.Equal(t, exitUsage, l4fwd(t, nil, "man", "nonsense").code)
	require.Equal(t, exitOK, l4fwd(t, nil, "check", "--config", write(t, manual.FileExample)).code)
}

// A person finds every verb and flag in l4fwd(1), and every key in l4fwd.yaml(5), as a terminal shows them.
func TestManualPagesHaveEveryVerbFlagAndKey(t *testing.T) {
	if _, err := exec.LookPath("man"); err != nil {
		t.Skip("not installed: apt-get install man-db")
	}
	shown := func(file string) string {
		c := exec.Command("man", "-l", filepath.Join("..", "..", "docs", file))
		c.Env = append(os.Environ(), "MANWIDTH=200", "LC_ALL=C.UTF-8")
		out, err := c.Output()
		require.NoError(t, err)
		return string(out)
	}
	page := shown("l4fwd.1")
	each(newRoot(&bytes.Buffer{}, &bytes.Buffer{}), func(cmd *cobra.Command) {
		if cmd.HasSubCommands() || cmd.Name() == "help" {
			return
		}
		require.Contains(t, page, "\n   "+cmd.CommandPath()+"\n")
		cmd.LocalFlags().VisitAll(func(f *pflag.Flag) { require.Contains(t, page, "--"+f.Name, cmd.Name()) })
	})
	page = shown("l4fwd.yaml.5")
	for _, key := range []string{"timeouts.idle", "listeners[].name", "upstreams[].check.type", "L4FWD_HEALTH_ADDRESS", "--eip-pool"} {
		require.Contains(t, page, key)
	}
}

// each calls f for every visible verb below cmd.
func each(cmd *cobra.Command, f func(*cobra.Command)) {
	for _, sub := range cmd.Commands() {
		if !sub.Hidden {
			f(sub)
			each(sub, f)
		}
	}
}

// What the shells offer for a flag is what the verb takes: each is accepted, and the complaint about another value lists them.
func TestOfferedChoicesAreTheAcceptedOnes(t *testing.T) {
	each(newRoot(&bytes.Buffer{}, &bytes.Buffer{}), func(cmd *cobra.Command) {
		cmd.Flags().VisitAll(func(f *pflag.Flag) {
			if len(f.Annotations[manual.Choices]) == 0 || cmd.Name() == "serve" || cmd.Name() == "bundle" { // flags as of check; takes a faulty configuration
				return
			}
			args := append(strings.Fields(cmd.CommandPath())[1:], "--"+f.Name, "nonsense")
			o := l4fwd(t, nil, append(args, map[bool][]string{true: {"--upstream", "a.example:443"}}[cmd.Flags().Lookup("upstream") != nil]...)...)
			require.Equal(t, exitUsage, o.code, "%q", args)
			for _, choice := range f.Annotations[manual.Choices] {
				require.Contains(t, o.stderr, choice, "%q", args)
			}
		})
	})
}

// completions are command lines, each with completions that have to be among those offered, and some that must not.
var completions = []struct {
	line      []string
	want, not []string
}{
	{[]string{"che"}, []string{"check"}, []string{"status"}},
	{[]string{""}, []string{"check", "doctor", "status"}, []string{"docs"}},
	{[]string{"check", "--log-le"}, []string{"--log-level"}, []string{"--listen"}},
	{[]string{"--engine", ""}, []string{"auto", "uring", "epoll", "portable"}, nil},
	{[]string{"status", "-o", ""}, []string{"json", "text"}, nil},
	{[]string{"eip", ""}, []string{"list", "claim", "release"}, nil},
	{[]string{"eip", "list", "--format", "az"}, []string{"azure-cli"}, []string{"json"}},
	{[]string{"completion", ""}, []string{"bash", "zsh", "fish"}, nil},
	{[]string{"conns", "--sort", ""}, []string{"id", "age", "rate", "stalls"}, []string{"some.txt"}},
	{[]string{"conns", "--state", ""}, []string{"preface", "relaying"}, []string{"some.txt"}},
	{[]string{"conns", "--stalls", ""}, []string{"client", "any"}, []string{"some.txt"}},
	{[]string{"log-level", ""}, []string{"debug", "info", "warn", "error"}, []string{"some.txt"}},
	{[]string{"doctor", "--expect", ""}, []string{"public", "private", "unreachable"}, nil},
	{[]string{"help", "ver"}, []string{"version"}, nil},
	{[]string{"serve", "--config", ""}, []string{"some.yaml"}, []string{"some.txt"}},
	{[]string{"serve", "--drain-timeout", ""}, nil, []string{"some.yaml", "some.txt"}},
}

// completing is a directory with an l4fwd in its bin and files to complete, as the command of a shell runs there.
func completing(t *testing.T, shell, needs string) func(args ...string) *exec.Cmd {
	t.Helper()
	if _, err := exec.LookPath(shell); err != nil {
		t.Skipf("not installed: apt-get install %s", needs)
	}
	dir := t.TempDir()
	self, err := os.Executable()
	require.NoError(t, err)
	require.NoError(t, os.Mkdir(filepath.Join(dir, "bin"), 0o755))
	require.NoError(t, os.Symlink(self, filepath.Join(dir, "bin", "l4fwd")))
	for _, name := range []string{"some.yaml", "some.txt"} {
		require.NoError(t, os.WriteFile(filepath.Join(dir, name), nil, 0o600))
	}
	script := l4fwd(t, nil, "completion", shell)
	require.Equal(t, exitOK, script.code, script.stderr)
	require.NoError(t, os.WriteFile(filepath.Join(dir, "_l4fwd"), []byte(script.stdout), 0o600))
	return func(args ...string) *exec.Cmd {
		cmd := exec.Command(shell, args...)
		cmd.Dir = dir
		cmd.Env = []string{asL4fwd + "=1", "PATH=" + filepath.Join(dir, "bin") + ":" + os.Getenv("PATH"), "HOME=" + dir, "TERM=dumb", "LC_ALL=C.UTF-8",
			"GORACE=atexit_sleep_ms=0"} // else the race detector waits a second at each exit
		return cmd
	}
}

// offers runs a shell and returns the words it offers, one a line, without descriptions.
func offers(t *testing.T, cmd *exec.Cmd) []string {
	t.Helper()
	timer := time.AfterFunc(30*time.Second, func() { _ = cmd.Process.Kill() })
	defer timer.Stop()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	require.NoError(t, err, "%s%s", out, &stderr)
	require.Empty(t, stderr.String())
	var all []string
	for line := range strings.Lines(string(out)) {
		word, _, _ := strings.Cut(strings.TrimSpace(line), "\t")
		word, _, _ = strings.Cut(word, " ")
		all = append(all, word)
	}
	return all
}

// checkOffers compares what each line is completed with. Not every shell filters files by their names.
func checkOffers(t *testing.T, filters bool, complete func(line []string) *exec.Cmd) {
	for _, c := range completions {
		got := offers(t, complete(c.line))
		for _, want := range c.want {
			require.Contains(t, got, want, "l4fwd %q", c.line)
		}
		for _, not := range c.not {
			if not == "some.txt" && slices.Contains(got, "some.yaml") && !filters {
				continue
			}
			require.NotContains(t, got, not, "l4fwd %q", c.line)
		}
	}
}

func TestCompletionInBash(t *testing.T) {
	const library = "/usr/share/bash-completion/bash_completion"
	if _, err := os.Stat(library); err != nil {
		t.Skip("not installed: apt-get install bash-completion")
	}
	shell := completing(t, "bash", "bash")
	checkOffers(t, true, func(line []string) *exec.Cmd {
		return shell(append([]string{"--norc", "-c", `. ` + library + `; . ./_l4fwd
			COMP_WORDS=(l4fwd "$@") COMP_CWORD=$# COMP_LINE="l4fwd $*" COMP_POINT=${#COMP_LINE} COMP_TYPE=63
			compopt() { :; } # there is no line that is being edited
			__start_l4fwd && printf '%s\n' "${COMPREPLY[@]}"`, "bash"}, line...)...)
	})
}

func TestCompletionInFish(t *testing.T) {
	shell := completing(t, "fish", "fish")
	checkOffers(t, false, func(line []string) *exec.Cmd {
		return shell("--no-config", "-c", `source ./_l4fwd; complete --do-complete "l4fwd $argv"`, "--", strings.Join(line, " "))
	})
}

// zsh completes only in its line editor: a second one runs in a terminal of the first, is given keys, and shows its line.
func TestCompletionInZsh(t *testing.T) {
	shell := completing(t, "zsh", "zsh")
	for line, want := range map[string]string{
		"l4fwd che":                   "l4fwd check ",
		"l4fwd check --log-le":        "l4fwd check --log-level",
		"l4fwd eip list --format az":  "l4fwd eip list --format azure-cli ",
		"l4fwd --engine por":          "l4fwd --engine portable ",
		"l4fwd serve --config s":      "l4fwd serve --config some.yaml ",
		"l4fwd serve --drain-timeout": "l4fwd serve --drain-timeout ",
		"l4fwd serve --warm s":        "l4fwd serve --warm s",
	} {
		got := offers(t, shell("-f", "-c", `zmodload zsh/zpty && zpty inner zsh -f -i || exit 1
			zpty -w inner 'PS1= ; unsetopt zle_bracketed_paste beep; fpath=($PWD $fpath); autoload -Uz compinit && compinit -u -D
				show() { print -r -- "line<$BUFFER>" }; zle -N show; bindkey "^I" complete-word; bindkey "^Xs" show; print -r -- re""ady'
			zpty -r inner said '*ready*' || exit 1
			zpty -w -n inner "$1"$'\t\x18s'
			zpty -r inner said '*line<*>*' || exit 1
			said=${said##*line<}; print -r -- "${${said%%>*}// /_}"`, "zsh", line))
		require.Equal(t, strings.TrimRight(strings.ReplaceAll(want, " ", "_"), "_"), strings.TrimRight(got[len(got)-1], "_"), line)
	}
}

func TestCompletionRefusesAnUnknownShell(t *testing.T) {
	for _, args := range [][]string{{"completion"}, {"completion", "tcsh"}, {"completion", "bash", "zsh"}} {
		o := l4fwd(t, nil, args...)
		require.Equal(t, exitUsage, o.code)
		require.Equal(t, "l4fwd: completion: name one shell: bash, zsh, fish\n", o.stderr)
	}
}
