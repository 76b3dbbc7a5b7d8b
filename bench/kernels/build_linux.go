package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/bench/kernels/plan"
)

const module = "github.com/l4fwd/l4fwd"

// engines are the daemon's, each of which gets its own steps.
var engines = []string{"uring", "epoll", "portable"}

// build compiles static binaries for a processor, and makes the plan that uses them.
type build struct {
	arch  string
	dir   string
	files map[string]string // of the initramfs, by name; from the host
	env   []string          // of tests
	plan  []step
}

func newBuild(dir, arch string) *build {
	return &build{arch: arch, dir: filepath.Join(dir, "bin-"+arch), files: map[string]string{}}
}

// steps is the plan for a machine, with everything compiled that it takes.
func (b *build) steps(ctx context.Context, o options) ([]step, error) {
	b.env = []string{"L4FWD_SETS_CLOCK=1"} // its own
	if o.clock == "host" {                 // the guest is some ten times slower than the host, and slower still beside others
		b.env = append(b.env, "L4FWD_TEST_PATIENCE=8")
	}
	if err := b.compile(ctx, "/init", "build", "./bench/kernels/guest"); err != nil {
		return nil, err
	}
	if o.run != "" {
		bin, err := b.tests(ctx, o.pkg)
		b.goTest(o.pkg, o.run, bin, "-test.run="+o.run, fmt.Sprintf("-test.count=%d", o.count))
		return b.plan, err
	}
	for _, part := range []func(context.Context, options) error{b.relay, b.daemon, b.upgrades, b.packages} {
		if err := part(ctx, o); err != nil {
			return nil, err
		}
	}
	return b.plan, nil
}

// The scenarios that the short form runs: one of each file of the table would be many more than fit its time.
const shortScenarios = "^(echo|half-close|reset|bulk|splice|slow|warm|preface|header).*"

// relay plans the scenario table, the random relay and the package's other tests, each in a process of its own.
func (b *build) relay(ctx context.Context, o options) error {
	bin, err := b.tests(ctx, "proxy/relay")
	if err != nil {
		return err
	}
	for _, e := range engines {
		run := "-test.run=^TestScenarios$/^" + e + "$"
		if o.short {
			run += "/" + shortScenarios
		}
		b.goTest("scenarios "+e, "TestScenarios/"+e, bin, run)
		b.goTest("random relay "+e, "TestRandomRelay/"+e, bin, "-test.run=^TestRandomRelay$/^"+e)
	}
	if o.short {
		return nil
	}
	names, err := listTests(ctx, "proxy/relay")
	for _, name := range names {
		if name != "TestScenarios" && name != "TestRandomRelay" {
			b.goTest("proxy/relay", name, bin, "-test.run=^"+regexp.QuoteMeta(name)+"$")
		}
	}
	return err
}

// daemon plans a request through the daemon, and a short load on each of its engines.
func (b *build) daemon(ctx context.Context, o options) error {
	commands := map[string]string{"/bin/l4fwd": "./cmd/l4fwd", "/bin/demo": "./bench/demo", "/bin/bench": "./bench"}
	if o.archive != "" {
		delete(commands, "/bin/l4fwd")
		if err := b.shipped("/bin/l4fwd", o.archive); err != nil {
			return err
		}
		b.add(step{group: "daemon", read: readExit, Step: plan.Step{Name: "the archive's l4fwd version", Argv: []string{"/bin/l4fwd", "version"}, Limit: time.Minute}})
	}
	for name, pkg := range commands {
		if err := b.compile(ctx, name, "build", pkg); err != nil {
			return err
		}
	}
	b.add(step{group: "daemon", read: readExit, Step: plan.Step{Name: "a request through l4fwd serve",
		Argv: []string{"/bin/demo", "-l4fwd", "/bin/l4fwd", "-once"}, Limit: 2 * time.Minute}})
	only := "bulk_down,bulk_up,conn_rate,ping_pong,token_stream"
	if o.short {
		only = "bulk_down,conn_rate"
	}
	for _, e := range engines {
		b.add(step{group: "load " + e, read: readLoad, Step: plan.Step{Name: "load " + e, Argv: []string{"/bin/bench", "-l4fwd", "/bin/l4fwd", "-net", "loopback",
			"-peers", "l4fwd-" + e, "-only", only, "-reps", "1", "-duration", "1s", "-out", "/tmp/" + e}, Show: "/tmp/" + e + "/latest.json", Limit: 10 * time.Minute}})
	}
	return nil
}

// upgradeTests take no Go toolchain: the test binary is the daemon, too.
const upgradeTests = "^(TestUpgradesUnderLoad|TestTheOldProcessGoesOnWhereverTheNewOneFails|TestTheNewProcessServesWhenTheOldOneDies|" +
	"TestARestartCarriesTheConnectionsAcross|TestACrashKeepsTheListeningSockets|TestTheClockIsSetDuringARestart)$"

// upgrades plans upgrades of the daemon under load, on both engines in turn, those in which either process dies, restarts and crashes
// with sockets and connections kept, and a clock that is set meanwhile: the guest's own.
func (b *build) upgrades(ctx context.Context, o options) error {
	if o.short {
		return nil
	}
	bin, err := b.tests(ctx, "cmd/l4fwd")
	b.goTest("upgrades", "upgrades", bin, "-test.run="+upgradeTests)
	return err
}

// packages plans the tests of the daemon's other packages, a process for each, where their source and its testdata would be.
func (b *build) packages(ctx context.Context, o options) error {
	if o.short {
		return nil
	}
	pkgs, err := otherPackages(ctx)
	for _, pkg := range pkgs {
		bin, err := b.tests(ctx, pkg)
		if err != nil {
			return err
		}
		b.goTest("other packages", pkg, bin, "-test.run=.")
		b.plan[len(b.plan)-1].Dir = "/src/" + pkg
		if err := b.data(pkg); err != nil {
			return err
		}
	}
	return err
}

// alsoReads are folders outside of a package that its tests read.
var alsoReads = map[string]string{"eip/lifecycle": "deploy/iam", "cmd/l4fwd/internal/config": "docs", "cmd/l4fwd/internal/metrics": "docs"}

// data gives the guest what a package's tests read.
func (b *build) data(pkg string) error {
	b.files["/src/"+pkg+"/go.mod"] = "go.mod" // for the folder to exist
	for _, dir := range []string{filepath.Join(pkg, "testdata"), alsoReads[pkg]} {
		err := filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
			if err == nil && d.Type().IsRegular() {
				b.files["/src/"+path] = path
			}
			return err
		})
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	return nil
}

// otherPackages are those with tests of their own that run without a Go toolchain, which the guest has not: cmd/l4fwd, its soak and its
// doctor build and start the daemon, but for upgradeTests.
func otherPackages(ctx context.Context) (pkgs []string, err error) {
	cmd := exec.CommandContext(ctx, "go", "list", "-f", "{{if or .TestGoFiles .XTestGoFiles}}{{.ImportPath}}{{end}}",
		"./proxy/...", "./eip/...", "./health/...", "./cmd/l4fwd/internal/...")
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list packages: %w", err)
	}
	for pkg := range strings.FieldsSeq(string(out)) {
		if pkg = strings.TrimPrefix(pkg, module+"/"); pkg != "proxy/relay" && pkg != "cmd/l4fwd/internal/doctor" {
			pkgs = append(pkgs, pkg)
		}
	}
	return pkgs, nil
}

func (b *build) add(s step) { b.plan = append(b.plan, s) }

// goTest plans a run of a test binary. The guest's limit comes after the binary's own, which prints the goroutines.
func (b *build) goTest(group, name, bin string, args ...string) {
	const timeout = 20 * time.Minute
	argv := append([]string{bin, "-test.v", "-test.timeout=" + timeout.String()}, args...)
	b.add(step{group: group, read: readGoTest, Step: plan.Step{Name: name, Argv: argv, Env: b.env, Limit: timeout + time.Minute}})
}

// tests compiles a package's tests and returns where the guest has them.
func (b *build) tests(ctx context.Context, pkg string) (string, error) {
	name := "/test/" + strings.ReplaceAll(pkg, "/", "_")
	return name, b.compile(ctx, name, "test", "./"+pkg)
}

// compile builds a command or a package's tests ("build", "test") for the guest.
func (b *build) compile(ctx context.Context, name, how, pkg string) error {
	to := filepath.Join(b.dir, name)
	args := []string{how, "-trimpath", "-ldflags", "-s -w", "-o", to}
	if how == "test" {
		args = append(args, "-c")
	}
	cmd := exec.CommandContext(ctx, "go", append(args, pkg)...)
	cmd.Env = append(os.Environ(), "CGO_ENABLED=0", "GOOS=linux", "GOARCH="+b.arch)
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("compile %s for %s: %w\n%s", pkg, b.arch, err, out)
	}
	b.files[name] = to
	return nil
}

func listTests(ctx context.Context, pkg string) (names []string, err error) {
	cmd := exec.CommandContext(ctx, "go", "test", "-list", "^(Test|Fuzz)", "./"+pkg)
	out, err := cmd.Output()
	if err != nil {
		return nil, fmt.Errorf("list the tests of %s: %w", pkg, err)
	}
	for line := range strings.Lines(string(out)) {
		if name := strings.TrimSpace(line); strings.HasPrefix(name, "Test") || strings.HasPrefix(name, "Fuzz") {
			names = append(names, name)
		}
	}
	return names, nil
}
