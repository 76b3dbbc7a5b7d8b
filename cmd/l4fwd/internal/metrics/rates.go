package metrics

import (
	"context"
	"strings"
	"sync"
	"time"

	"github.com/l4fwd/l4fwd/proxy"
)

// Rates are averages over a window that ends now.
type Rates struct {
	Seconds     float64   `json:"window_seconds"`
	BytesUp     float64   `json:"bytes_up_per_second"`
	BytesDown   float64   `json:"bytes_down_per_second"`
	Connections float64   `json:"connections_per_second"` // accepted
	Busy        []float64 `json:"loop_busy_ratio"`        // 0 to 1, by loop

	// Limited counts the clients that a limit has refused in the window, by reason; without those that occurred to none.
	Limited map[string]uint64 `json:"refused_by_limits,omitempty"`
}

const (
	// sampleInterval is also the shortest window, but for the first seconds. It is a multiple of the interval at which the
	// daemon looks at its readiness (2 s), so that an idle daemon wakes up once for both.
	sampleInterval = 4 * time.Second
	sampleCount    = 4 // so that a window is 12 to 16 s long
)

// Sampler keeps the figures of the last seconds, so that rates do not depend on who asks for them, nor on how many do, and a
// history of HistorySpan. Both survive a reload.
type Sampler struct {
	stats func() proxy.Stats

	mu      sync.Mutex
	samples []sample // the oldest first, at most sampleCount
	moments []moment // the oldest first, at least one, at most historyCount+1
	points  []Point  // the intervals between moments
}

// sample is what the rates are made from.
type sample struct {
	at       time.Time
	up, down uint64
	accepted uint64
	busy     []float64
	limited  map[string]uint64 // by reason
}

// isLimit reports whether a reason is that a limit was reached.
func isLimit(reason string) bool { return strings.HasPrefix(reason, "limit_") }

// NewSampler returns a sampler of the figures that stats returns, with the first sample taken.
func NewSampler(stats func() proxy.Stats) *Sampler {
	st := stats()
	first := momentOf(&st)
	return &Sampler{stats: stats, samples: []sample{first.sample}, moments: []moment{first}}
}

// sampleOf takes a sample of the present figures.
func sampleOf(st proxy.Stats) sample {
	gone := st.Forgotten
	s := sample{at: time.Now(), busy: st.Relay.Busy, limited: map[string]uint64{}, up: gone.Bytes.Up, down: gone.Bytes.Down, accepted: gone.Accepted}
	for at, n := range st.Refused {
		if isLimit(at[1]) {
			s.limited[at[1]] += n
		}
	}
	for at, n := range st.Ended {
		if isLimit(at[2]) {
			s.limited[at[2]] += n
		}
	}
	for _, b := range st.Bytes {
		s.up += b.Up
		s.down += b.Down
	}
	for _, n := range st.Accepted {
		s.accepted += n
	}
	return s
}

// Run takes a sample every sampleInterval until ctx ends.
func (r *Sampler) Run(ctx context.Context) {
	t := time.NewTicker(sampleInterval)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		st := r.stats()
		m := momentOf(&st)
		r.mu.Lock()
		r.samples = newest(append(r.samples, m.sample), sampleCount)
		r.record(m)
		r.mu.Unlock()
	}
}

// Rates returns the rates up to now; st are the present figures.
func (r *Sampler) Rates(st proxy.Stats) Rates {
	now := sampleOf(st)
	r.mu.Lock()
	then := r.samples[0]
	r.mu.Unlock()
	seconds := max(now.at.Sub(then.at).Seconds(), 1) // a shorter window would exaggerate the first moment
	out := Rates{Seconds: seconds, Busy: make([]float64, len(now.busy))}
	out.BytesUp = float64(now.up-then.up) / seconds
	out.BytesDown = float64(now.down-then.down) / seconds
	out.Connections = float64(now.accepted-then.accepted) / seconds
	for reason, n := range now.limited {
		if n > then.limited[reason] {
			if out.Limited == nil {
				out.Limited = map[string]uint64{}
			}
			out.Limited[reason] = n - then.limited[reason]
		}
	}
	for i, b := range now.busy {
		if i < len(then.busy) {
			out.Busy[i] = min(max((b-then.busy[i])/seconds, 0), 1)
		}
	}
	return out
}
