// Package metrics turns the daemon's state into what Prometheus scrapes. It is handed that state as a Scrape, and asks
// nobody for anything.
package metrics

import (
	"maps"
	"slices"
	"strconv"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/l4fwd/l4fwd/eip"
	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

const prefix = "l4fwd_"

// metric is one row of the table: a descriptor, its documentation and the way to its values.
type metric struct {
	name   string // without the prefix
	kind   prometheus.ValueType
	help   string
	labels []string
	closed map[string][]string // the values of the labels that have a closed list
	doc    string              // what docs/METRICS.md adds to help; may be empty

	// Exactly one of the two is set.
	values     func(s *Scrape, emit emitter)
	histograms func(s *Scrape) map[string]proxy.HistogramStats // by the only label
}

var (
	counter = prometheus.CounterValue
	gauge   = prometheus.GaugeValue
)

// table has every metric of l4fwd's own. docs/METRICS.md is generated from it, in its order.
var table = []metric{
	{name: "connections_active", kind: gauge, help: "Open connections.", labels: []string{"listener", "upstream"},
		doc:    "On a listener with routes, `upstream` is empty until the route is known.",
		values: func(s *Scrape, emit emitter) { each2(s.Stats.Active, emit) }},
	{name: "connections_total", kind: counter, help: "Connections that ended, by reason.", labels: []string{"listener", "upstream", "reason"},
		closed: map[string][]string{"reason": endReasons},
		doc: "The reasons are listed below. A client that was refused before its upstream was chosen counts in `l4fwd_refused_total` instead. " +
			"On a listener with routes, a client that left before its upstream was chosen has an empty `upstream`.",
		values: emitEnded},
	{name: "accepted_total", kind: counter, help: "Clients accepted from the kernel's queue, refused ones included.", labels: []string{"listener"},
		values: func(s *Scrape, emit emitter) { each1(s.Stats.Accepted, emit) }},
	{name: "refused_total", kind: counter, help: "Clients turned away before an upstream was dialed, by reason.", labels: []string{"listener", "reason"},
		closed: map[string][]string{"reason": reasonsWhere(relay.Reason.Refusal, true)},
		values: emitRefused},
	{name: "limit", kind: gauge, help: "Each limit in force; a limit that is off has no series.", labels: []string{"limit", "listener", "upstream"},
		closed: map[string][]string{"limit": LimitNames()},
		doc: "`connections` is `limits.max_connections`, as it is in force: compare it with the sum of `l4fwd_connections_active`. " +
			"`upstream_connections` is `upstreams[].max_connections`. `listener` and `upstream` are empty for a limit over all of them.",
		values: emitLimits},
	{name: "bytes_total", kind: counter, help: "Bytes delivered: upload to the upstream, download to the client.", labels: []string{"listener", "upstream", "direction"},
		closed: map[string][]string{"direction": directions},
		values: emitBytes},
	{name: "spliced_bytes_total", kind: counter, help: "Bytes that were spliced, so never copied through the process; bytes_total includes them.", labels: []string{"direction"},
		closed: map[string][]string{"direction": directions},
		doc:    "Bulk is spliced, small messages are copied. Much traffic without growth here means that the fast path is not taken.",
		values: emitSpliced},
	{name: "connect_seconds", help: "Time that a successful connect attempt to the upstream took.", labels: []string{"upstream"},
		doc:        "A warm connection counts when it is made, not when a client gets it.",
		histograms: func(s *Scrape) map[string]proxy.HistogramStats { return s.Stats.Connect }},
	{name: "connection_seconds", help: "Time from accept to the connection's end.", labels: []string{"upstream"},
		histograms: func(s *Scrape) map[string]proxy.HistogramStats { return s.Stats.Duration }},
	{name: "first_byte_seconds", help: "Time from accept to the first byte of the upstream.", labels: []string{"upstream"},
		histograms: func(s *Scrape) map[string]proxy.HistogramStats { return s.Stats.FirstByte }},
	{name: "warm_connections", kind: gauge, help: "Connections to the upstream that are ready for a client.", labels: []string{"upstream"},
		doc: "Absent where `upstreams[].warm.connections` is 0. A value below that for long means that the upstream cannot be connected to, " +
			"or ends connections on which nothing is sent: the log and `l4fwd status` say which.",
		values: func(s *Scrape, emit emitter) { each1(s.Stats.Warm, emit) }},
	{name: "warm_used_total", kind: counter, help: "Clients of upstreams with warm connections, by result.", labels: []string{"upstream", "result"},
		closed: map[string][]string{"result": proxy.WarmResults()},
		doc: "`hit`: the client got a warm connection. `miss`: none was ready, and the client waited for its own. `stale`, counted beside its `hit`: " +
			"the connection proved dead and was replaced; many of them mean that `warm.max_idle` is too long. Absent where `upstreams[].warm.connections` is 0.",
		values: func(s *Scrape, emit emitter) { each2(s.Stats.WarmUsed, emit) }},
	{name: "warm_pauses_total", kind: counter, help: "Times an event loop paused making warm connections, because they failed or the upstream ended them early.", labels: []string{"upstream"},
		doc: "The pauses grow from half a second to a minute, so this counter grows ever more slowly: look at `l4fwd_warm_connections` beside it. " +
			"Absent where `upstreams[].warm.connections` is 0.",
		values: func(s *Scrape, emit emitter) { each1(s.Stats.WarmRests, emit) }},
	{name: "upstream_addresses", kind: gauge, help: "Addresses of the upstream, by state.", labels: []string{"upstream", "state"},
		closed: map[string][]string{"state": proxy.AddressStates()},
		doc: "Each address is in one state. `failing`: its last attempt failed, and it is used only if there is no better one. `check_failed` and `ejected`: it is not used. `ejected_by_operator`: nothing is sent there, see `l4fwd address`. " +
			"`backup`: it waits, and counts as `usable` once it serves. `removed`: it left the DNS answer and still has connections. " +
			"`unchecked`: its first check has not ended; it is used if there is no better one. " +
			"Alert on `l4fwd_upstream_addresses{state=\"usable\"} == 0`.",
		values: func(s *Scrape, emit emitter) { each2(s.Stats.Addresses, emit) }},
	{name: "upstream_admitted", kind: gauge, help: "1 if the upstream's last answer to a check over HTTPS admitted this instance's public address; 0 if it refused it, or there was no answer yet.", labels: []string{"upstream"},
		doc:    "Only with `check.type` `https` and an `admission` other than `off`. 0 for minutes: the network rules of the Azure resource do not have the address.",
		values: emitAdmitted},
	{name: "upstream_connect_errors_total", kind: counter, help: "Connect attempts to the upstream that failed, by reason.", labels: []string{"upstream", "reason"},
		closed: map[string][]string{"reason": dialReasons},
		doc: "A connection makes several attempts, so it can succeed although one of them counts here. " +
			"`outpaced`: an attempt begun later, at another address, connected first (`upstreams[].connect.stagger`).",
		values: emitDials},
	{name: "dns_lookups_total", kind: counter, help: "DNS lookups, by result.", labels: []string{"name", "result"},
		closed: map[string][]string{"result": proxy.LookupResults()},
		values: func(s *Scrape, emit emitter) { each2(s.Stats.Lookups, emit) }},
	{name: "dns_answer_age_seconds", kind: gauge, help: "Age of the DNS answer in use.", labels: []string{"name"},
		doc: "A value far above `dns.max_ttl` means that lookups fail and the last good answer is used. Absent before the first answer.",
		values: func(s *Scrape, emit emitter) {
			for _, name := range slices.Sorted(maps.Keys(s.Stats.AnswerAge)) {
				emit(s.Stats.AnswerAge[name].Seconds(), name)
			}
		}},
	{name: "eip_held", kind: gauge, help: "1 while an Elastic IP is held, else 0.",
		doc: "Absent without `eip.pool`.",
		values: func(s *Scrape, emit emitter) {
			if s.EIP != nil {
				emit(truth(s.EIP.Held))
			}
		}},
	{name: "eip_operations_total", kind: counter, help: "Calls to EC2 for the Elastic IP, by operation and result.", labels: []string{"operation", "result"},
		closed: map[string][]string{"operation": eip.OperationNames, "result": eip.ResultNames},
		doc: "`taken` means that another instance took the address first, which is no fault. Alert on `denied`: a permission is missing, " +
			"or there are no credentials. Absent without `eip.pool`.",
		values: func(s *Scrape, emit emitter) {
			if s.EIP != nil {
				for _, o := range s.EIP.Operations {
					emit(float64(o.Count), o.Operation, o.Result)
				}
			}
		}},
	{name: "eip_changes_total", kind: counter, help: "Times the held Elastic IP changed to another one, or to none.",
		doc: "Each change breaks the open connections to the upstreams. Absent without `eip.pool`.",
		values: func(s *Scrape, emit emitter) {
			if s.EIP != nil {
				emit(float64(s.EIP.Changes))
			}
		}},
	{name: "lifecycle_state", kind: gauge, help: "1 for the state the instance is in, 0 for the others.", labels: []string{"state"},
		closed: map[string][]string{"state": lifecycleStates()},
		doc:    "Absent without `eip.pool`, and where `lifecycle.asg` and `lifecycle.spot` are off.",
		values: func(s *Scrape, emit emitter) {
			if s.Lifecycle != nil {
				for _, state := range lifecycle.States {
					emit(truth(state == *s.Lifecycle), string(state))
				}
			}
		}},
	{name: "draining", kind: gauge, help: "1 while a drain runs, else 0.",
		values: func(s *Scrape, emit emitter) { emit(truth(s.Draining)) }},
	{name: "config_reload_success", kind: gauge, help: "1 if the last load of the configuration succeeded, else 0.",
		doc: "1 from the start: a daemon does not start with a faulty configuration. At 0 the previous configuration stays in use; " +
			"the log and `/readyz?verbose` say what is wrong.",
		values: func(s *Scrape, emit emitter) { emit(truth(!s.ReloadFailed)) }},
	{name: "config_reload_timestamp_seconds", kind: gauge, help: "When the configuration in use was loaded, in Unix time.",
		values: func(s *Scrape, emit emitter) { emit(float64(s.Loaded.UnixMilli()) / 1000) }},
	{name: "handovers_total", kind: counter, help: "Upgrades of the running process, by result.", labels: []string{"result"},
		closed: map[string][]string{"result": handoverResults},
		doc: "`taken`: a new process took over. `failed`: the old one went on; the log has the cause. `refused`: none was begun, such as during a drain. " +
			"Like all counters it goes on in the new process.",
		values: emitHandovers},
	{name: "handover_pause_seconds", kind: gauge, help: "How long connections stood still in the last upgrade that succeeded; 0 before the first.",
		values: func(s *Scrape, emit emitter) { emit(s.Handovers.Pause.Seconds()) }},
	{name: "loop_busy_ratio", kind: gauge, help: "Share of the last 12 to 16 s in which the event loop was working, 0 to 1.", labels: []string{"loop"},
		doc: "A value near 1 means that the loop is saturated. The window does not depend on the scrapes. Absent on the portable engine.",
		values: func(s *Scrape, emit emitter) {
			for i, b := range s.Rates.Busy {
				emit(b, strconv.Itoa(i))
			}
		}},
	{name: "accept_pauses_total", kind: counter, help: "Times a listener paused because accept found no descriptor or no memory.",
		doc:    "Growth means that RLIMIT_NOFILE or memory is too small.",
		values: func(s *Scrape, emit emitter) { emit(float64(s.Stats.Relay.AcceptPauses)) }},
	{name: "fds", kind: gauge, help: "Open file descriptors by kind: sockets of listeners and connections, pipes for splicing, other ones.", labels: []string{"kind"},
		closed: map[string][]string{"kind": {"sockets", "pipes", "other"}},
		doc:    "`sockets` is an estimate: two for each connection. The sum is exact, and its limit is `process_max_fds`. Linux only.",
		values: emitFiles},
	{name: "log_dropped_total", kind: counter, help: "Log lines that were lost: stderr was not read fast enough, or could not be written.",
		doc:    "Once lines can be written again, the log reports how many were lost and why.",
		values: func(s *Scrape, emit emitter) { emit(float64(s.LinesDropped)) }},
	{name: "build_info", kind: gauge, help: "1, with the version, the commit and the Go version of this binary as labels.", labels: []string{"version", "commit", "go"},
		values: func(s *Scrape, emit emitter) { emit(1, s.Build.Version, s.Build.Commit, s.Build.Go) }},
}
