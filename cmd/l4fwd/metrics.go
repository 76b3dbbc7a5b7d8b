package main

import (
	"maps"
	"slices"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

const metricPrefix = "l4fwd_"

// metric is one row of the table: the descriptor, the documentation and the way to the value.
type metric struct {
	name   string // without the prefix
	kind   prometheus.ValueType
	help   string
	labels []string
	closed map[string][]string // the values of those labels that have a closed list
	doc    string              // more for docs/METRICS.md than help says; may be empty

	// Exactly one of the two emits the values of a scrape.
	values     func(s *scrape, emit func(value float64, labels ...string))
	histograms func(s *scrape) map[string]proxy.HistogramStats // by the only label
}

// scrape is the daemon's state while Prometheus asks.
type scrape struct {
	stats        proxy.Stats
	rates        Rates
	build        build
	draining     bool
	loaded       time.Time // when the configuration in use was loaded
	reloadFailed bool
	files        int    // open descriptors; -1: unknown
	dropped      uint64 // log lines
	sockets      int    // descriptors of the listeners

	eip       *eip.Stats       // nil: no eip.pool
	lifecycle *lifecycle.State // nil: not watched
}

var (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// metricTable is every metric of l4fwd's own, in the order of docs/METRICS.md, which is generated from it.
var metricTable = []metric{
	{name: "connections_active", kind: gauge, help: "Open connections.", labels: []string{"listener", "upstream"},
		doc:    "`upstream` is empty for those of a listener with routes that have none yet.",
		values: func(s *scrape, emit func(float64, ...string)) { each2(s.stats.Active, emit) }},
	{name: "connections_total", kind: counter, help: "Connections that ended, by the reason they ended for.", labels: []string{"listener", "upstream", "reason"},
		closed: map[string][]string{"reason": endReasons},
		doc:    "The reasons are listed below. A client that was refused before an upstream was chosen counts in `l4fwd_refused_total` instead; one of a listener with routes that left before has an empty `upstream`.",
		values: emitEnded},
	{name: "accepted_total", kind: counter, help: "Clients accepted from the kernel's queue, also those refused then.", labels: []string{"listener"},
		values: func(s *scrape, emit func(float64, ...string)) { each1(s.stats.Accepted, emit) }},
	{name: "refused_total", kind: counter, help: "Clients turned away before an upstream was dialed, by reason.", labels: []string{"listener", "reason"},
		closed: map[string][]string{"reason": reasonsWhere(relay.Reason.Refusal, true)},
		values: emitRefused},
	{name: "bytes_total", kind: counter, help: "Bytes delivered: upload to the upstream, download to the client.", labels: []string{"listener", "upstream", "direction"},
		closed: map[string][]string{"direction": directions},
		values: emitBytes},
	{name: "spliced_bytes_total", kind: counter, help: "Those of the bytes that were spliced, never copied through the process.", labels: []string{"direction"},
		closed: map[string][]string{"direction": directions},
		doc:    "Bulk is spliced, small messages are copied. Much traffic and no growth here means the fast path is not taken.", values: emitSpliced},
	{name: "connect_seconds", help: "Time a successful connect attempt to the upstream took.", labels: []string{"upstream"},
		doc:        "A warm connection counts when it is made, and not when a client gets it.",
		histograms: func(s *scrape) map[string]proxy.HistogramStats { return s.stats.Connect }},
	{name: "connection_seconds", help: "Time from accept to the connection's end.", labels: []string{"upstream"},
		histograms: func(s *scrape) map[string]proxy.HistogramStats { return s.stats.Duration }},
	{name: "first_byte_seconds", help: "Time from accept to the first byte of the upstream.", labels: []string{"upstream"},
		histograms: func(s *scrape) map[string]proxy.HistogramStats { return s.stats.FirstByte }},
	{name: "warm_connections", kind: gauge, help: "Connections to the upstream that are ready for a client.", labels: []string{"upstream"},
		doc:    "Absent where `upstreams[].warm.connections` is 0. Below that number for long means that the upstream can't be connected to, or ends connections on which nothing is sent: the log and `l4fwd status` say which.",
		values: func(s *scrape, emit func(float64, ...string)) { each1(s.stats.Warm, emit) }},
	{name: "warm_used_total", kind: counter, help: "Clients of upstreams with warm connections, by how they fared.", labels: []string{"upstream", "result"},
		closed: map[string][]string{"result": proxy.WarmResults()},
		doc: "`hit` got one, `miss` found none ready and waited for its own; `stale`, counted beside its `hit`, is one whose connection proved dead and was replaced: " +
			"many of them mean that `warm.max_idle` is too long. Absent where `upstreams[].warm.connections` is 0.",
		values: func(s *scrape, emit func(float64, ...string)) { each2(s.stats.WarmUsed, emit) }},
	{name: "warm_pauses_total", kind: counter, help: "Times an event loop stopped for a while to make warm connections, since they failed or the upstream ended them early.", labels: []string{"upstream"},
		doc:    "The pauses grow from half a second to a minute, so this counter grows ever slower: look at `l4fwd_warm_connections` beside it. Absent where `upstreams[].warm.connections` is 0.",
		values: func(s *scrape, emit func(float64, ...string)) { each1(s.stats.WarmRests, emit) }},
	{name: "upstream_addresses", kind: gauge, help: "Addresses of the upstream, by state.", labels: []string{"upstream", "state"},
		closed: map[string][]string{"state": proxy.AddressStates()},
		doc: "Each is in one: `failing` is one whose last attempt failed, and which is used where there is no better; `check_failed` and `ejected` are out; " +
			"`backup` is one that waits, and counts as `usable` once it serves; `removed` is no longer in the DNS answer and still has connections. " +
			"Alert on `l4fwd_upstream_addresses{state=\"usable\"} == 0`.",
		values: func(s *scrape, emit func(float64, ...string)) { each2(s.stats.Addresses, emit) }},
	{name: "upstream_connect_errors_total", kind: counter, help: "Connect attempts to the upstream that failed, by reason.", labels: []string{"upstream", "reason"},
		closed: map[string][]string{"reason": dialReasons},
		doc:    "A connection makes several attempts, so one can fail here and still succeed.",
		values: emitDials},
	{name: "dns_lookups_total", kind: counter, help: "DNS lookups, by result.", labels: []string{"name", "result"},
		closed: map[string][]string{"result": proxy.LookupResults()},
		values: func(s *scrape, emit func(float64, ...string)) { each2(s.stats.Lookups, emit) }},
	{name: "dns_answer_age_seconds", kind: gauge, help: "Age of the DNS answer in use.", labels: []string{"name"},
		doc: "Far above `dns.max_ttl` means that lookups fail and the last good answer is used. Absent before the first answer.",
		values: func(s *scrape, emit func(float64, ...string)) {
			for _, name := range slices.Sorted(maps.Keys(s.stats.AnswerAge)) {
				emit(s.stats.AnswerAge[name].Seconds(), name)
			}
		}},
	{name: "eip_held", kind: gauge, help: "1 while an Elastic IP is held, else 0.",
		doc: "Absent without `eip.pool`.",
		values: func(s *scrape, emit func(float64, ...string)) {
			if s.eip != nil {
				emit(truth(s.eip.Held))
			}
		}},
	{name: "eip_operations_total", kind: counter, help: "Calls of EC2 for the Elastic IP, by operation and result.", labels: []string{"operation", "result"},
		closed: map[string][]string{"operation": eip.OperationNames, "result": eip.ResultNames},
		doc:    "`taken` is an address that another instance was faster to take, which is no fault. Alert on `denied`: a permission is missing, or there are no credentials. Absent without `eip.pool`.",
		values: func(s *scrape, emit func(float64, ...string)) {
			if s.eip != nil {
				for _, o := range s.eip.Operations {
					emit(float64(o.Count), o.Operation, o.Result)
				}
			}
		}},
	{name: "eip_changes_total", kind: counter, help: "Times the Elastic IP that is held became another, or none.",
		doc: "Each breaks the open connections to the upstreams. Absent without `eip.pool`.",
		values: func(s *scrape, emit func(float64, ...string)) {
			if s.eip != nil {
				emit(float64(s.eip.Changes))
			}
		}},
	{name: "lifecycle_state", kind: gauge, help: "1 for the state the instance is in, 0 for the others.", labels: []string{"state"},
		closed: map[string][]string{"state": lifecycleStates()},
		doc:    "Absent without `eip.pool`, and where `lifecycle.asg` and `lifecycle.spot` are off.",
		values: func(s *scrape, emit func(float64, ...string)) {
			if s.lifecycle != nil {
				for _, state := range lifecycle.States {
					emit(truth(state == *s.lifecycle), string(state))
				}
			}
		}},
	{name: "draining", kind: gauge, help: "1 while a drain runs, else 0.",
		values: func(s *scrape, emit func(float64, ...string)) { emit(truth(s.draining)) }},
	{name: "config_reload_success", kind: gauge, help: "1 if the last load of the configuration succeeded, else 0.",
		doc:    "1 from the start: a daemon does not start with a faulty configuration. With 0 the configuration before stays in use; the log and `/readyz?verbose` say what is wrong.",
		values: func(s *scrape, emit func(float64, ...string)) { emit(truth(!s.reloadFailed)) }},
	{name: "config_reload_timestamp_seconds", kind: gauge, help: "When the configuration in use was loaded, in Unix time.",
		values: func(s *scrape, emit func(float64, ...string)) { emit(float64(s.loaded.UnixMilli()) / 1000) }},
	{name: "loop_busy_ratio", kind: gauge, help: "Share of the last 12 to 16 s that the event loop spent working, 0 to 1.", labels: []string{"loop"},
		doc: "Near 1 means that the loop is saturated. The window does not depend on who scrapes. Absent on the portable engine.",
		values: func(s *scrape, emit func(float64, ...string)) {
			for i, b := range s.rates.Busy {
				emit(b, strconv.Itoa(i))
			}
		}},
	{name: "accept_pauses_total", kind: counter, help: "Times a listener paused because accept found no descriptor or no memory.",
		doc:    "Growth means that RLIMIT_NOFILE or memory is too small.",
		values: func(s *scrape, emit func(float64, ...string)) { emit(float64(s.stats.Relay.AcceptPauses)) }},
	{name: "fds", kind: gauge, help: "Open file descriptors, by kind: sockets of listeners and connections, pipes for splicing, other.", labels: []string{"kind"},
		closed: map[string][]string{"kind": {"sockets", "pipes", "other"}},
		doc:    "`sockets` is an estimate, two for each connection. The sum is exact; the limit is `process_max_fds`. Linux only.", values: emitFiles},
	{name: "log_dropped_total", kind: counter, help: "Log lines lost because stderr was not read fast enough.",
		values: func(s *scrape, emit func(float64, ...string)) { emit(float64(s.dropped)) }},
	{name: "build_info", kind: gauge, help: "1, labelled with what this binary is.", labels: []string{"version", "commit", "go"},
		values: func(s *scrape, emit func(float64, ...string)) { emit(1, s.build.Version, s.build.Commit, s.build.Go) }},
}

func lifecycleStates() []string {
	all := make([]string, len(lifecycle.States))
	for i, s := range lifecycle.States {
		all[i] = string(s)
	}
	return all
}

var directions = []string{"upload", "download"}

// dialReasons are those a connect attempt fails for.
var dialReasons = []string{
	relay.ConnectRefused.String(), relay.ConnectTimeout.String(), relay.ConnectUnreachable.String(), relay.NoPorts.String(),
	relay.LimitConnections.String(), relay.Internal.String(),
}

// endReasons are those a connection ends for once an upstream was chosen. limit_connections is a refusal, but also what a
// connect attempt fails for that finds no descriptor.
var endReasons = append(reasonsWhere(relay.Reason.Refusal, false), relay.LimitConnections.String())

// reasonsWhere lists the reasons that are so, or not.
func reasonsWhere(so func(relay.Reason) bool, want bool) []string {
	var all []string
	for _, r := range relay.Reasons() {
		if so(r) == want {
			all = append(all, r.String())
		}
	}
	return all
}

// Counters by reason show a 0 for each reason that can occur: the first increase of a series that appears with it is
// lost to rate() and increase().

func emitEnded(s *scrape, emit func(float64, ...string)) {
	ended := maps.Clone(s.stats.Ended)
	if ended == nil {
		ended = map[[3]string]uint64{}
	}
	for pair := range s.stats.Active {
		for _, r := range endReasons {
			ended[[3]string{pair[0], pair[1], r}] += 0
		}
	}
	each3(ended, emit)
}

func emitRefused(s *scrape, emit func(float64, ...string)) {
	refused := maps.Clone(s.stats.Refused)
	if refused == nil {
		refused = map[[2]string]uint64{}
	}
	for listener := range s.stats.Accepted {
		for _, r := range reasonsWhere(relay.Reason.Refusal, true) {
			refused[[2]string{listener, r}] += 0
		}
	}
	each2(refused, emit)
}

func emitDials(s *scrape, emit func(float64, ...string)) {
	dials := maps.Clone(s.stats.Dials)
	if dials == nil {
		dials = map[[2]string]uint64{}
	}
	for upstream := range s.stats.Connect {
		for _, r := range dialReasons {
			dials[[2]string{upstream, r}] += 0
		}
	}
	each2(dials, emit)
}

func emitBytes(s *scrape, emit func(float64, ...string)) {
	for _, key := range sorted2(s.stats.Bytes) {
		b := s.stats.Bytes[key]
		emit(float64(b.Up), key[0], key[1], "upload")
		emit(float64(b.Down), key[0], key[1], "download")
	}
}

func emitSpliced(s *scrape, emit func(float64, ...string)) {
	var up, down uint64
	for _, b := range s.stats.Bytes {
		up += b.SplicedUp
		down += b.SplicedDown
	}
	emit(float64(up), "upload")
	emit(float64(down), "download")
}

func emitFiles(s *scrape, emit func(float64, ...string)) {
	if s.files < 0 {
		return
	}
	pipes := min(2*s.stats.Relay.Pipes, s.files)
	warm := 0
	for _, n := range s.stats.Warm {
		warm += int(n)
	}
	sockets := min(2*int(s.stats.Relay.Active)+s.sockets+warm, s.files-pipes)
	emit(float64(sockets), "sockets")
	emit(float64(pipes), "pipes")
	emit(float64(s.files-pipes-sockets), "other")
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func each1[N number](m map[string]N, emit func(float64, ...string)) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		emit(float64(m[key]), key)
	}
}

func each2[N number](m map[[2]string]N, emit func(float64, ...string)) {
	for _, key := range sorted2(m) {
		emit(float64(m[key]), key[:]...)
	}
}

func each3[N number](m map[[3]string]N, emit func(float64, ...string)) {
	for key, n := range m {
		emit(float64(n), key[:]...)
	}
}

type number interface{ ~int | ~int64 | ~uint64 }

func sorted2[V any](m map[[2]string]V) [][2]string {
	return slices.SortedFunc(maps.Keys(m), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
}
