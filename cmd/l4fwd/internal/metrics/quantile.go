package metrics

import (
	"maps"
	"slices"

	"github.com/l4fwd/l4fwd/proxy"
)

// histogram counts what was measured in an interval.
type histogram struct {
	count   uint64
	buckets map[float64]uint64 // cumulative, by upper bound in seconds
}

// difference sums over the upstreams what was measured between two moments. An upstream whose figures have become smaller was
// removed and added again: all that it has is new.
func difference(before, now map[string]proxy.HistogramStats) histogram {
	out := histogram{buckets: map[float64]uint64{}}
	for name, h := range now {
		was := before[name]
		if was.Count > h.Count {
			was = proxy.HistogramStats{}
		}
		out.count += h.Count - was.Count
		for bound, n := range h.Buckets {
			out.buckets[bound] += n - min(was.Buckets[bound], n)
		}
	}
	return out
}

// quantile estimates the q-quantile in seconds as histogram_quantile of Prometheus does: linear within a bucket, and the highest
// bound for what lies above it. It is nil if nothing was measured.
func (h histogram) quantile(q float64) *float64 {
	if h.count == 0 || len(h.buckets) == 0 {
		return nil
	}
	rank := q * float64(h.count)
	lower, below := 0.0, 0.0
	for _, bound := range slices.Sorted(maps.Keys(h.buckets)) {
		upTo := float64(h.buckets[bound])
		if upTo >= rank {
			if upTo > below {
				lower += (bound - lower) * (rank - below) / (upTo - below)
			}
			return &lower
		}
		lower, below = bound, upTo
	}
	return &lower
}
