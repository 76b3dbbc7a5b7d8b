package metrics

import (
	"bytes"
	"log"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// full is a scrape with a value for each metric.
func full() *Scrape {
	pair := [2]string{"aoai", "dais24"}
	h := proxy.HistogramStats{Count: 2, Sum: 0.3, Buckets: map[float64]uint64{0.1: 1, 1: 2}}
	state := lifecycle.State("in_service")
	return &Scrape{
		Stats: proxy.Stats{
			Relay:     relay.Stats{Active: 3, Busy: []float64{1, 2}, AcceptPauses: 1, Pipes: 2},
			Accepted:  map[string]uint64{"aoai": 12},
			Refused:   map[[2]string]uint64{{"aoai", "limit_connections"}: 1},
			Ended:     map[[3]string]uint64{{"aoai", "dais24", "client_closed"}: 11},
			Active:    map[[2]string]int64{pair: 3},
			Bytes:     map[[2]string]relay.Bytes{pair: {Up: 10, Down: 20, SplicedUp: 1, SplicedDown: 2}},
			Connect:   map[string]proxy.HistogramStats{"dais24": h},
			FirstByte: map[string]proxy.HistogramStats{"dais24": h},
			Duration:  map[string]proxy.HistogramStats{"dais24": h},
			Dials:     map[[2]string]uint64{{"dais24", "connect_refused"}: 3},
			Addresses: map[[2]string]int{{"dais24", "usable"}: 1, {"dais24", "failing"}: 1},
			Admitted:  map[string]bool{"dais24": true, "other": false},
			Warm:      map[string]int64{"dais24": 7},
			WarmUsed:  map[[2]string]uint64{{"dais24", "hit"}: 5, {"dais24", "stale"}: 1},
			WarmRests: map[string]uint64{"dais24": 2},
			Lookups:   map[[2]string]uint64{{"dais24.example", "ok"}: 4},
			AnswerAge: map[string]time.Duration{"dais24.example": 7 * time.Second},
		},
		Rates: Rates{Busy: []float64{0.5, 0}}, Build: Build{Version: "1", Commit: "c", Go: "go", Platform: "linux/amd64"},
		Loaded: time.Unix(1700000000, 5e8), Files: 100, Sockets: 4, LinesDropped: 8,
		Limits: []Limit{{"connections", "", "", 9872}, {"upstream_connections", "", "dais24", 50}},
		EIP:    &eip.Stats{Held: true, Changes: 1, Operations: []eip.OperationCount{{Operation: "associate", Result: "ok", Count: 1}}}, Lifecycle: &state,
	}
}

func scrapeText(t *testing.T, s *Scrape) string {
	t.Helper()
	w := httptest.NewRecorder()
	NewHandler(func() *Scrape { return s }, log.Default()).ServeHTTP(w, httptest.NewRequest("GET", "/metrics", nil))
	require.Equal(t, 200, w.Code, w.Body.String())
	return w.Body.String()
}

func TestAScrapeShowsEveryFigure(t *testing.T) {
	text := scrapeText(t, full())
	for _, want := range []string{
		`l4fwd_connections_active{listener="aoai",upstream="dais24"} 3`,
		`l4fwd_connections_total{listener="aoai",reason="client_closed",upstream="dais24"} 11`,
		`l4fwd_connections_total{listener="aoai",reason="upstream_reset",upstream="dais24"} 0`,
		`l4fwd_accepted_total{listener="aoai"} 12`,
		`l4fwd_refused_total{listener="aoai",reason="limit_connections"} 1`,
		`l4fwd_refused_total{listener="aoai",reason="limit_rate"} 0`,
		`l4fwd_bytes_total{direction="upload",listener="aoai",upstream="dais24"} 10`,
		`l4fwd_bytes_total{direction="download",listener="aoai",upstream="dais24"} 20`,
		`l4fwd_spliced_bytes_total{direction="upload"} 1`,
		`l4fwd_spliced_bytes_total{direction="download"} 2`,
		`l4fwd_connect_seconds_bucket{upstream="dais24",le="0.1"} 1`,
		`l4fwd_connection_seconds_count{upstream="dais24"} 2`,
		`l4fwd_first_byte_seconds_sum{upstream="dais24"} 0.3`,
		`l4fwd_upstream_addresses{state="failing",upstream="dais24"} 1`,
		`l4fwd_upstream_admitted{upstream="dais24"} 1`,
		`l4fwd_upstream_admitted{upstream="other"} 0`,
		`l4fwd_upstream_connect_errors_total{reason="connect_refused",upstream="dais24"} 3`,
		`l4fwd_upstream_connect_errors_total{reason="connect_timeout",upstream="dais24"} 0`,
		`l4fwd_warm_connections{upstream="dais24"} 7`,
		`l4fwd_warm_used_total{result="stale",upstream="dais24"} 1`,
		`l4fwd_warm_pauses_total{upstream="dais24"} 2`,
		`l4fwd_dns_lookups_total{name="dais24.example",result="ok"} 4`,
		`l4fwd_dns_answer_age_seconds{name="dais24.example"} 7`,
		`l4fwd_eip_held 1`,
		`l4fwd_eip_operations_total{operation="associate",result="ok"} 1`,
		`l4fwd_eip_changes_total 1`,
		`l4fwd_lifecycle_state{state="in_service"} 1`,
		`l4fwd_lifecycle_state{state="standby"} 0`,
		`l4fwd_draining 0`,
		`l4fwd_config_reload_success 1`,
		`l4fwd_config_reload_timestamp_seconds 1.7000000005e+09`,
		`l4fwd_loop_busy_ratio{loop="0"} 0.5`,
		`l4fwd_loop_busy_ratio{loop="1"} 0`,
		`l4fwd_accept_pauses_total 1`,
		`l4fwd_fds{kind="pipes"} 4`,
		`l4fwd_log_dropped_total 8`,
		`l4fwd_build_info{commit="c",go="go",version="1"} 1`,
	} {
		require.Contains(t, text, want+"\n")
	}
	require.Contains(t, text, "\ngo_goroutines ")
	s := full()
	s.Draining, s.ReloadFailed, s.EIP, s.Lifecycle, s.Files = true, true, nil, nil, -1
	text = scrapeText(t, s)
	require.Contains(t, text, "l4fwd_draining 1\n")
	require.Contains(t, text, "l4fwd_config_reload_success 0\n")
	for _, absent := range []string{"l4fwd_eip", "l4fwd_lifecycle", "l4fwd_fds"} {
		require.NotContains(t, text, absent)
	}
	require.Contains(t, scrapeText(t, &Scrape{}), "l4fwd_draining 0\n", "without a figure of the forwarder")
}

func TestMetricsAreClean(t *testing.T) {
	text := scrapeText(t, full())
	problems, err := promlint.New(strings.NewReader(text)).Lint()
	require.NoError(t, err)
	require.Empty(t, problems)
	for _, m := range table {
		require.NotEqual(t, m.values == nil, m.histograms == nil, m.name)
		require.Contains(t, text, "# TYPE l4fwd_"+m.name+" "+kindText(m)+"\n")
	}
}

// Whoever writes an alert must know the values of a label.
func TestLabelsAreOpenOrListed(t *testing.T) {
	open := []string{"listener", "upstream", "name", "loop", "version", "commit", "go"}
	s := full()
	for _, m := range table {
		for i, label := range m.labels {
			values := m.closed[label]
			require.NotEqual(t, slices.Contains(open, label), len(values) > 0, "%s{%s}", m.name, label)
			if values == nil || m.values == nil {
				continue
			}
			m.values(s, func(_ float64, labels ...string) { require.Contains(t, values, labels[i], m.name) })
		}
	}
}

func TestDescriptorKindsAddUp(t *testing.T) {
	for _, files := range []int{0, 3, 10, 100} {
		sum := 0.0
		s := &Scrape{Files: files, Sockets: 4}
		s.Stats.Relay = relay.Stats{Active: 10, Pipes: 3}
		emitFiles(s, func(v float64, _ ...string) {
			require.GreaterOrEqual(t, v, 0.0)
			sum += v
		})
		require.Equal(t, float64(files), sum)
	}
}

// The document is generated: `make docs`.
func TestTheDocumentIsFreshAndReadable(t *testing.T) {
	var doc bytes.Buffer
	require.NoError(t, WriteDoc(&doc))
	committed, err := os.ReadFile("../../../../docs/METRICS.md")
	require.NoError(t, err)
	require.Equal(t, doc.String(), string(committed), "docs/METRICS.md is stale: make docs")
	require.Contains(t, doc.String(), "Values of `result`: `ok` `nxdomain` `no_data` `timeout` `network` `truncated` `bad_answer` `refused` `servfail`.")
	for line := range strings.Lines(doc.String()) {
		for cell := range strings.SplitSeq(line, "|") {
			require.True(t, !strings.HasPrefix(line, "|") || len(cell) <= 200, "a cell of over 200 characters: %s", cell)
		}
	}
}

func TestEveryReasonIsDescribed(t *testing.T) {
	for _, r := range relay.Reasons() {
		require.Regexp(t, regexp.MustCompile("^[A-Z`].*\\.$"), reasonDocs[r], r.String())
	}
	require.Len(t, reasonDocs, len(relay.Reasons()))
}
