package main

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/upgrade"
)

// asL4fwd in the environment makes the test binary be l4fwd, so that exit statuses, signals and sockets are real.
const asL4fwd = "TEST_AS_L4FWD"

// inAHurry is how often such a process looks at the instance metadata.
const inAHurry = "TEST_LIFECYCLE_INTERVAL"

func TestMain(m *testing.M) {
	if successor := os.Getenv(upgrade.Variable) != ""; os.Getenv(asL4fwd) != "" || successor {
		_ = os.Unsetenv(asL4fwd)
		upgradeAt = failpoint(successor)
		lifecycleInterval, _ = time.ParseDuration(os.Getenv(inAHurry))
		scrapesApart = 100 * time.Millisecond
		os.Exit(run(os.Args[1:], os.Stdout, os.Stderr))
	}
	if role := os.Getenv(asPeers); role != "" {
		os.Exit(bePeers(role, os.Stdin, os.Stdout))
	}
	goleak.VerifyTestMain(m)
}

// command prepares a process of l4fwd, with variables added to a clean environment.
func command(t *testing.T, env []string, args ...string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command(self, args...)
	otherBinary(cmd)
	cmd.Env = append([]string{asL4fwd + "=1", "PATH=" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE")}, env...)
	return cmd
}

// write puts a configuration file into a directory of the test's own.
func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

// outcome is what a finished command left.
type outcome struct {
	code           int
	stdout, stderr string
}

// l4fwd runs a command line to its end.
func l4fwd(t *testing.T, env []string, args ...string) outcome {
	t.Helper()
	cmd := command(t, env, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if _, exited := err.(*exec.ExitError); !exited {
		require.NoError(t, err)
	}
	return outcome{cmd.ProcessState.ExitCode(), stdout.String(), stderr.String()}
}

// unwrapped is the text of a verb that breaks long lines, in one line.
func (o outcome) unwrapped() string { return strings.Join(strings.Fields(o.stdout), " ") }

func TestUsageErrorsAreOneLineAndExit2(t *testing.T) {
	cases := map[string]struct {
		args []string
		says string
	}{
		"verb":       {[]string{"chekc"}, `l4fwd: unknown verb "chekc"; did you mean check?`},
		"no verb":    {[]string{"frobnicate"}, `l4fwd: unknown verb "frobnicate"; verbs: `},
		"flag":       {[]string{"--lisen", ":8443"}, "l4fwd: unknown flag --lisen; did you mean --listen?"},
		"verb flag":  {[]string{"check", "--upstram=x"}, "l4fwd: unknown flag --upstram; did you mean --upstream?"},
		"short flag": {[]string{"serve", "-q"}, "l4fwd: unknown flag -q; see l4fwd serve --help"},
		"no value":   {[]string{"serve", "--loops"}, "l4fwd: flag needs an argument: --loops; see l4fwd serve --help"},
		"argument":   {[]string{"check", "file.yaml"}, `l4fwd: check: unexpected argument "file.yaml"; name a file with --config file.yaml`},
		"a file":     {[]string{"l4fwd.yaml"}, `l4fwd: unexpected argument "l4fwd.yaml"; name a file with --config l4fwd.yaml`},
		"output":     {[]string{"status", "--output", "xml"}, `l4fwd: flag --output: "xml" is not a choice; use one of text, json`},
		"upstream":   {nil, "l4fwd: no upstream: name one with --upstream HOST:443"},
		"serve":      {[]string{"serve"}, "l4fwd: no upstream: name one with --upstream HOST:443"},
		"twice":      {[]string{"serve", "--upstream=a.example:443", "--eip-pool", "tag:a=b", "--eip-pool=tag:a=c"}, `l4fwd: flag --eip-pool is given twice: "tag:a=b", "tag:a=c"; write it once; allocation ids have commas between`},
		"same twice": {[]string{"--upstream=a.example:443", "--loops=2", "--loops=2"}, `l4fwd: flag --loops is given twice: "2", "2"; write it once`},
		"file twice": {[]string{"check", "--config=a.yaml", "--config", "b.yaml"}, `l4fwd: flag --config is given twice: "a.yaml", "b.yaml"; write it once`},
		"of a verb":  {[]string{"status", "-o", "json", "--output=text"}, `l4fwd: flag --output is given twice: "json", "text"; write it once`},
		"of a sub":   {[]string{"eip", "list", "--format=json", "--format=json"}, `l4fwd: flag --format is given twice: "json", "json"; write it once`},
		"asked":      {[]string{"status", "--admin=:1", "--admin=:2"}, `l4fwd: flag --admin is given twice: ":1", ":2"; write it once`},
		"sub verb":   {[]string{"address", "frob"}, `l4fwd: address: unexpected argument "frob"; use one of eject, list, restore`},
		"program":    {[]string{"import", "nginx", "nginx.conf"}, `l4fwd: import: unexpected argument "nginx"; use one of haproxy`},
		"conns sort": {[]string{"conns", "--sort", "size", "--output", "text"}, `l4fwd: flag --sort: "size" is not a choice; use one of id, age, `},
		"two wrong":  {[]string{"conns", "--state", "x", "--output", "xml"}, `l4fwd: flag --output: "xml" is not a choice; use one of text, json`},
		"conns few":  {[]string{"conns", "--limit", "-1"}, "l4fwd: flag --limit: -1 is below 0; use 0, for all, or more"},
		"bogus help": {[]string{"bogus", "--help"}, `l4fwd: unknown verb "bogus"; verbs: `},
		"help bogus": {[]string{"help", "bogus"}, `l4fwd: unknown verb "bogus"; verbs: `},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			o := l4fwd(t, nil, c.args...)
			require.Equal(t, exitUsage, o.code)
			require.True(t, strings.HasPrefix(o.stderr, c.says), o.stderr)
			require.Equal(t, 1, strings.Count(o.stderr, "\n"), "one line: %s", o.stderr)
			require.Empty(t, o.stdout)
		})
	}
}

func TestEveryVerbHasAnExampleAndTakesConfig(t *testing.T) {
	root := newRoot(&bytes.Buffer{}, &bytes.Buffer{})
	require.NotEmpty(t, root.Example)
	for _, verb := range root.Commands() {
		require.NotEmpty(t, verb.Example, verb.Name())
		require.NotNil(t, verb.Flags().Lookup("config"), verb.Name())
		if !verb.Hidden && verb.Name() != "help" {
			require.Contains(t, exitStatuses, "\n  "+verb.Name()+" ", "the table of exit statuses has every verb")
		}
	}
	o := l4fwd(t, nil, "serve", "--help")
	require.Equal(t, exitOK, o.code)
	require.Contains(t, o.stdout, "Examples:")
}

func TestVersionNamesTheBuild(t *testing.T) {
	o := l4fwd(t, nil, "version")
	require.Equal(t, exitOK, o.code)
	for _, want := range []string{"l4fwd ", "commit ", "go1.", "/"} {
		require.Contains(t, o.stdout, want)
	}
	require.Equal(t, o, l4fwd(t, nil, "--version"))
	o = l4fwd(t, nil, "version", "--output", "json")
	require.Equal(t, exitOK, o.code)
	require.Regexp(t, `^\{"version":".+","commit":".+","go":"go1\..+","platform":".+/.+"\}\n$`, o.stdout)
	require.Equal(t, exitUsage, l4fwd(t, nil, "version", "--output", "xml").code)
}

func TestHelpOfAVerb(t *testing.T) {
	for _, args := range [][]string{{"--help"}, {"help"}, {"check", "--help"}, {"help", "check"}} {
		o := l4fwd(t, nil, args...)
		require.Equal(t, exitOK, o.code, o.stderr)
		require.Contains(t, o.stdout, "Examples:")
	}
}
