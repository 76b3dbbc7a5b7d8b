package main

import (
	"fmt"
	"slices"
	"strings"
	"text/tabwriter"
	"time"
)

// table is machine × group of tests.
type table struct {
	rows  []row
	notes []string // machines that were skipped, and what kernels complained of
}

type row struct {
	machine, kernel, group string
	results                []result
	took                   time.Duration
}

// skip notes a machine that this host cannot run.
func (t *table) skip(m machine, why error) {
	t.notes = append(t.notes, fmt.Sprintf("kernels %v: SKIPPED %v", m, why))
}

// add adds what a machine did.
func (t *table) add(m machine, g *guestRun) {
	first := len(t.rows)
	for i := range g.steps {
		s := &g.steps[i]
		at := slices.IndexFunc(t.rows[first:], func(r row) bool { return r.group == s.group })
		if at < 0 {
			at = len(t.rows) - first
			t.rows = append(t.rows, row{machine: m.String(), kernel: g.kernel, group: s.group})
		}
		r := &t.rows[first+at]
		r.results = append(r.results, s.results(g.fault)...)
		r.took += s.took
	}
	for _, w := range g.warnings {
		t.notes = append(t.notes, fmt.Sprintf("%v said: %s", m, w))
	}
}

func (t *table) failed() (n int) {
	for _, r := range t.rows {
		n += r.count(failed)
	}
	return n
}

func (r *row) count(v verdict) (n int) {
	for _, one := range r.results {
		if one.verdict == v {
			n++
		}
	}
	return n
}

// String is the table in Markdown, then each failure and each skip by name.
func (t *table) String() string {
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 1, ' ', tabwriter.Debug)
	fmt.Fprintln(w, "\tkernel\ttests\tpassed\tfailed\tskipped\tguest's time\t")
	fmt.Fprintln(w, "\t---\t---\t---\t---\t---\t---\t")
	for _, r := range t.rows {
		fmt.Fprintf(w, "\t%s\t%s\t%d\t%d\t%d\t%.0f s\t\n", r.kernel, r.group, r.count(passed), r.count(failed), r.count(skipped), r.took.Seconds())
	}
	w.Flush()
	for _, v := range []verdict{failed, skipped} {
		fmt.Fprintln(&b)
		for _, r := range t.rows {
			for _, one := range r.results {
				if one.verdict == v {
					fmt.Fprintf(&b, "%s %s: %s: %s\n", v, r.kernel, one.test, one.why)
				}
			}
		}
	}
	for _, n := range t.notes {
		fmt.Fprintln(&b, n)
	}
	return b.String()
}
