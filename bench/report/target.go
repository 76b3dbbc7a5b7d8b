package report

import (
	"fmt"
	"math"
	"slices"
	"strings"

	"github.com/l4fwd/l4fwd/bench/stats"
)

// target is a line a judged peer is held against: a ratio to the better HAProxy or to the peer it names, or an absolute figure.
type target struct {
	scenario, metric string
	base             string // the other peer; empty: the better HAProxy
	limit            float64
	absolute         bool
	atLeast          bool
}

// atMost, absolute and atLeast are how a target is written: a ratio not to be exceeded, a figure, a ratio to be reached.
func atMost(scenario, metric string, limit float64) target {
	return target{scenario: scenario, metric: metric, limit: limit}
}

// atMostOf is atMost of a ratio to another peer.
func atMostOf(base, scenario, metric string, limit float64) target {
	return target{scenario: scenario, metric: metric, limit: limit, base: base}
}

func absolute(scenario, metric string, limit float64) target {
	return target{scenario: scenario, metric: metric, limit: limit, absolute: true}
}

func atLeast(scenario, metric string, limit float64) target {
	return target{scenario: scenario, metric: metric, limit: limit, atLeast: true}
}

// targets are what each engine is built to reach, and each variant of l4fwd for the one scenario it is about.
var targets = map[string][]target{
	"epoll": {
		atMost("bulk_down", "cpu", 1.05),
		atMost("bulk_up", "cpu", 1.05),
		atMost("conn_rate", "cpu", 0.92),
		atMost("conn_reset", "cpu", 0.75),
		atMost("ping_pong", "cpu", 0.95),
		atMost("token_stream", "cpu", 0.93),
		atLeast("bulk_down", "throughput", 0.95),
		atLeast("bulk_up", "throughput", 0.95),
		atLeast("conn_rate", "throughput", 0.95),
		atLeast("ping_pong", "throughput", 0.95),
		atLeast("token_stream", "throughput", 0.95),
		atMost("beside", "p99", 1.0),
		absolute("idle_memory", "memory", 0.5),
		absolute("idle_memory", "fds", 2),
		absolute("open_cost", "growth", 1.15),
		absolute("open_cost", "growth_same", 1.15),
	},
	"uring": {
		atMost("bulk_down", "cpu", 1.0),
		atMost("bulk_up", "cpu", 1.0),
		atMost("conn_rate", "cpu", 0.80),
		atMost("conn_reset", "cpu", 0.60),
		atMost("ping_pong", "cpu", 0.65),
		atMost("token_stream", "cpu", 0.83),
		atMost("low_conns", "cpu", 0.65),
		atMost("low_messages", "cpu", 0.70),
		atLeast("bulk_down", "throughput", 0.95),
		atLeast("bulk_up", "throughput", 0.95),
		atLeast("conn_rate", "throughput", 1.05),
		atLeast("ping_pong", "throughput", 1.25),
		atLeast("token_stream", "throughput", 0.95),
		atMost("beside", "p99", 0.7),
		atLeast("beside", "bulk", 1.0),
		absolute("idle_memory", "memory", 0.5),
		absolute("idle_memory", "fds", 2),
		absolute("open_cost", "growth", 1.15),
		absolute("open_cost", "growth_same", 1.15),
	},
	"epoll-sni":     {atMostOf("l4fwd-epoll", "sni_rate", "cpu", 1.1)},
	"uring-sni":     {atMostOf("l4fwd-uring", "sni_rate", "cpu", 1.1)},
	"uring-log":     {atMost("conn_rate_log", "cpu", 0.70), atMost("conn_reset_log", "cpu", 0.70)},
	"epoll-log":     {atMost("conn_rate_log", "cpu", 0.85), atMost("conn_reset_log", "cpu", 0.85)},
	"uring-upgrade": replaced,
	"epoll-upgrade": replaced,
	"warm":          {atMostOf("direct", "handshake", "p50", 0.6), atMost("handshake", "p50", 0.55)},
}

// replaced is what an upgrade may cost.
var replaced = []target{
	{scenario: "replace", metric: "alive", limit: 100, absolute: true, atLeast: true},
	{scenario: "replace", metric: "served", limit: 100, absolute: true, atLeast: true},
	absolute("replace", "pause", 50),
	absolute("replace", "old", 2),
}

// targetsOf is the targets of a peer's engine. A peer that is not an engine with targets of its own is held against
// epoll's, the lower ones.
func targetsOf(peer string) []target {
	if ts, ok := targets[strings.TrimPrefix(peer, "l4fwd-")]; ok {
		return ts
	}
	return targets["epoll"]
}

// Verdict is a target and what became of it.
type Verdict struct {
	Scenario, Metric, Want, Got string
	Range                       string // over the repetitions: how far to trust a narrow verdict
	Note                        string
	Met                         bool
}

// Verdicts holds a peer against every target of its engine that there are figures for.
func (r *Report) Verdicts(judged string) (vs []Verdict) {
	ts := targetsOf(judged)
	bulkJudged := slices.ContainsFunc(ts, func(t target) bool { return t.scenario == "beside" && t.metric == "bulk" })
	for _, t := range ts {
		v, ok := r.verdict(judged, t)
		if !ok {
			continue
		}
		if t.scenario == "beside" && !bulkJudged {
			v.Note = r.besideNote(judged)
		}
		vs = append(vs, v)
	}
	return vs
}

// verdict is what became of one target; ok says that there are figures for it.
func (r *Report) verdict(judged string, t target) (v Verdict, ok bool) {
	m, ok := r.metric(t.scenario, t.metric)
	got := r.Summary(t.scenario, judged, t.metric)
	if !ok || got.N == 0 {
		return v, false
	}
	value, unit, span := got.Median, " "+m.Unit, got
	if !t.absolute {
		base, name := r.Base(t.scenario, m)
		unit = " × HAProxy"
		if t.base != "" {
			base, name, unit = r.Summary(t.scenario, t.base, t.metric).Median, t.base, " × "+t.base
		}
		if value = stats.Ratio(got.Median, base); math.IsNaN(value) {
			return v, false
		}
		span = r.paired(judged, t.scenario, t.metric, name)
	}
	// Fds are counted over all connections, some of which share what the process opened once: two figures will do.
	value = math.Round(value*1000) / 1000
	v = Verdict{Scenario: t.scenario, Metric: t.metric, Got: fmt.Sprintf("%.2f", value), Met: value <= t.limit}
	sign := "≤"
	if t.atLeast {
		sign, v.Met = "≥", value >= t.limit
	}
	v.Want = strings.TrimSpace(fmt.Sprintf("%s %g%s", sign, t.limit, unit))
	if span.N > 1 {
		v.Range = fmt.Sprintf("%.2f–%.2f", span.Min, span.Max)
	}
	if t.scenario == "idle_memory" && t.metric == "fds" {
		v.Met = math.Round(value*100)/100 <= t.limit
	}
	return v, true
}

// paired is the judged peer's ratio to base within each repetition, where both ran close together in time.
func (r *Report) paired(judged, scenario, metric, base string) stats.Summary {
	mine, theirs := map[int]float64{}, map[int]float64{}
	for _, s := range r.Samples {
		x, ok := s.Values[metric]
		switch {
		case s.Scenario != scenario || len(s.Errors) > 0 || !ok:
		case s.Peer == judged:
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
func (r *Report) besideNote(judged string) string {
	m, ok := r.metric("beside", "bulk")
	if !ok {
		return ""
	}
	base, name := r.Base("beside", m)
	got := r.Summary("beside", judged, "bulk").Median
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
