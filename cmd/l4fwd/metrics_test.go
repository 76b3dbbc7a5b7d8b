package main

import (
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// newFakeDaemon is a daemon around a fake, with nothing running.
func newFakeDaemon(t *testing.T) (*daemon, *fakeForwarder) {
	t.Helper()
	cfg := loadWith(t, "--upstream", "dais24.example:443")
	d := newDaemon(cfg.Config)
	t.Cleanup(func() { d.lines.Close(0) })
	d.log = newLogger(config.Log{}, zap.ErrorLevel, d.lines, false)
	fwd := &fakeForwarder{active: 3, idle: make(chan struct{})}
	d.fwd = fwd
	d.register(fwd)
	return d, fwd
}

func scrapeText(t *testing.T, d *daemon) string {
	t.Helper()
	w := httptest.NewRecorder()
	newMetricsHandler(d).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, w.Code, w.Body.String())
	return w.Body.String()
}

func TestMetricsShowTheForwardersFigures(t *testing.T) {
	d, _ := newFakeDaemon(t)
	text := scrapeText(t, d)
	for _, want := range []string{
		`l4fwd_connections_active{listener="aoai",upstream="dais24"} 3`,
		`l4fwd_connections_total{listener="aoai",reason="client_closed",upstream="dais24"} 11`,
		`l4fwd_connections_total{listener="aoai",reason="upstream_reset",upstream="dais24"} 0`,
		`l4fwd_accepted_total{listener="aoai"} 12`,
		`l4fwd_refused_total{listener="aoai",reason="limit_connections"} 1`,
		`l4fwd_bytes_total{direction="upload",listener="aoai",upstream="dais24"} 10`,
		`l4fwd_bytes_total{direction="download",listener="aoai",upstream="dais24"} 20`,
		`l4fwd_spliced_bytes_total{direction="download"} 2`,
		`l4fwd_connect_seconds_bucket{upstream="dais24",le="0.1"} 1`,
		`l4fwd_connection_seconds_count{upstream="dais24"} 2`,
		`l4fwd_first_byte_seconds_sum{upstream="dais24"} 0.3`,
		`l4fwd_upstream_addresses{state="failing",upstream="dais24"} 1`,
		`l4fwd_upstream_connect_errors_total{reason="connect_refused",upstream="dais24"} 3`,
		`l4fwd_upstream_connect_errors_total{reason="connect_timeout",upstream="dais24"} 0`,
		`l4fwd_warm_pauses_total{upstream="dais24"} 2`,
		`l4fwd_dns_lookups_total{name="dais24.example",result="ok"} 4`,
		`l4fwd_dns_answer_age_seconds{name="dais24.example"} 7`,
		`l4fwd_draining 0`,
		`l4fwd_config_reload_success 1`,
		`l4fwd_loop_busy_ratio{loop="1"} 0`,
		`l4fwd_accept_pauses_total 1`,
		`l4fwd_log_dropped_total 0`,
		`l4fwd_build_info{commit="`,
	} {
		require.Contains(t, text, want+"", want)
	}
	require.Contains(t, text, "\ngo_goroutines ")
	require.Contains(t, text, "\nprocess_")

	d.draining.Store(true)
	require.Contains(t, scrapeText(t, d), "l4fwd_draining 1\n")
}

func TestMetricsAreClean(t *testing.T) {
	d, _ := newFakeDaemon(t)
	d.cloud = idleCloud(t, d)
	text := scrapeText(t, d)
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	for _, m := range metricTable {
		require.NotEqual(t, m.values == nil, m.histograms == nil, m.name)
		if openFiles() < 0 && m.name == "fds" {
			continue
		}
		require.Contains(t, text, "# TYPE l4fwd_"+m.name+" "+kindText(m)+"\n")
	}
}

// Whoever writes an alert must know what a label can be.
func TestLabelsAreOpenOrListed(t *testing.T) {
	open := []string{"listener", "upstream", "name", "loop", "version", "commit", "go"}
	d, _ := newFakeDaemon(t)
	d.cloud = idleCloud(t, d)
	s := d.scrape()
	for _, m := range metricTable {
		for i, label := range m.labels {
			values := m.closed[label]
			require.NotEqual(t, slices.Contains(open, label), len(values) > 0, "%s{%s}", m.name, label)
			if values == nil || m.values == nil {
				continue
			}
			m.values(s, func(_ float64, labels ...string) { require.Contains(t, values, labels[i], m.name) })
		}
	}
	o := l4fwd(t, nil, "docs", "metrics")
	require.Contains(t, o.stdout, "Values of `result`: `ok` `nxdomain` `no_data` `timeout` `network` `truncated` `bad_answer` `refused` `servfail`.")
}

func TestDescriptorKindsAddUp(t *testing.T) {
	for _, files := range []int{0, 3, 10, 100} {
		sum := 0.0
		s := &scrape{files: files, sockets: 4}
		s.stats.Relay = relay.Stats{Active: 10, Pipes: 3}
		emitFiles(s, func(v float64, _ ...string) {
			require.GreaterOrEqual(t, v, 0.0)
			sum += v
		})
		require.Equal(t, float64(files), sum)
	}
}

// The documents are generated: `make docs`, or l4fwd docs config > docs/CONFIG.md, and so for metrics.
func TestGeneratedDocsAreFresh(t *testing.T) {
	for name, path := range map[string]string{"config": "../../docs/CONFIG.md", "metrics": "../../docs/METRICS.md"} {
		o := l4fwd(t, nil, "docs", name)
		require.Equal(t, exitOK, o.code, o.stderr)
		committed, err := os.ReadFile(path)
		require.NoError(t, err)
		require.Equal(t, o.stdout, string(committed), "%s is stale: l4fwd docs %s > docs/%s.md", path, name, strings.ToUpper(name))
	}
}

func TestEveryReasonIsDescribed(t *testing.T) {
	for _, r := range relay.Reasons() {
		require.Regexp(t, regexp.MustCompile("^[A-Z`].*\\.$"), reasonDocs[r], r.String())
	}
	require.Len(t, reasonDocs, len(relay.Reasons()))
}
