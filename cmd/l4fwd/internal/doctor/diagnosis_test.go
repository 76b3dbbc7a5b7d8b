package doctor_test

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"regexp"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/standin"
)

// state is something that may be wrong between this machine and Azure, and what the doctor has to say about it.
type state struct {
	name    string
	make    func(*testing.T) setup
	verdict string   // how the first line begins. {target}, {origin}, {dns} and {dns2} are those of the setup
	mend    []string // each is in a line that says how to mend something
	lines   []string // regular expressions, each of which matches a line of the report
	hidden  []string // texts that are nowhere in the report
}

// setup is the world that a state is about, and how the doctor is asked about it.
type setup struct {
	args, env []string
	replace   []string // placeholder and what it stands for, in turn
	nobody    bool     // run as the user nobody, if this user may
}

// with adds arguments.
func (s setup) with(args ...string) setup {
	s.args = append(s.args[:len(s.args):len(s.args)], args...)
	return s
}

// mostTime is what INTERFACE promises.
const mostTime = 30 * time.Second

// outcome is what a run of the doctor left.
type outcome struct {
	stdout, stderr string
	code           int
	took           time.Duration
}

// run runs the doctor to its end. It is killed long after the time that it has.
func (s setup) run(verb string, args ...string) (o outcome, err error) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*mostTime)
	defer cancel()
	args = append(append([]string{verb}, s.args...), args...)
	if verb == "doctor" && !slices.Contains(args, "--egress-url") {
		args = append(args, "--egress-url", "off") // ask nobody in the internet
	}
	cmd := exec.CommandContext(ctx, binary, args...)
	cmd.Env = append([]string{
		"PATH=" + os.Getenv("PATH"), "AWS_CONFIG_FILE=/nonexistent", "AWS_SHARED_CREDENTIALS_FILE=/nonexistent", "SSL_CERT_DIR=/nonexistent",
	}, s.env...)
	if s.nobody {
		becomeNobody(cmd)
	}
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	begun := time.Now()
	if err = cmd.Start(); err != nil {
		return o, err
	}
	_ = cmd.Wait() // the status says how it ended
	return outcome{stdout.String(), stderr.String(), cmd.ProcessState.ExitCode(), time.Since(begun)}, nil
}

// atOnce returns how many doctors run beside each other. Most of them wait; under the race detector they work.
func atOnce() int {
	if underRace {
		return 8
	}
	return 24
}

// diagnose runs the doctor in each state, and judges what it says. Those that take long come first.
func diagnose(t *testing.T, states []state) {
	setups, outcomes, errs := make([]setup, len(states)), make([]outcome, len(states)), make([]error, len(states))
	free := make(chan struct{}, atOnce())
	var wg sync.WaitGroup
	for i, s := range states {
		setups[i] = s.make(t)
		free <- struct{}{}
		wg.Go(func() {
			outcomes[i], errs[i] = setups[i].run("doctor")
			<-free
		})
	}
	wg.Wait()
	for i, s := range states {
		t.Run(s.name, func(t *testing.T) {
			require.NoError(t, errs[i])
			if !passes(func(t require.TestingT) { s.judge(t, setups[i], outcomes[i]) }) { // beside a busy machine everything is slow: again, alone
				outcomes[i], errs[i] = setups[i].run("doctor")
				require.NoError(t, errs[i])
			}
			first, _, _ := strings.Cut(outcomes[i].stdout, "\n")
			t.Logf("| %s | %s | %.1f |", s.name, first, outcomes[i].took.Seconds())
			s.judge(t, setups[i], outcomes[i])
		})
	}
}

// trial is a test that may fail.
type trial struct{ failed bool }

func (t *trial) Errorf(string, ...any) { t.failed = true }
func (t *trial) FailNow()              { runtime.Goexit() }

// passes reports whether a check holds.
func passes(check func(require.TestingT)) bool {
	t := &trial{}
	done := make(chan struct{})
	go func() {
		defer close(done)
		check(t)
	}()
	<-done
	return !t.failed
}

// judge compares a report with what the state expects, and with what holds for every report.
func (s state) judge(t require.TestingT, set setup, o outcome) {
	text := strings.NewReplacer(set.replace...)
	require.Less(t, o.took, mostTime)
	require.Empty(t, o.stderr)
	require.True(t, strings.HasPrefix(o.stdout, text.Replace(s.verdict)), "want %q in\n%s", text.Replace(s.verdict), o.stdout)
	wellFormed(t, o)
	for _, want := range s.mend {
		require.Regexp(t, `(?m)^ +mend: .*`+regexp.QuoteMeta(text.Replace(want)), o.stdout)
	}
	for _, want := range s.lines {
		require.Regexp(t, "(?m)"+text.Replace(want), o.stdout)
	}
	for _, not := range s.hidden {
		require.NotContains(t, o.stdout, not)
	}
}

// wellFormed checks what holds for every report: the exit status is that of its steps, a failure has a command that mends it, a skipped
// step has a reason, and nothing in it can change a terminal.
func wellFormed(t require.TestingT, o outcome) {
	broken := strings.HasPrefix(o.stdout, "broken at: ")
	require.Equal(t, map[bool]int{true: 1, false: 0}[broken], o.code, "exit status\n%s", o.stdout)
	require.Equal(t, broken, strings.Contains(o.stdout, "\nfailed "), o.stdout)
	for _, r := range o.stdout {
		require.True(t, r == '\n' || unicode.IsPrint(r), "%q\n%q", r, o.stdout)
	}
	steps := strings.Split(o.stdout, "\n\n")
	require.Len(t, steps, 2, "the verdict, an empty line, the steps\n%s", o.stdout)
	for _, step := range regexp.MustCompile(`(?m)^(failed|skipped) .*\n( .*\n)*`).FindAllString(steps[1], -1) {
		if strings.HasPrefix(step, "failed") {
			require.Regexp(t, `\n +means: \S`, step)
			require.Regexp(t, `\n +mend:  \S`, step)
		} else {
			require.Regexp(t, `skipped because \S`, step)
		}
	}
}

// origin starts a stand-in, and returns it with a setup that has its name as the target. The resolver is right.
func origin(t *testing.T, o standin.Options) (*standin.Server, setup) {
	t.Helper()
	far, err := standin.Start(o)
	require.NoError(t, err)
	t.Cleanup(func() { closing.Go(func() { far.Close() }) })
	return far, trusting(t, far.CAPEM(), targeting(t, standin.Name, far.Addr().String()))
}

// standIn is what a state is made of that concerns the stand-in only.
func standIn(o standin.Options, args ...string) func(*testing.T) setup {
	return func(t *testing.T) setup {
		_, s := origin(t, o)
		return s.with(args...)
	}
}

// targeting asks about a name that a right resolver has at an address.
func targeting(t *testing.T, name, address string) setup {
	t.Helper()
	host, _, err := net.SplitHostPort(address)
	require.NoError(t, err)
	return asking(t, name, address, resolver(t, zone(t, fmt.Sprintf("%s. 60 IN A %s", name, host))))
}

// asking asks about a name at resolvers. The port is that of address.
func asking(t *testing.T, name, address string, resolvers ...string) setup {
	t.Helper()
	_, port, err := net.SplitHostPort(address)
	require.NoError(t, err)
	target := net.JoinHostPort(name, port)
	s := setup{args: []string{"--target", target}, replace: []string{"{target}", target, "{name}", name, "{origin}", address, "{port}", port}}
	for i, r := range resolvers {
		s.args = append(s.args, "--dns-server", r)
		s.replace = append(s.replace, []string{"{dns}", "{dns2}", "{dns3}"}[i], r)
	}
	return s
}

// trusting makes certificates of an authority valid.
func trusting(t *testing.T, authority []byte, s setup) setup {
	t.Helper()
	f, err := os.CreateTemp(public, "ca-*.pem")
	require.NoError(t, err)
	defer f.Close()
	_, err = f.Write(authority)
	require.NoError(t, err)
	require.NoError(t, f.Chmod(0o644))
	s.env = append(s.env, "SSL_CERT_FILE="+f.Name())
	return s
}
