package proxy

import (
	"sync/atomic"
	"time"
)

// histogram counts durations in fixed buckets, with one cell for each loop. To observe one takes two atomic additions.
type histogram struct {
	bounds []time.Duration // upper, ascending
	cells  []*histogramCell
}

type histogramCell struct {
	buckets [16]atomic.Uint64 // not cumulative; the one after the last bound counts the rest
	sum     atomic.Int64      // nanoseconds
	_       [64]byte
}

// newHistogram returns an empty histogram with at most 15 upper bounds, which ascend.
func newHistogram(bounds []time.Duration, loops int) *histogram {
	h := &histogram{bounds: bounds}
	for range loops {
		h.cells = append(h.cells, new(histogramCell))
	}
	return h
}

// observe counts d in the cell of the loop.
func (h *histogram) observe(loop int, d time.Duration) {
	i := 0
	for i < len(h.bounds) && d > h.bounds[i] {
		i++
	}
	c := h.cells[loop]
	c.buckets[i].Add(1)
	c.sum.Add(int64(d))
}

// stats adds up the cells. Buckets are read one after the other: what is observed meanwhile may be missing in the sum.
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
	sum := int64(0) // of integers: another order of cells must not make it smaller by a bit
	for _, c := range h.cells {
		sum += c.sum.Load()
	}
	s.Sum = time.Duration(sum).Seconds()
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
