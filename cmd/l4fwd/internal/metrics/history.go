package metrics

import (
	"slices"
	"time"

	"github.com/l4fwd/l4fwd/proxy"
)

// HistorySpan is how far the history reaches back.
const HistorySpan = 15 * time.Minute

// sampleInterval is how far two points of the history are apart. It is also the shortest window of the rates, but for the first
// seconds, and a multiple of the interval at which the daemon looks at its readiness (2 s), so that an idle daemon wakes up once for
// both.
const sampleInterval = 4 * time.Second

// historyCount is how many points the history keeps. Together they hold some 100 KiB.
const historyCount = int(HistorySpan / sampleInterval)

// History is what happened in the last HistorySpan, the oldest point first.
type History struct {
	Interval float64           `json:"interval_seconds"`
	Span     float64           `json:"span_seconds"` // of Refused and Ended; shorter after a start
	Points   []Point           `json:"points"`
	Refused  map[string]uint64 `json:"refused"` // clients in the span, by reason
	Ended    map[string]uint64 `json:"ended"`   // connections in the span, by reason
}

// Point is one interval of the history. A quantile is nil if nothing was measured in it.
type Point struct {
	At           time.Time `json:"at"` // the end of the interval
	Active       int64     `json:"active"`
	Connections  float64   `json:"connections_per_second"` // accepted
	BytesUp      float64   `json:"bytes_up_per_second"`
	BytesDown    float64   `json:"bytes_down_per_second"`
	Refused      float64   `json:"refused_per_second"`
	ConnectP50   *float64  `json:"connect_p50_seconds"`
	ConnectP99   *float64  `json:"connect_p99_seconds"`
	FirstByteP50 *float64  `json:"first_byte_p50_seconds"`
	FirstByteP99 *float64  `json:"first_byte_p99_seconds"`
}

// moment is what points and sums are made from.
type moment struct {
	sample
	active             int64
	refused, ended     map[string]uint64 // by reason
	connect, firstByte map[string]proxy.HistogramStats
}

// momentOf takes the present figures.
func momentOf(st *proxy.Stats) moment {
	m := moment{
		sample: sampleOf(*st), active: st.Relay.Active, connect: st.Connect, firstByte: st.FirstByte,
		refused: map[string]uint64{}, ended: map[string]uint64{},
	}
	for at, n := range st.Refused {
		m.refused[at[1]] += n
	}
	for at, n := range st.Ended {
		m.ended[at[2]] += n
	}
	return m
}

// pointOf is the interval between two moments.
func pointOf(before, now *moment) Point {
	seconds := max(now.at.Sub(before.at).Seconds(), 0.001)
	p := Point{
		At: now.at.UTC().Truncate(time.Millisecond), Active: now.active,
		Connections: perSecond(before.accepted, now.accepted, seconds),
		BytesUp:     perSecond(before.up, now.up, seconds), BytesDown: perSecond(before.down, now.down, seconds),
	}
	for _, n := range grown(before.refused, now.refused) {
		p.Refused += float64(n) / seconds
	}
	connect, firstByte := difference(before.connect, now.connect), difference(before.firstByte, now.firstByte)
	p.ConnectP50, p.ConnectP99 = connect.quantile(0.5), connect.quantile(0.99)
	p.FirstByteP50, p.FirstByteP99 = firstByte.quantile(0.5), firstByte.quantile(0.99)
	return p
}

// grown returns by how much each number has grown. One that a reload has made smaller has not.
func grown(before, now map[string]uint64) map[string]uint64 {
	out := map[string]uint64{}
	for reason, n := range now {
		if n > before[reason] {
			out[reason] = n - before[reason]
		}
	}
	return out
}

// record notes the present figures.
func (r *Sampler) record(m moment) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if n := len(r.moments); n > 0 {
		r.points = append(r.points, pointOf(&r.moments[n-1], &m))
		r.moments[n-1].connect, r.moments[n-1].firstByte = nil, nil // no later point needs them
	}
	r.moments = append(r.moments, m)
	r.points = newest(r.points, historyCount)
	r.moments = newest(r.moments, historyCount+1)
}

// newest returns the last n of all, in the same array where they fit.
func newest[T any](all []T, n int) []T {
	if len(all) <= n {
		return all
	}
	return slices.Delete(all, 0, len(all)-n)
}

// History returns what is known of the last HistorySpan. The slice and the maps are the caller's.
func (r *Sampler) History() History {
	r.mu.Lock()
	defer r.mu.Unlock()
	first, last := &r.moments[0], &r.moments[len(r.moments)-1]
	return History{
		Interval: sampleInterval.Seconds(), Span: last.at.Sub(first.at).Seconds(), Points: append([]Point{}, r.points...),
		Refused: grown(first.refused, last.refused), Ended: grown(first.ended, last.ended),
	}
}
