package main

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/bench/gocode"
)

// block is a piece of code that is run as a whole.
type block struct{ fromLine, fromColumn, toLine, toColumn int }

// reach says which tests run which code, and how long they take.
type reach struct {
	tests []string
	took  map[string]time.Duration
	runs  map[string]map[block][]string // by name of the file
}

// longest is what one test may take without a fault.
const longest = 2 * time.Minute

// measure builds the tests once, with coverage, and runs them one by one, but for those whose name contains skip. Tests that fail are an error.
func measure(p *gocode.Package, binary, skip string) (*reach, error) {
	if _, err := gocode.Go("test", "-c", "-cover", "-coverpkg", p.Path, "-o", binary, p.Path); err != nil {
		return nil, err
	}
	if _, err := os.Stat(binary); err != nil {
		return nil, errors.New("it has no tests")
	}
	out, err := exec.Command(binary, "-test.list", "^(Test|Fuzz|Example)").Output()
	if err != nil {
		return nil, fmt.Errorf("list the tests: %w", err)
	}
	r := &reach{took: map[string]time.Duration{}, runs: map[string]map[block][]string{}}
	for _, test := range strings.Fields(string(out)) {
		if skip != "" && strings.Contains(test, skip) {
			continue
		}
		profile := filepath.Join(filepath.Dir(binary), "profile")
		began := time.Now()
		if out, err := runTests(p, binary, []string{test}, longest, "-test.coverprofile", profile); err != nil {
			return nil, fmt.Errorf("%s fails without any fault: %w\n%s", test, err, out)
		}
		r.tests, r.took[test] = append(r.tests, test), time.Since(began)
		if err := r.read(profile, test); err != nil {
			return nil, err
		}
	}
	return r, nil
}

var profileLine = regexp.MustCompile(`^.*/([^/]+\.go):(\d+)\.(\d+),(\d+)\.(\d+) \d+ (\d+)$`)

// read notes what the test ran.
func (r *reach) read(profile, test string) error {
	text, err := os.ReadFile(profile)
	if err != nil {
		return err
	}
	for s := bufio.NewScanner(bytes.NewReader(text)); s.Scan(); {
		m := profileLine.FindStringSubmatch(s.Text())
		if m == nil {
			continue
		}
		var n [4]int
		for i := range n {
			n[i], _ = strconv.Atoi(m[i+2]) // digits, by the expression above
		}
		if r.runs[m[1]] == nil {
			r.runs[m[1]] = map[block][]string{}
		}
		b := block{n[0], n[1], n[2], n[3]}
		tests := r.runs[m[1]][b]
		if m[6] != "0" {
			tests = append(tests, test)
		}
		r.runs[m[1]][b] = tests
	}
	return nil
}

// quickEnough is what the tests take together that are run before the slower ones: most faults are noticed by them.
const quickEnough = time.Second

// split divides tests into those that are run first and the slower rest.
func (r *reach) split(tests []string) (quick, slow []string) {
	sorted := slices.SortedStableFunc(slices.Values(tests), func(a, b string) int { return cmp.Compare(r.took[a], r.took[b]) })
	var together time.Duration
	for i, t := range sorted {
		if together += r.took[t]; together > quickEnough {
			return sorted[:i], sorted[i:]
		}
	}
	return sorted, nil
}

// testsOf returns the tests that run the code of the fault. A package-level declaration is run where its name is used, all
// tests if only other declarations use it.
func (r *reach) testsOf(p *gocode.Package, f *fault) []string {
	if f.object == nil {
		tests, known := r.within(p, f.pos, f.pos)
		if !known { // the expressions behind case are in no block
			tests, _ = r.within(p, f.around.Pos(), f.around.End())
		}
		return tests
	}
	var all []string
	known := false
	for id, used := range p.Info.Uses {
		if used == f.object {
			tests, inBlock := r.within(p, id.Pos(), id.Pos())
			all, known = append(all, tests...), known || inBlock
		}
	}
	if !known {
		return r.tests
	}
	slices.Sort(all)
	return slices.Compact(all)
}

// within returns the tests that run some of the code between two positions of a file, and whether it has any to run.
func (r *reach) within(p *gocode.Package, from, to token.Pos) (tests []string, known bool) {
	a, z := p.Fset.Position(from), p.Fset.Position(to)
	for b, by := range r.runs[filepath.Base(a.Filename)] {
		begins := z.Line > b.fromLine || z.Line == b.fromLine && z.Column >= b.fromColumn
		ends := a.Line < b.toLine || a.Line == b.toLine && a.Column < b.toColumn
		if begins && ends {
			tests, known = append(tests, by...), true
		}
	}
	slices.Sort(tests)
	return slices.Compact(tests), known
}

// limitMemory runs the rest of its arguments with a bound on memory: a fault may make a loop that allocates without end.
const limitMemory = `ulimit -v 6000000; exec "$@"`

// runTests runs some tests of a built binary and returns what they wrote. The error is nil if all passed.
func runTests(p *gocode.Package, binary string, tests []string, limit time.Duration, args ...string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit+2*time.Second)
	defer cancel()
	temp := binary + ".tmp"
	if err := os.MkdirAll(temp, 0o755); err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(temp) }()
	args = append([]string{"-c", limitMemory, "sh", binary, "-test.run", "^(" + strings.Join(tests, "|") + ")$", "-test.failfast",
		"-test.timeout", limit.String()}, args...)
	cmd := exec.CommandContext(ctx, "sh", args...)
	cmd.Dir, cmd.WaitDelay = p.Dir, 2*time.Second
	cmd.Env = append(os.Environ(), "TMPDIR="+temp)
	out, err := cmd.CombinedOutput()
	if ctx.Err() != nil {
		err = errTimeout
	}
	return out, err
}

var errTimeout = errors.New("it took too long")
