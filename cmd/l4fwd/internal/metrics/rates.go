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

const sampleCount = 4 // so that a window is 12 to 16 s long

// Sampler keeps figures, so that rates do not depend on who asks for them, nor on how many do, and makes a history of HistorySpan
// of them. Both survive a reload.
type Sampler struct {
	stats func() proxy.Stats

	mu      sync.Mutex
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
	return &Sampler{stats: stats, moments: []moment{first}}
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
		r.record(momentOf(&st))
	}
}

// perSecond is by how much a counter has grown each second; not at all if it has become smaller.
func perSecond(before, now uint64, seconds float64) float64 {
	return float64(now-min(before, now)) / seconds
}

// Rates returns the rates up to now; st are the present figures.
func (r *Sampler) Rates(st proxy.Stats) Rates {
	now := sampleOf(st)
	r.mu.Lock()
	then := r.moments[max(len(r.moments)-sampleCount, 0)].sample
	r.mu.Unlock()
	seconds := max(now.at.Sub(then.at).Seconds(), 1) // a shorter window would exaggerate the first moment
	out := Rates{Seconds: seconds, Busy: make([]float64, len(now.busy)), Limited: grown(then.limited, now.limited)}
	out.BytesUp, out.BytesDown = perSecond(then.up, now.up, seconds), perSecond(then.down, now.down, seconds)
	out.Connections = perSecond(then.accepted, now.accepted, seconds)
	for i, b := range now.busy {
		if i < len(then.busy) {
			out.Busy[i] = min(max((b-then.busy[i])/seconds, 0), 1)
		}
	}
	return out
}
