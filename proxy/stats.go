package proxy

import (
	"time"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// Stats are the figures that metrics are made from. Maps and slices are the caller's.
type Stats struct {
	Relay         relay.Stats
	Draining      bool
	Accepted      map[string]uint64         // by listener
	Refused       map[[2]string]uint64      // by listener, reason
	Ended         map[[3]string]uint64      // by listener, upstream, reason; without an upstream where no route was chosen
	Active        map[[2]string]int64       // by listener, upstream; without an upstream where no route is chosen yet
	Bytes         map[[2]string]relay.Bytes // by listener, upstream
	Connect       map[string]HistogramStats // by upstream: seconds to connect
	FirstByte     map[string]HistogramStats // by upstream: seconds from accept to the first upstream byte
	Duration      map[string]HistogramStats // by upstream: seconds from accept to end
	Dials         map[[2]string]uint64      // by upstream, reason: failed connect attempts
	Addresses     map[[2]string]int         // by upstream, state (one of AddressStates)
	Warm          map[string]int64          // by upstream, where connections are kept warm: those that wait
	WarmUsed      map[[2]string]uint64      // by upstream, where connections are kept warm, and result (one of WarmResults)
	WarmRests     map[string]uint64         // by upstream, where connections are kept warm: rests of its loops
	Admitted      map[string]bool           // by upstream, where a check asks: the last answer admitted this instance
	Lookups       map[[2]string]uint64      // by name, result
	AnswerAge     map[string]time.Duration  // by name; absent before the first answer
	Forgotten     Forgotten                 // sums over what reloads removed and has no figures above any more
	AccessDropped uint64                    // access-log lines dropped because the log did not keep up
}

// HistogramStats is a histogram at one moment, with cumulative counts by upper bound in seconds.
type HistogramStats struct {
	Count   uint64
	Sum     float64
	Buckets map[float64]uint64
}

// Stats returns all figures as of now.
func (s *Server) Stats() Stats {
	st := Stats{
		Relay: s.relay.Stats(), Draining: s.stopped.Load(), AccessDropped: s.policy.access.dropped.Load(),
		Accepted: make(map[string]uint64), Refused: make(map[[2]string]uint64), Ended: make(map[[3]string]uint64),
		Active: make(map[[2]string]int64), Bytes: make(map[[2]string]relay.Bytes),
		Connect: make(map[string]HistogramStats), FirstByte: make(map[string]HistogramStats), Duration: make(map[string]HistogramStats),
		Warm: make(map[string]int64), WarmUsed: make(map[[2]string]uint64), WarmRests: make(map[string]uint64),
		Dials: make(map[[2]string]uint64), Addresses: make(map[[2]string]int), AnswerAge: make(map[string]time.Duration),
		Admitted: make(map[string]bool),
	}
	listeners, upstreams, gone := s.counters.all()
	st.Forgotten = gone
	for _, l := range listeners {
		l.stats(&st)
	}
	for _, u := range upstreams {
		u.stats(&st)
	}
	for _, t := range s.targets() {
		t.stats(&st)
	}
	st.Lookups = s.lookups.all()
	return st
}

// stats writes the listener's counters into st.
func (l *listenerCounters) stats(st *Stats) {
	st.Accepted[l.name] = l.accepted()
	for _, r := range reasonList {
		if n := l.refused(r); n > 0 {
			st.Refused[[2]string{l.name, r.String()}] = n
		}
	}
	if l.routed.Load() {
		l.unrouted.stats(st)
	}
}

// stats writes into st how many connections of this pair of listener and upstream are open, and how many have ended, by reason.
func (t *traffic) stats(st *Stats) {
	st.Active[[2]string{t.listener, t.upstream}] = t.active()
	for _, r := range reasonList {
		if n := t.ended(r); n > 0 {
			st.Ended[[3]string{t.listener, t.upstream, r.String()}] = n
		}
	}
}

// stats writes the upstream's counters into st, and those of each listener that has used it.
func (u *upstreamCounters) stats(st *Stats) {
	all, gone := u.counts()
	st.Forgotten.Bytes = added(st.Forgotten.Bytes, gone.bytes)
	for _, t := range all {
		t.stats(st)
		st.Bytes[[2]string{t.listener, t.upstream}] = t.bytes.Sum()
	}
	for _, r := range reasonList {
		if n := u.dialErrors[r].Load(); n > 0 {
			st.Dials[[2]string{u.name, r.String()}] = n
		}
	}
	if n := u.outpaced.Load(); n > 0 {
		st.Dials[[2]string{u.name, relay.Outpaced.String()}] = n
	}
	st.Connect[u.name], st.FirstByte[u.name], st.Duration[u.name] = u.connect.stats(), u.firstByte.stats(), u.duration.stats()
}

// stats writes the upstream's gauges into st: warm connections, whether it admits this instance, and how many of its addresses
// are in each state.
func (t *target) stats(st *Stats) {
	name := t.opts.Name
	if t.warm != nil {
		st.Warm[name] = t.warm.ready.Load()
		t.counters.warmStats(st)
	}
	if t.admission != nil {
		st.Admitted[name] = t.admission.get().state == Admitted
	}
	for _, state := range AddressStates() {
		st.Addresses[[2]string{name, state}] = 0
	}
	now := time.Now()
	for _, a := range t.set.Standings(now) {
		st.Addresses[[2]string{name, string(a.State)}]++
	}
	for _, src := range t.sources {
		if src.name == nil {
			continue
		}
		if at := src.name.Stats().Answered; !at.IsZero() {
			st.AnswerAge[src.host] = now.Sub(at)
		}
	}
}
