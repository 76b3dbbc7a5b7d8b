package report

import (
	"math"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// sample is two repetitions of bulk and one of latency, in which the better HAProxy is another one for each metric.
func sample() *Report {
	r := &Report{Judged: "l4fwd-epoll",
		Peers: []Peer{{Name: "l4fwd-epoll"}, {Name: "haproxy-splice"}, {Name: "haproxy-plain"}, {Name: "nginx", Missing: "apt-get install nginx"}},
		Scenarios: []Scenario{
			{Name: "bulk_down", Title: "Bulk.", Metrics: []Metric{{Name: "throughput", Unit: "GB/s", Higher: true}, {Name: "cpu", Unit: "s/GB"}}},
			{Name: "beside", Title: "Beside.", Metrics: []Metric{{Name: "p99", Unit: "µs"}, {Name: "bulk", Unit: "GB/s", Higher: true}}},
			{Name: "idle_memory", Title: "Idle.", Metrics: []Metric{{Name: "memory", Unit: "KiB/conn"}, {Name: "fds", Unit: "/conn", Plain: true}}},
		}}
	add := func(scenario, peer string, rep int, v map[string]float64, errs ...string) {
		r.Samples = append(r.Samples, Sample{Scenario: scenario, Peer: peer, Rep: rep, Values: v, Errors: errs})
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
	return r
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
	for _, v := range sample().Verdicts() {
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
	r := sample()
	require.NoError(t, r.Write(dir))
	md, err := os.ReadFile(filepath.Join(dir, "latest.md"))
	require.NoError(t, err)
	for _, want := range []string{"| l4fwd-epoll |", "MISSED", "apt-get install nginx", "cpu.svg", "Invalid:"} {
		assert.Contains(t, string(md), want)
	}
	for _, f := range []string{"latest.json", "cpu.svg", "throughput.svg", "latency.svg", "memory.svg"} {
		info, err := os.Stat(filepath.Join(dir, f))
		require.NoError(t, err)
		assert.Positive(t, info.Size())
	}
}
