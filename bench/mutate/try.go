package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/l4fwd/l4fwd/bench/gocode"
)

// outcome is what became of a fault.
type outcome int

const (
	survived outcome = iota
	killed
	timedOut // noticed, since the tests did not end
	invalid  // the code does not compile: no fault
)

// helper is added to the package under test by the overlay.
const helper = "package %s\n\nfunc " + zeroOf + "[T any](T) (zero T) { return }\n\nvar _ = " + zeroOf + "[int]\n"

// tryAll tries the faults, some at a time, and sets the outcome of each.
func tryAll(p *gocode.Package, r *reach, faults []*fault, scratch string, workers int) error {
	work := make(chan *fault)
	failed := make([]error, workers)
	var all sync.WaitGroup
	for i := range workers {
		dir := filepath.Join(scratch, fmt.Sprint("worker", i))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		all.Go(func() {
			for f := range work {
				if failed[i] == nil {
					f.outcome, failed[i] = try(p, r, f, dir)
				}
			}
		})
	}
	for n, f := range faults {
		work <- f
		if n%20 == 19 {
			fmt.Fprintf(os.Stderr, "mutate: %s: %d of %d\n", p.Short, n+1, len(faults))
		}
	}
	close(work)
	all.Wait()
	for _, err := range failed {
		if err != nil {
			return err
		}
	}
	return nil
}

// try builds the tests with the fault and runs those that reach it.
func try(p *gocode.Package, r *reach, f *fault, dir string) (outcome, error) {
	overlay, err := writeOverlay(p, f, dir)
	if err != nil {
		return invalid, err
	}
	binary := filepath.Join(dir, "test")
	if _, err := gocode.Go("test", "-c", "-overlay", overlay, "-ldflags=-s -w", "-o", binary, p.Path); err != nil {
		return invalid, nil
	}
	quick, slow := r.split(f.tests)
	for _, tests := range [][]string{quick, slow} {
		if len(tests) == 0 {
			continue
		}
		if o := runFaulty(p, r, binary, tests); o != survived {
			return o, nil
		}
	}
	return survived, nil
}

// runFaulty runs tests on the code with the fault and returns what they made of it.
func runFaulty(p *gocode.Package, r *reach, binary string, tests []string) outcome {
	limit := 5 * time.Second
	for _, t := range tests {
		limit += 4 * r.took[t]
	}
	out, err := runTests(p, binary, tests, limit)
	switch {
	case err == nil:
		return survived
	case err == errTimeout || bytes.Contains(out, []byte("panic: test timed out")):
		return timedOut
	}
	return killed
}

// writeOverlay writes the changed file, the helper and the overlay that puts them in place, and returns the overlay's path.
func writeOverlay(p *gocode.Package, f *fault, dir string) (string, error) {
	text := p.Source[f.file]
	from, to := p.Fset.Position(f.pos).Offset, p.Fset.Position(f.end).Offset
	changed := append(append(append([]byte{}, text[:from]...), f.text...), text[to:]...)
	files := map[string][]byte{
		f.file: changed,
		filepath.Join(p.Dir, "zz_mutation_helper.go"): fmt.Appendf(nil, helper, p.Files[0].Name.Name),
	}
	replace := map[string]string{}
	for path, text := range files {
		replace[path] = filepath.Join(dir, filepath.Base(path))
		if err := os.WriteFile(replace[path], text, 0o644); err != nil {
			return "", err
		}
	}
	overlay := filepath.Join(dir, "overlay.json")
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	return overlay, os.WriteFile(overlay, text, 0o644)
}
