// Command mutate tests the tests: it makes one small fault at a time in the code of a package, runs the tests that reach it,
// and prints each fault that no test noticed (a survivor).
//
//	go run ./bench/mutate [-n 60] [-seed 1] [-want 90] PACKAGE...
//
// A fault is never written to the tree: the compiler reads it from an overlay. Faults that do not compile are left out. A
// test that fails, panics or takes too long has noticed the fault. Survivors that are right to live (the fault changes
// nothing that anybody could see) are listed with a reason in accepted.txt and do not count. The exit status is 1 if fewer
// than -want percent of the faults in a package were noticed, 2 if the tests of a package fail without any fault.
//
// What it makes of the code is in faults.go. Calls of a logger, texts and the boundaries of durations are not changed, nor is code that
// no test reaches: how many faults it would have had is printed as "not reached".
package main

import (
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/bench/gocode"
)

type options struct {
	sample   int
	seed     uint64
	want     float64
	workers  int
	accepted string
	match    string
	skip     string
}

func main() {
	var o options
	flag.IntVar(&o.sample, "n", 60, "faults to try in each package, chosen at random; 0: all")
	flag.Uint64Var(&o.seed, "seed", 1, "of the choice")
	flag.Float64Var(&o.want, "want", 90, "percentage of faults that must be noticed in each package")
	flag.IntVar(&o.workers, "j", 2, "faults tried at the same time")
	flag.StringVar(&o.accepted, "accepted", "bench/mutate/accepted.txt", "list of accepted survivors")
	flag.StringVar(&o.match, "match", "", "try only faults whose description contains this text")
	flag.StringVar(&o.skip, "skip", "", "leave out tests whose name contains this text")
	flag.Parse()
	os.Exit(run(o, flag.Args()))
}

// run tests the packages one after the other and returns the exit status.
func run(o options, patterns []string) int {
	list, err := readAccepted(o.accepted)
	if err != nil {
		fmt.Fprintln(os.Stderr, "mutate:", err)
		return 2
	}
	status := 0
	for _, pattern := range patterns {
		r, err := testPackage(o, pattern, list)
		if err != nil {
			fmt.Fprintf(os.Stderr, "mutate: %s: %v\n", pattern, err)
			return 2
		}
		r.print(os.Stdout)
		if r.rate() < o.want {
			fmt.Printf("%s: below the wanted %.0f %%\n", r.pkg, o.want)
			status = 1
		}
	}
	return status
}

// testPackage finds the faults of one package, chooses, tries them and returns what became of them.
func testPackage(o options, pattern string, list acceptedList) (*report, error) {
	began := time.Now()
	scratch, err := os.MkdirTemp("", "mutate-")
	if err != nil {
		return nil, err
	}
	defer func() { _ = os.RemoveAll(scratch) }()
	found, err := gocode.Load(pattern)
	if err != nil {
		return nil, err
	}
	if len(found) != 1 {
		return nil, fmt.Errorf("it matches %d packages: name one at a time", len(found))
	}
	p := found[0]
	reach, err := measure(p, filepath.Join(scratch, "clean"), o.skip)
	if err != nil {
		return nil, err
	}
	r := &report{pkg: p.Short}
	reached := sortOut(o, p, reach, list, r)
	r.all, r.tried = len(reached), choose(o, reached)
	err = tryAll(p, reach, r.tried, scratch, o.workers)
	r.took = time.Since(began)
	return r, err
}

// sortOut returns the faults that are to be tried, and counts the others in the report.
func sortOut(o options, p *gocode.Package, reach *reach, list acceptedList, r *report) []*fault {
	faults := findFaults(p)
	r.stale = list.stale(r.pkg, faults)
	var reached []*fault
	for _, f := range faults {
		f.tests = reach.testsOf(p, f)
		switch {
		case !strings.Contains(f.name(), o.match):
		case list.accepts(r.pkg, f.name()):
			r.accepted++
		case len(f.tests) == 0:
			r.unreached = append(r.unreached, f)
		default:
			reached = append(reached, f)
		}
	}
	return reached
}

// choose returns as many of the faults as are to be tried, in the order of the code.
func choose(o options, faults []*fault) []*fault {
	if o.sample > 0 && len(faults) > o.sample {
		random := rand.New(rand.NewPCG(o.seed, uint64(len(faults))))
		random.Shuffle(len(faults), func(i, j int) { faults[i], faults[j] = faults[j], faults[i] })
		faults = faults[:o.sample]
	}
	slices.SortStableFunc(faults, func(a, b *fault) int { return int(a.pos - b.pos) })
	return faults
}
