package proxy

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A duration counts in its bucket and in all above, on its bound too, and whatever loop it came from.
func TestHistogramCountsUpToItsBounds(t *testing.T) {
	h := newHistogram([]time.Duration{ms, 10 * ms, sec}, 2)
	for loop, d := range []time.Duration{ms, ms + 1} {
		h.observe(loop, d)
	}
	h.observe(0, 0)
	h.observe(1, sec)
	h.observe(0, sec+1)
	h.observe(1, time.Hour)
	s := h.stats()
	require.EqualValues(t, 6, s.Count)
	require.Equal(t, map[float64]uint64{0.001: 2, 0.01: 3, 1: 4}, s.Buckets)
	require.InDelta(t, 0.001+0.001+1+1+3600, s.Sum, 0.001)
}

// Each histogram of the metrics has room for its bounds and for what is beyond them, and its bounds ascend.
func TestBoundsFitTheCells(t *testing.T) {
	for name, bounds := range map[string][]time.Duration{"connect": connectBounds, "first byte": firstByteBounds, "duration": durationBounds} {
		require.Less(t, len(bounds), len(histogramCell{}.buckets), name)
		for i := range bounds[1:] {
			require.Less(t, bounds[i], bounds[i+1], name)
		}
		h := newHistogram(bounds, 1)
		h.observe(0, bounds[len(bounds)-1]+1)
		require.EqualValues(t, 1, h.stats().Count, name)
		require.Zero(t, h.stats().Buckets[bounds[len(bounds)-1].Seconds()], name)
	}
}

// The buckets are series of the metrics, which queries name by their bounds.
func TestBoundsStayAsTheyAre(t *testing.T) {
	for want, bounds := range map[string][]time.Duration{
		"[500µs 1ms 2ms 5ms 10ms 20ms 50ms 100ms 200ms 500ms 1s 2s 5s 10s]":               connectBounds,
		"[1ms 2ms 5ms 10ms 20ms 50ms 100ms 200ms 500ms 1s 2s 5s 15s 1m0s]":                firstByteBounds,
		"[10ms 50ms 100ms 500ms 1s 5s 15s 1m0s 5m0s 15m0s 1h0m0s 4h0m0s 12h0m0s 24h0m0s]": durationBounds,
	} {
		require.Equal(t, want, fmt.Sprint(bounds))
	}
}

// Loops observe at once, and somebody reads meanwhile.
func TestHistogramIsConcurrent(t *testing.T) {
	h := newHistogram(connectBounds, 4)
	var loops sync.WaitGroup
	for loop := range 4 {
		loops.Go(func() {
			for range 1000 {
				h.observe(loop, 3*ms)
			}
		})
	}
	for range 100 {
		s := h.stats()
		require.LessOrEqual(t, s.Buckets[0.002], s.Buckets[0.005])
	}
	loops.Wait()
	require.EqualValues(t, 4000, h.stats().Count)
	require.InDelta(t, 12, h.stats().Sum, 0.001)
}
