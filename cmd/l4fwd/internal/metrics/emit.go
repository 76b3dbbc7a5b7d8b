package metrics

import (
	"maps"
	"slices"

	"github.com/l4fwd/l4fwd/eip/lifecycle"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// emitter takes one value of a metric, with the values of the metric's labels in their order.
type emitter func(value float64, labels ...string)

// lifecycleStates are the values of the label state.
func lifecycleStates() []string {
	all := make([]string, len(lifecycle.States))
	for i, s := range lifecycle.States {
		all[i] = string(s)
	}
	return all
}

// directions are the values of the label direction.
var directions = []string{"upload", "download"}

// dialReasons are the reasons for which a connect attempt fails.
var dialReasons = []string{
	relay.ConnectRefused.String(), relay.ConnectTimeout.String(), relay.ConnectUnreachable.String(), relay.NoPorts.String(),
	relay.LimitConnections.String(), relay.Internal.String(), relay.Outpaced.String(),
}

// endReasons are the reasons for which a connection ends once its upstream is chosen. limit_connections is a refusal, and
// also the reason of a connect attempt that finds no descriptor.
var endReasons = append(reasonsWhere(relay.Reason.Refusal, false), relay.LimitConnections.String())

// reasonsWhere lists the reasons of which is says want.
func reasonsWhere(is func(relay.Reason) bool, want bool) []string {
	var all []string
	for _, r := range relay.Reasons() {
		if is(r) == want {
			all = append(all, r.String())
		}
	}
	return all
}

// Counters by reason have a 0 for each reason that can occur: rate() and increase() miss the first increase of a series
// that only appears with it.

// emitEnded emits connections_total.
func emitEnded(s *Scrape, emit emitter) {
	ended := maps.Clone(s.Stats.Ended)
	if ended == nil {
		ended = map[[3]string]uint64{}
	}
	for pair := range s.Stats.Active {
		for _, r := range endReasons {
			ended[[3]string{pair[0], pair[1], r}] += 0
		}
	}
	each3(ended, emit)
}

// emitRefused emits refused_total.
func emitRefused(s *Scrape, emit emitter) {
	refused := maps.Clone(s.Stats.Refused)
	if refused == nil {
		refused = map[[2]string]uint64{}
	}
	for listener := range s.Stats.Accepted {
		for _, r := range reasonsWhere(relay.Reason.Refusal, true) {
			refused[[2]string{listener, r}] += 0
		}
	}
	each2(refused, emit)
}

// emitAdmitted emits upstream_admitted.
func emitAdmitted(s *Scrape, emit emitter) {
	for _, upstream := range slices.Sorted(maps.Keys(s.Stats.Admitted)) {
		emit(truth(s.Stats.Admitted[upstream]), upstream)
	}
}

// emitDials emits upstream_connect_errors_total.
func emitDials(s *Scrape, emit emitter) {
	dials := maps.Clone(s.Stats.Dials)
	if dials == nil {
		dials = map[[2]string]uint64{}
	}
	for upstream := range s.Stats.Connect {
		for _, r := range dialReasons {
			dials[[2]string{upstream, r}] += 0
		}
	}
	each2(dials, emit)
}

// emitBytes emits bytes_total.
func emitBytes(s *Scrape, emit emitter) {
	for _, key := range sorted2(s.Stats.Bytes) {
		b := s.Stats.Bytes[key]
		emit(float64(b.Up), key[0], key[1], "upload")
		emit(float64(b.Down), key[0], key[1], "download")
	}
}

// emitSpliced emits spliced_bytes_total.
func emitSpliced(s *Scrape, emit emitter) {
	up, down := s.Stats.Forgotten.Bytes.SplicedUp, s.Stats.Forgotten.Bytes.SplicedDown
	for _, b := range s.Stats.Bytes {
		up += b.SplicedUp
		down += b.SplicedDown
	}
	emit(float64(up), "upload")
	emit(float64(down), "download")
}

// emitFiles emits fds. The sum of the kinds is the number of open descriptors.
func emitFiles(s *Scrape, emit emitter) {
	if s.Files < 0 {
		return
	}
	pipes := min(2*s.Stats.Relay.Pipes, s.Files)
	warm := 0
	for _, n := range s.Stats.Warm {
		warm += int(n)
	}
	sockets := min(2*int(s.Stats.Relay.Active)+s.Sockets+warm, s.Files-pipes)
	emit(float64(sockets), "sockets")
	emit(float64(pipes), "pipes")
	emit(float64(s.Files-pipes-sockets), "other")
}

// truth is 1 for true and 0 for false.
func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

// each1 emits a map by one label, in the order of its values.
func each1[N number](m map[string]N, emit emitter) {
	for _, key := range slices.Sorted(maps.Keys(m)) {
		emit(float64(m[key]), key)
	}
}

// each2 emits a map by two labels, in the order of their values.
func each2[N number](m map[[2]string]N, emit emitter) {
	for _, key := range sorted2(m) {
		emit(float64(m[key]), key[:]...)
	}
}

// each3 emits a map by three labels.
func each3[N number](m map[[3]string]N, emit emitter) {
	for key, n := range m {
		emit(float64(n), key[:]...)
	}
}

type number interface{ ~int | ~int64 | ~uint64 }

// sorted2 returns the keys of a map in their order.
func sorted2[V any](m map[[2]string]V) [][2]string {
	return slices.SortedFunc(maps.Keys(m), func(a, b [2]string) int { return slices.Compare(a[:], b[:]) })
}

// emitLimits emits limit.
func emitLimits(s *Scrape, emit emitter) {
	for _, l := range s.Limits {
		emit(l.Value, l.Name, l.Listener, l.Upstream)
	}
}

// handoverResults are the values of the label result of handovers_total.
var handoverResults = []string{"taken", "failed", "refused"}

// emitHandovers emits the upgrades by their results.
func emitHandovers(s *Scrape, emit emitter) {
	for i, n := range []uint64{s.Handovers.Taken, s.Handovers.Failed, s.Handovers.Refused} {
		emit(float64(n), handoverResults[i])
	}
}
