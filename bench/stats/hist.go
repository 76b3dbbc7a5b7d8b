package stats

import "math/bits"

const (
	subBits = 7 // 128 steps a power of two: a reading is at most 0.8 % off
	powers  = 34
)

// Hist counts latencies in nanoseconds, up to 2^40 ns (18 minutes). The zero value is ready; one goroutine writes.
type Hist struct {
	count [powers << subBits]uint64
	n     uint64
	max   uint64
}

func bucket(ns uint64) int {
	if ns < 1<<subBits {
		return int(ns)
	}
	shift := bits.Len64(ns) - subBits - 1
	i := (shift+1)<<subBits + int(ns>>shift) - 1<<subBits
	return min(i, powers<<subBits-1)
}

// middle is the nanoseconds in the middle of bucket i.
func middle(i int) float64 {
	if i < 1<<subBits {
		return float64(i)
	}
	shift := i>>subBits - 1
	low := uint64(1<<subBits+i&(1<<subBits-1)) << shift
	return float64(low) + float64(uint64(1)<<shift-1)/2
}

// Add counts one latency.
func (h *Hist) Add(ns uint64) {
	h.count[bucket(ns)]++
	h.n++
	h.max = max(h.max, ns)
}

// Merge adds all of o.
func (h *Hist) Merge(o *Hist) {
	for i, c := range o.count {
		h.count[i] += c
	}
	h.n += o.n
	h.max = max(h.max, o.max)
}

// N is the number of latencies counted.
func (h *Hist) N() uint64 { return h.n }

// Max is the largest latency, exact, in nanoseconds.
func (h *Hist) Max() float64 { return float64(h.max) }

// Quantile is the latency in nanoseconds below which a share q (0 to 1) of all lies; 0 if there are none.
func (h *Hist) Quantile(q float64) float64 {
	rank := uint64(q * float64(h.n))
	if rank >= h.n && h.n > 0 {
		rank = h.n - 1
	}
	var seen uint64
	for i, c := range h.count {
		if seen += c; seen > rank {
			return min(middle(i), float64(h.max))
		}
	}
	return 0
}
