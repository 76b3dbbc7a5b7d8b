package main

import (
	"fmt"
	"io"
	"path/filepath"
	"time"
)

// report is what became of the faults of one package.
type report struct {
	pkg       string
	all       int      // faults that tests reach, without accepted ones
	tried     []*fault // of them
	accepted  int
	unreached []*fault
	stale     []string // entries of the list that match no fault
	took      time.Duration
}

func (r *report) count(o outcome) int {
	n := 0
	for _, f := range r.tried {
		if f.outcome == o {
			n++
		}
	}
	return n
}

// rate is the percentage of the valid faults that were noticed.
func (r *report) rate() float64 {
	valid := len(r.tried) - r.count(invalid)
	if valid == 0 {
		return 100
	}
	return 100 * float64(valid-r.count(survived)) / float64(valid)
}

func (r *report) print(w io.Writer) {
	for _, f := range r.tried {
		if f.outcome == survived {
			fmt.Fprintf(w, "survived  %s/%s:%d: %s\n", r.pkg, filepath.Base(f.file), f.line, f.name())
		}
	}
	for _, f := range r.unreached {
		fmt.Fprintf(w, "unreached %s/%s:%d: %s\n", r.pkg, filepath.Base(f.file), f.line, f.name())
	}
	for _, s := range r.stale {
		fmt.Fprintf(w, "stale     accepted, but there is no such fault: %s %s\n", r.pkg, s)
	}
	fmt.Fprintf(w, "%-16s %5.1f %% killed: %d of %d (%d by timeout); survived %d; tried %d of %d; accepted %d; not reached %d; %s\n",
		r.pkg, r.rate(), r.count(killed)+r.count(timedOut), len(r.tried)-r.count(invalid), r.count(timedOut), r.count(survived),
		len(r.tried), r.all, r.accepted, len(r.unreached), r.took.Round(time.Second))
}
