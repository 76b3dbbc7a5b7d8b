package report

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// run is two repetitions of bulk and one of latency, in which the better HAProxy is another one for each metric; and over
// another network, one of bulk in which all is twice as dear.
func run() *Report {
	r := &Report{Judged: []string{"l4fwd-uring", "l4fwd-epoll"},
		Networks: []Network{{Name: Loopback, What: "One address."}, {Name: "veth", What: "Three namespaces."}},
		Peers:    []Peer{{Name: "l4fwd-uring"}, {Name: "l4fwd-epoll", Version: "l4fwd 1"}, {Name: "haproxy-splice"}, {Name: "haproxy-plain"}, {Name: "nginx"}},
		Missing:  []Missing{{What: "nginx", Over: []string{Loopback, "veth"}, Why: "apt-get install nginx"}},
		Scenarios: []Scenario{
			{Name: "bulk_down", Title: "Bulk.", Metrics: []Metric{{Name: "throughput", Unit: "GB/s", Higher: true}, {Name: "cpu", Unit: "s/GB"}}},
			{Name: "beside", Title: "Beside.", Metrics: []Metric{{Name: "p99", Unit: "µs"}, {Name: "bulk", Unit: "GB/s", Higher: true}}},
			{Name: "idle_memory", Title: "Idle.", Metrics: []Metric{{Name: "memory", Unit: "KiB/conn"}, {Name: "fds", Unit: "/conn", Plain: true}}},
		}}
	network := Loopback
	add := func(scenario, peer string, rep int, v map[string]float64, errs ...string) {
		r.Samples = append(r.Samples, Sample{Net: network, Scenario: scenario, Peer: peer, Rep: rep, Values: v, Errors: errs})
	}
	for rep, k := range []float64{0.9, 1.1} {
		add("bulk_down", "l4fwd-epoll", rep, map[string]float64{"throughput": 2 * k, "cpu": 0.2 * k})
		add("bulk_down", "haproxy-splice", rep, map[string]float64{"throughput": 1.9 * k, "cpu": 0.25 * k})
		add("bulk_down", "haproxy-plain", rep, map[string]float64{"throughput": 2.5 * k, "cpu": 0.9 * k})
	}
	add("bulk_down", "l4fwd-epoll", 2, map[string]float64{"throughput": 99}, "stalled")
	add("beside", "l4fwd-epoll", 0, map[string]float64{"p99": 900, "bulk": 2})
	add("beside", "haproxy-splice", 0, map[string]float64{"p99": 1000, "bulk": 4})
	add("idle_memory", "l4fwd-epoll", 0, map[string]float64{"memory": 0.2, "fds": 2.001})
	network = "veth"
	add("bulk_down", "l4fwd-epoll", 0, map[string]float64{"throughput": 1, "cpu": 0.4})
	add("bulk_down", "haproxy-splice", 0, map[string]float64{"throughput": 1, "cpu": 0.8})
	return r
}

// sample is the run over loopback.
func sample() *Report { return run().Over(Loopback) }

func TestNetworksAreKeptApart(t *testing.T) {
	r := run()
	assert.InDelta(t, 0.2, r.Over(Loopback).Summary("bulk_down", "l4fwd-epoll", "cpu").Median, 1e-9)
	assert.InDelta(t, 0.4, r.Over("veth").Summary("bulk_down", "l4fwd-epoll", "cpu").Median, 1e-9)
	assert.Empty(t, r.Over("veth").Invalid())
	vs := r.Over("veth").Verdicts("l4fwd-epoll")
	require.Len(t, vs, 2, "only what was run over it")
	assert.Equal(t, "0.50", vs[0].Got)
	assert.Empty(t, vs[0].Range, "one repetition has none")
}

func TestMissing(t *testing.T) {
	var r Report
	r.Lacks("l4fwd-uring", Loopback, "it ended at once: no io_uring")
	r.Lacks("nginx", Loopback, "apt-get install nginx")
	r.Lacks("l4fwd-uring", "veth", "it ended at once: no io_uring")
	r.Lacks("nginx", "veth", "something else")
	r.Lacks("veth", "", "run it as root")
	var got []string
	for _, m := range r.Missing {
		got = append(got, m.String())
	}
	assert.Equal(t, []string{"l4fwd-uring over loopback, veth: it ended at once: no io_uring", "nginx over loopback: apt-get install nginx",
		"nginx over veth: something else", "veth: run it as root"}, got)
	assert.Contains(t, r.Text(), "missing: veth: run it as root")
	assert.Contains(t, r.Markdown(nil), "- **missing:** l4fwd-uring over loopback, veth: it ended at once: no io_uring")
}

func TestSummaryLeavesOutInvalidSamples(t *testing.T) {
	r := sample()
	s := r.Summary("bulk_down", "l4fwd-epoll", "throughput")
	assert.Equal(t, 2, s.N)
	assert.InDelta(t, 2, s.Median, 1e-9)
	assert.Len(t, r.Invalid(), 1)
}

func TestBaseIsTheBetterHAProxyForEachMetric(t *testing.T) {
	r := sample()
	base, name := r.Base("bulk_down", Metric{Name: "throughput", Higher: true})
	assert.Equal(t, "haproxy-plain", name)
	assert.InDelta(t, 2.5, base, 1e-9)
	base, name = r.Base("bulk_down", Metric{Name: "cpu"})
	assert.Equal(t, "haproxy-splice", name)
	assert.InDelta(t, 0.25, base, 1e-9)
	base, name = r.Base("idle_memory", Metric{Name: "memory"})
	assert.Empty(t, name)
	assert.True(t, math.IsNaN(base))
}

func TestVerdicts(t *testing.T) {
	got := map[string]Verdict{}
	for _, v := range sample().Verdicts("l4fwd-epoll") {
		got[v.Scenario+" "+v.Metric] = v
	}
	require.Len(t, got, 5, "only targets there are figures for")
	assert.True(t, got["bulk_down cpu"].Met, "0.8 × HAProxy")
	assert.Equal(t, "0.80–0.80", got["bulk_down cpu"].Range, "ratios within each repetition")
	assert.False(t, got["bulk_down throughput"].Met, "0.8 × HAProxy")
	assert.True(t, got["beside p99"].Met)
	assert.Contains(t, got["beside p99"].Note, "0.50 × haproxy-splice")
	assert.True(t, got["idle_memory memory"].Met)
	assert.True(t, got["idle_memory fds"].Met, "what a process opens once does not count")
	assert.Empty(t, sample().Verdicts("l4fwd-uring"), "it did not run")
}

// TestVerdictsAreByEngine: the same figures, held against another engine's targets.
func TestVerdictsAreByEngine(t *testing.T) {
	r := sample()
	for i := range r.Samples {
		if r.Samples[i].Peer == "l4fwd-epoll" {
			r.Samples[i].Peer = "l4fwd-uring"
		}
	}
	got := map[string]Verdict{}
	for _, v := range r.Verdicts("l4fwd-uring") {
		got[v.Scenario+" "+v.Metric] = v
	}
	require.Len(t, got, 6)
	assert.Equal(t, "≤ 1 × HAProxy", got["bulk_down cpu"].Want)
	assert.False(t, got["beside p99"].Met, "0.9 × HAProxy")
	assert.False(t, got["beside bulk"].Met, "0.5 × HAProxy")
	assert.Equal(t, "≥ 1 × HAProxy", got["beside bulk"].Want)
	assert.Empty(t, got["beside p99"].Note, "bulk has a verdict of its own")
}

// TestVerdictsToAnotherPeer: a variant of l4fwd is held against l4fwd without it, or against no relay at all.
func TestVerdictsToAnotherPeer(t *testing.T) {
	r := &Report{Peers: []Peer{{Name: "l4fwd-epoll"}, {Name: "l4fwd-epoll-sni"}, {Name: "l4fwd-warm"}, {Name: "haproxy-plain"}, {Name: "direct"}},
		Scenarios: []Scenario{{Name: "sni_rate", Metrics: []Metric{{Name: "cpu", Unit: "µs"}}}, {Name: "handshake", Metrics: []Metric{{Name: "p50", Unit: "µs"}}}}}
	add := func(scenario, peer, metric string, values ...float64) {
		for rep, v := range values {
			r.Samples = append(r.Samples, Sample{Scenario: scenario, Peer: peer, Rep: rep, Values: map[string]float64{metric: v}})
		}
	}
	add("sni_rate", "l4fwd-epoll-sni", "cpu", 23, 24, 25)
	assert.Empty(t, r.Verdicts("l4fwd-epoll-sni"), "nothing to hold it against")
	add("sni_rate", "l4fwd-epoll", "cpu", 20, 20, 20)
	add("handshake", "l4fwd-warm", "p50", 46, 46)
	add("handshake", "direct", "p50", 80, 80)
	add("handshake", "haproxy-plain", "p50", 82, 82)
	assert.Equal(t, []Verdict{{Scenario: "sni_rate", Metric: "cpu", Want: "≤ 1.1 × l4fwd-epoll", Got: "1.20", Range: "1.15–1.25"}}, r.Verdicts("l4fwd-epoll-sni"))
	assert.Equal(t, []Verdict{{Scenario: "handshake", Metric: "p50", Want: "≤ 0.6 × direct", Got: "0.57", Range: "0.57–0.57", Met: true},
		{Scenario: "handshake", Metric: "p50", Want: "≤ 0.55 × HAProxy", Got: "0.56", Range: "0.56–0.56"}}, r.Verdicts("l4fwd-warm"))
}

func TestTargetsHaveFiguresToMeet(t *testing.T) {
	assert.Equal(t, targetsOf("l4fwd-epoll"), targetsOf("prototype"), "any other peer")
	assert.NotEqual(t, targetsOf("l4fwd-epoll"), targetsOf("l4fwd-uring"))
	seen := map[string]bool{}
	for engine, ts := range targets {
		for _, target := range ts {
			key := engine + " " + target.scenario + " " + target.metric + " " + target.base
			assert.False(t, seen[key], "%s twice", key)
			seen[key] = true
			assert.Positive(t, target.limit, key)
		}
	}
}

func TestTable(t *testing.T) {
	assert.Equal(t, "peer   cpu  ×\na     1.00  –\nµµµ      2\n", table{{"peer", "cpu", "×"}, {"a", "1.00", "–"}, {"µµµ", "2", ""}}.text())
	assert.Equal(t, "| peer | cpu |\n|---|--:|\n| a | 1 |\n", table{{"peer", "cpu"}, {"a", "1"}}.markdown())
	for x, want := range map[float64]string{0: "0", 0.1234: "0.123", 1.234: "1.23", 12.34: "12.3", 12345.6: "12346"} {
		assert.Equal(t, want, number(x))
	}
	assert.Contains(t, sample().ScenarioText(sample().Scenarios[0]), "2.00 ±10%")
}

func TestDisturbance(t *testing.T) {
	r := sample()
	assert.Empty(t, r.Disturbance())
	r.Samples[0].Foreign = 0.04
	r.Samples[0].Steal, r.Samples[0].Busiest = 0.02, "compile"
	assert.Contains(t, r.Disturbance(), "NOT IDLE: in 1 of")
	assert.Contains(t, r.Disturbance(), "compile")
	assert.Contains(t, r.Text(), "NOT IDLE")
	assert.Contains(t, r.Markdown(nil), "NOT IDLE")
}

func TestWrite(t *testing.T) {
	dir := t.TempDir()
	require.NoError(t, run().Write(dir))
	md, err := os.ReadFile(filepath.Join(dir, "latest.md"))
	require.NoError(t, err)
	for _, want := range []string{"| l4fwd-epoll |", "MISSED", "nginx over loopback, veth: apt-get install nginx", "(cpu.svg)", "(veth-cpu.svg)", "Invalid:",
		"Three namespaces.", "## Targets of l4fwd-epoll over loopback", "## Targets of l4fwd-epoll over veth", "## bulk_down over veth", "- l4fwd-epoll: l4fwd 1"} {
		assert.Contains(t, string(md), want)
	}
	for _, not := range []string{"beside over veth", "(veth-latency.svg)", "Targets of l4fwd-uring"} {
		assert.NotContains(t, string(md), not, "there are no figures for it")
	}
	b, err := os.ReadFile(filepath.Join(dir, "latest.json"))
	require.NoError(t, err)
	assert.Contains(t, string(b), `"net": "veth"`)
	for _, f := range []string{"latest.json", "cpu.svg", "throughput.svg", "latency.svg", "memory.svg", "veth-cpu.svg"} {
		info, err := os.Stat(filepath.Join(dir, f))
		require.NoError(t, err)
		assert.Positive(t, info.Size())
	}
}
