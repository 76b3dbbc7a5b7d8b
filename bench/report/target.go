package report

import (
	"fmt"
	"math"

	"github.com/l4fwd/l4fwd/bench/stats"
)

// target is a line the judged peer is held against: a ratio to the better HAProxy, or an absolute figure.
type target struct {
	scenario, metric string
	limit            float64
	absolute         bool
	atLeast          bool
}

// targets are what the epoll engine is built to reach, see docs/DESIGN.md.
var targets = []target{
	{"bulk_down", "cpu", 1.05, false, false},
	{"bulk_up", "cpu", 1.05, false, false},
	{"conn_rate", "cpu", 0.92, false, false},
	{"ping_pong", "cpu", 0.95, false, false},
	{"token_stream", "cpu", 0.93, false, false},
	{"bulk_down", "throughput", 0.95, false, true},
	{"bulk_up", "throughput", 0.95, false, true},
	{"conn_rate", "throughput", 0.95, false, true},
	{"ping_pong", "throughput", 0.95, false, true},
	{"token_stream", "throughput", 0.95, false, true},
	{"beside", "p99", 1.0, false, false},
	{"idle_memory", "memory", 0.5, true, false},
	{"idle_memory", "fds", 2, true, false},
	{"open_cost", "growth", 1.15, true, false},
	{"open_cost", "growth_same", 1.15, true, false},
}

// Verdict is a target and what became of it.
type Verdict struct {
	Scenario, Metric, Want, Got string
	Range                       string // over the repetitions: how far to trust a narrow verdict
	Note                        string
	Met                         bool
}

// Verdicts holds the judged peer against every target there are figures for.
func (r *Report) Verdicts() (vs []Verdict) {
	for _, t := range targets {
		m, ok := r.metric(t.scenario, t.metric)
		got := r.Summary(t.scenario, r.Judged, t.metric)
		if !ok || got.N == 0 {
			continue
		}
		value, unit, span := got.Median, " "+m.Unit, got
		if !t.absolute {
			base, name := r.Base(t.scenario, m)
			if value, unit = stats.Ratio(got.Median, base), " × HAProxy"; math.IsNaN(value) {
				continue
			}
			span = r.paired(t.scenario, t.metric, name)
		}
		// Fds are counted over all connections, some of which share what the process opened once: two figures will do.
		value = math.Round(value*1000) / 1000
		v := Verdict{Scenario: t.scenario, Metric: t.metric, Want: fmt.Sprintf("≤ %g%s", t.limit, unit),
			Got: fmt.Sprintf("%.2f", value), Met: value <= t.limit}
		if span.N > 1 {
			v.Range = fmt.Sprintf("%.2f–%.2f", span.Min, span.Max)
		}
		if t.atLeast {
			v.Want, v.Met = fmt.Sprintf("≥ %g%s", t.limit, unit), value >= t.limit
		}
		if t.scenario == "idle_memory" && t.metric == "fds" {
			v.Met = math.Round(value*100)/100 <= t.limit
		}
		if t.scenario == "beside" {
			v.Note = r.besideNote()
		}
		vs = append(vs, v)
	}
	return vs
}

// paired is the judged peer's ratio to base within each repetition, where both ran close together in time.
func (r *Report) paired(scenario, metric, base string) stats.Summary {
	mine, theirs := map[int]float64{}, map[int]float64{}
	for _, s := range r.Samples {
		x, ok := s.Values[metric]
		switch {
		case s.Scenario != scenario || len(s.Errors) > 0 || !ok:
		case s.Peer == r.Judged:
			mine[s.Rep] = x
		case s.Peer == base:
			theirs[s.Rep] = x
		}
	}
	var ratios []float64
	for rep, x := range mine {
		if b, ok := theirs[rep]; ok && b != 0 {
			ratios = append(ratios, x/b)
		}
	}
	return stats.Summarize(ratios)
}

// besideNote puts the bulk throughput next to the latency, since either is easily bought with the other.
func (r *Report) besideNote() string {
	m, ok := r.metric("beside", "bulk")
	if !ok {
		return ""
	}
	base, name := r.Base("beside", m)
	got := r.Summary("beside", r.Judged, "bulk").Median
	return fmt.Sprintf("bulk beside it %s GB/s, %.2f × %s", number(got), stats.Ratio(got, base), name)
}

func (r *Report) metric(scenario, name string) (Metric, bool) {
	for _, s := range r.Scenarios {
		for _, m := range s.Metrics {
			if s.Name == scenario && m.Name == name {
				return m, true
			}
		}
	}
	return Metric{}, false
}
