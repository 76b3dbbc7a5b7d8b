package metrics

import (
	"errors"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// A counter by reason is there with 0 before anything has happened: increase() misses the first increase of a series that begins with it.
func TestCountersByReasonBeginAtZero(t *testing.T) {
	text := scrapeText(t, &Scrape{Stats: proxy.Stats{
		Accepted: map[string]uint64{"aoai": 0}, Active: map[[2]string]int64{{"aoai", "up"}: 0}, Connect: map[string]proxy.HistogramStats{"up": {}},
	}})
	for _, want := range []string{
		`l4fwd_upstream_connect_errors_total{reason="connect_refused",upstream="up"} 0`,
		`l4fwd_upstream_connect_errors_total{reason="outpaced",upstream="up"} 0`,
		`l4fwd_connections_total{listener="aoai",reason="upstream_closed",upstream="up"} 0`,
		`l4fwd_connections_total{listener="aoai",reason="limit_connections",upstream="up"} 0`,
		`l4fwd_refused_total{listener="aoai",reason="source_denied"} 0`,
	} {
		require.Contains(t, text, want+"\n")
	}
	require.NotContains(t, text, `l4fwd_connections_total{listener="aoai",reason="source_denied"`, "a refusal has no upstream")
	require.NotContains(t, text, `l4fwd_refused_total{listener="aoai",reason="upstream_closed"`)
	require.NotContains(t, text, `l4fwd_upstream_connect_errors_total{reason="client_closed"`)
}

// Two descriptors are a connection's and a pipe's, one a warm connection's; the rest is other. None is negative where the process has fewer.
func TestDescriptorsByKind(t *testing.T) {
	s := &Scrape{Files: 100, Sockets: 4, Stats: proxy.Stats{Relay: relay.Stats{Active: 10, Pipes: 3}, Warm: map[string]int64{"a": 2, "b": 3}}}
	kinds := func() (sockets, pipes, other float64) {
		all := map[string]float64{}
		emitFiles(s, func(v float64, labels ...string) { all[labels[0]] = v })
		return all["sockets"], all["pipes"], all["other"]
	}
	for files, want := range map[int][3]float64{100: {29, 6, 65}, 35: {29, 6, 0}, 10: {4, 6, 0}, 5: {0, 5, 0}, 0: {}} {
		s.Files = files
		sockets, pipes, other := kinds()
		require.Equal(t, want, [3]float64{sockets, pipes, other}, files)
	}
}

// What a removed listener spliced still counts.
func TestSplicedBytesOfRemovedListeners(t *testing.T) {
	s := full()
	s.Stats.Forgotten.Bytes = relay.Bytes{SplicedUp: 100, SplicedDown: 200}
	text := scrapeText(t, s)
	require.Contains(t, text, "l4fwd_spliced_bytes_total{direction=\"upload\"} 101\n")
	require.Contains(t, text, "l4fwd_spliced_bytes_total{direction=\"download\"} 202\n")
}

// Upgrades count by what became of them, and each limit in force has its value.
func TestUpgradesAndLimits(t *testing.T) {
	s := full()
	s.Handovers = Handovers{Taken: 3, Failed: 2, Refused: 1, Pause: 25e6}
	text := scrapeText(t, s)
	for _, want := range []string{
		`l4fwd_handovers_total{result="taken"} 3`, `l4fwd_handovers_total{result="failed"} 2`, `l4fwd_handovers_total{result="refused"} 1`,
		`l4fwd_handover_pause_seconds 0.025`,
		`l4fwd_limit{limit="connections",listener="",upstream=""} 9872`, `l4fwd_limit{limit="upstream_connections",listener="",upstream="dais24"} 50`,
	} {
		require.Contains(t, text, want+"\n")
	}
}

type fullDisk struct{}

func (fullDisk) Write([]byte) (int, error) { return 0, errors.New("no space left") }

func TestADocumentThatCannotBeWrittenIsAnError(t *testing.T) {
	require.EqualError(t, WriteDoc(fullDisk{}), "no space left")
}
