package proxy

import (
	"sync/atomic"
	"time"

	"github.com/l4fwd/l4fwd/proxy/limit"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// What is counted lives in one cell a loop, so that loops do not share cache lines; it is added up when asked for.

// pair counts what concerns a listener and an upstream.
type pair struct {
	listener, upstream string
	tally              *relay.Tally
	cells              []*pairCell
}

type pairCell struct {
	active atomic.Int64
	ended  [reasons]atomic.Uint64
	_      [64]byte
}

var reasonList = relay.Reasons()

// reasons is room for each value of a Reason, None included.
const reasons = relay.NumReasons

func newPair(listener, upstream string, loops int) *pair {
	p := &pair{listener: listener, upstream: upstream, tally: relay.NewTally(loops)}
	for range loops {
		p.cells = append(p.cells, new(pairCell))
	}
	return p
}

func (p *pair) active() (n int64) {
	for _, c := range p.cells {
		n += c.active.Load()
	}
	return n
}

func (p *pair) ended(r relay.Reason) (n uint64) {
	for _, c := range p.cells {
		n += c.ended[r].Load()
	}
	return n
}

// gate counts what concerns a listener alone. It is the Tag of the relay's listeners of that name.
type gate struct {
	listener string
	index    int // in table.rules
	cells    []*gateCell
	sources  limit.Scope // of the clients' sources
	lobby    *pair       // counts connections that have no upstream yet, with routes
	routed   atomic.Bool // it has, or had, routes
}

type gateCell struct {
	accepted atomic.Uint64
	refused  [reasons]atomic.Uint64
	_        [64]byte
}

func newGate(listener string, index, loops int) *gate {
	g := &gate{listener: listener, index: index, lobby: newPair(listener, "", loops)}
	for range loops {
		g.cells = append(g.cells, new(gateCell))
	}
	return g
}

func (g *gate) accepted() (n uint64) {
	for _, c := range g.cells {
		n += c.accepted.Load()
	}
	return n
}

func (g *gate) refused(r relay.Reason) (n uint64) {
	for _, c := range g.cells {
		n += c.refused[r].Load()
	}
	return n
}

// refusals is how many were refused, and for which reasons that occurred.
func (g *gate) refusals() (all uint64, by map[string]uint64) {
	for _, r := range reasonList {
		if n := g.refused(r); n > 0 {
			if by == nil {
				by = map[string]uint64{}
			}
			all += n
			by[r.String()] = n
		}
	}
	return all, by
}

// histogram counts durations in fixed buckets. Observe is three atomic additions at most.
type histogram struct {
	bounds []time.Duration // upper, ascending
	cells  []*histogramCell
}

type histogramCell struct {
	buckets [16]atomic.Uint64 // not cumulative; the one after the last bound counts the rest
	sum     atomic.Int64      // nanoseconds
	_       [64]byte
}

func newHistogram(bounds []time.Duration, loops int) *histogram {
	h := &histogram{bounds: bounds}
	for range loops {
		h.cells = append(h.cells, new(histogramCell))
	}
	return h
}

func (h *histogram) observe(loop int, d time.Duration) {
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	c := h.cells[loop]
	c.buckets[i].Add(1)
	c.sum.Add(int64(d))
}

// stats adds up the cells. Buckets are read one after the other, so that a snapshot may be off by what ended meanwhile.
func (h *histogram) stats() HistogramStats {
	s := HistogramStats{Buckets: make(map[float64]uint64, len(h.bounds))}
	for i := range len(h.bounds) + 1 {
		for _, c := range h.cells {
			s.Count += c.buckets[i].Load()
		}
		if i < len(h.bounds) {
			s.Buckets[h.bounds[i].Seconds()] = s.Count
		}
	}
	for _, c := range h.cells {
		s.Sum += time.Duration(c.sum.Load()).Seconds()
	}
	return s
}

const (
	ms  = time.Millisecond
	sec = time.Second
)

// Bounds of the histograms: at most 15 each. A connect takes a round trip, within a region below a millisecond, between
// clouds tens; a first byte takes the handshake or, with a model that thinks, up to a minute; a connection lasts from
// one request to the hours of a pool.
var (
	connectBounds   = []time.Duration{ms / 2, ms, 2 * ms, 5 * ms, 10 * ms, 20 * ms, 50 * ms, 100 * ms, 200 * ms, 500 * ms, sec, 2 * sec, 5 * sec, 10 * sec}
	firstByteBounds = []time.Duration{ms, 2 * ms, 5 * ms, 10 * ms, 20 * ms, 50 * ms, 100 * ms, 200 * ms, 500 * ms, sec, 2 * sec, 5 * sec, 15 * sec, 60 * sec}
	durationBounds  = []time.Duration{10 * ms, 50 * ms, 100 * ms, 500 * ms, sec, 5 * sec, 15 * sec, 60 * sec, 5 * time.Minute, 15 * time.Minute, time.Hour, 4 * time.Hour, 12 * time.Hour, 24 * time.Hour}
)
