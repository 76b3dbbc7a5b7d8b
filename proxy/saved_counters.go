package proxy

import (
	"encoding/json"
	"fmt"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// savedCounters are all counters of a forwarder on their way to the next process: JSON. A field may be added, and never changes its
// meaning. Counters of reasons, results or bounds that the next process does not know are left out there.
type savedCounters struct {
	Version   int             `json:"version"`
	Listeners []savedListener `json:"listeners"`
	Upstreams []savedUpstream `json:"upstreams"`
	Lookups   []savedLookups  `json:"lookups,omitempty"`
	Gone      savedBytes      `json:"gone"` // sums over what reloads removed
	Accepted  uint64          `json:"gone_accepted,omitempty"`
	Dropped   uint64          `json:"log_dropped,omitempty"`
	Pauses    uint64          `json:"accept_pauses,omitempty"`
	Busy      []float64       `json:"busy,omitempty"` // by loop, in seconds
}

const countersVersion = 1

type savedListener struct {
	Name     string            `json:"name"`
	Accepted uint64            `json:"accepted"`
	Refused  map[string]uint64 `json:"refused,omitempty"` // by reason
	Routed   bool              `json:"routed,omitempty"`
	Unrouted map[string]uint64 `json:"unrouted,omitempty"` // ended without an upstream, by reason
}

type savedUpstream struct {
	Name      string            `json:"name"`
	Dials     map[string]uint64 `json:"dials,omitempty"` // by reason, "outpaced" included
	Connect   savedHistogram    `json:"connect"`
	FirstByte savedHistogram    `json:"first_byte"`
	Duration  savedHistogram    `json:"duration"`
	Used      map[string]uint64 `json:"warm_used,omitempty"` // by result
	Rests     uint64            `json:"warm_rests,omitempty"`
	Traffic   []savedTraffic    `json:"traffic,omitempty"`
	Gone      savedBytes        `json:"gone"`
	Ended     uint64            `json:"gone_ended,omitempty"`
}

type savedTraffic struct {
	Listener string            `json:"listener"`
	Ended    map[string]uint64 `json:"ended,omitempty"` // by reason
	Bytes    savedBytes        `json:"bytes"`
}

// savedBytes are relay.Bytes.
type savedBytes struct {
	Up          uint64 `json:"up,omitempty"`
	Down        uint64 `json:"down,omitempty"`
	SplicedUp   uint64 `json:"spliced_up,omitempty"`
	SplicedDown uint64 `json:"spliced_down,omitempty"`
}

// savedHistogram has the counts by upper bound in nanoseconds, those beyond the last one under 0.
type savedHistogram struct {
	Counts map[int64]uint64 `json:"counts,omitempty"`
	Sum    int64            `json:"sum,omitempty"`
}

type savedLookups struct {
	Name   string `json:"name"`
	Result string `json:"result"`
	Count  uint64 `json:"count"`
}

// SaveCounters returns all counters, for the last message to the next process: the caller has the connections stand still.
func (s *Server) SaveCounters() (json.RawMessage, error) {
	listeners, upstreams, gone := s.counters.all()
	r := s.relay.Stats()
	v := savedCounters{
		Version: countersVersion, Gone: savedBytes(gone.Bytes), Accepted: gone.Accepted,
		Dropped: s.policy.access.dropped.Load(), Pauses: r.AcceptPauses, Busy: r.Busy,
	}
	for _, l := range listeners {
		v.Listeners = append(v.Listeners, savedListener{l.name, l.accepted(), byReason(l.refused), l.routed.Load(), byReason(l.unrouted.ended)})
	}
	for _, u := range upstreams {
		v.Upstreams = append(v.Upstreams, u.save())
	}
	for key, n := range s.lookups.all() {
		v.Lookups = append(v.Lookups, savedLookups{key[0], key[1], n})
	}
	return json.Marshal(v)
}

// TakeCounters adds what SaveCounters of the process before returned; nil adds nothing. It is called before Begin, so that no
// counter is seen to fall.
func (s *Server) TakeCounters(b json.RawMessage) error {
	if b == nil {
		return nil
	}
	var v savedCounters
	if err := json.Unmarshal(b, &v); err != nil {
		return fmt.Errorf("read the counters: %w", err)
	}
	if v.Version != countersVersion {
		return fmt.Errorf("read the counters: version %d is not known here", v.Version)
	}
	for _, l := range v.Listeners {
		s.counters.listener(l.Name).take(l)
	}
	for _, u := range v.Upstreams {
		s.counters.upstream(u.Name).take(u)
	}
	for _, l := range v.Lookups {
		s.lookups.add(l.Name, l.Result, l.Count)
	}
	s.counters.addGone(Forgotten{Accepted: v.Accepted, Bytes: relay.Bytes(v.Gone)})
	s.policy.access.dropped.Add(v.Dropped)
	s.relay.CountOn(relay.Stats{AcceptPauses: v.Pauses, Busy: v.Busy})
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.sweepLater() // of names that are not configured any more
	return nil
}

// byReason returns the counts that are not 0.
func byReason(count func(relay.Reason) uint64) map[string]uint64 {
	by := map[string]uint64{}
	for _, r := range reasonList {
		if n := count(r); n > 0 {
			by[r.String()] = n
		}
	}
	return by
}

// eachReason calls f with the counts of the reasons that are known here.
func eachReason(by map[string]uint64, f func(relay.Reason, uint64)) {
	for _, r := range reasonList {
		if n := by[r.String()]; n > 0 {
			f(r, n)
		}
	}
}

// take adds the saved counters of a listener to those of its first loop.
func (l *listenerCounters) take(v savedListener) {
	l.cells[0].accepted.Add(v.Accepted)
	eachReason(v.Refused, func(r relay.Reason, n uint64) { l.cells[0].refused[r].Add(n) })
	eachReason(v.Unrouted, func(r relay.Reason, n uint64) { l.unrouted.cells[0].ended[r].Add(n) })
	if v.Routed {
		l.routed.Store(true)
	}
}

// save returns the counters of an upstream.
func (u *upstreamCounters) save() savedUpstream {
	all, gone := u.counts()
	v := savedUpstream{
		Name: u.name, Connect: u.connect.save(), FirstByte: u.firstByte.save(), Duration: u.duration.save(), Used: map[string]uint64{},
		Dials: byReason(func(r relay.Reason) uint64 { return u.dialErrors[r].Load() }),
		Gone:  savedBytes(gone.bytes), Ended: gone.ended,
	}
	if n := u.outpaced.Load(); n > 0 {
		v.Dials[relay.Outpaced.String()] = n
	}
	for _, c := range u.warm {
		for kind, name := range warmResults {
			v.Used[name] += c.used[kind].Load()
		}
		v.Rests += c.rests.Load()
	}
	for _, t := range all {
		v.Traffic = append(v.Traffic, savedTraffic{t.listener, byReason(t.ended), savedBytes(t.bytes.Sum())})
	}
	return v
}

// take adds the saved counters of an upstream to those of its first loop.
func (u *upstreamCounters) take(v savedUpstream) {
	eachReason(v.Dials, func(r relay.Reason, n uint64) { u.dialErrors[r].Add(n) })
	u.outpaced.Add(v.Dials[relay.Outpaced.String()])
	u.connect.take(v.Connect)
	u.firstByte.take(v.FirstByte)
	u.duration.take(v.Duration)
	for kind, name := range warmResults {
		u.warm[0].used[kind].Add(v.Used[name])
	}
	u.warm[0].rests.Add(v.Rests)
	for _, saved := range v.Traffic {
		t := u.from(saved.Listener)
		eachReason(saved.Ended, func(r relay.Reason, n uint64) { t.cells[0].ended[r].Add(n) })
		t.bytes.Add(relay.Bytes(saved.Bytes))
	}
	u.mu.Lock()
	defer u.mu.Unlock()
	u.gone.ended += v.Ended
	u.gone.bytes = added(u.gone.bytes, relay.Bytes(v.Gone))
}

// save returns the histogram's sums.
func (h *histogram) save() savedHistogram {
	v := savedHistogram{Counts: map[int64]uint64{}}
	for _, c := range h.cells {
		for i := range len(h.bounds) + 1 {
			v.Counts[h.boundOf(i)] += c.buckets[i].Load()
		}
		v.Sum += c.sum.Load()
	}
	return v
}

// take adds saved sums. A count under a bound that is not known here goes under the next higher one.
func (h *histogram) take(v savedHistogram) {
	for bound, n := range v.Counts {
		i := 0
		for i < len(h.bounds) && (bound == 0 || bound > int64(h.bounds[i])) {
			i++
		}
		h.cells[0].buckets[i].Add(n)
	}
	h.cells[0].sum.Add(v.Sum)
}

// boundOf returns the upper bound of bucket i in nanoseconds, 0 for the last one, which has none.
func (h *histogram) boundOf(i int) int64 {
	if i == len(h.bounds) {
		return 0
	}
	return int64(h.bounds[i])
}

// addGone adds to the sums over what was forgotten.
func (c *counters) addGone(g Forgotten) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.gone.Accepted += g.Accepted
	c.gone.Bytes = added(c.gone.Bytes, g.Bytes)
}

// add adds to the count of lookups of a name.
func (l *lookups) add(name, result string, n uint64) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.counts == nil {
		l.counts = make(map[[2]string]uint64)
		l.failed = make(map[string]bool)
	}
	l.counts[[2]string{name, result}] += n
}
