package metrics

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// figures are those of an upstream after n connections, of which 9 in 10 took at most 10 ms to connect and the others 100 ms.
func figures(n uint64) proxy.Stats {
	return proxy.Stats{
		Relay: relay.Stats{Active: 7}, Accepted: map[string]uint64{"l": n},
		Bytes:   map[[2]string]relay.Bytes{{"l", "u"}: {Up: 10 * n, Down: 20 * n}},
		Refused: map[[2]string]uint64{{"l", "source_denied"}: n / 10},
		Ended:   map[[3]string]uint64{{"l", "u", "client_closed"}: n},
		Connect: map[string]proxy.HistogramStats{"u": {Count: n, Buckets: map[float64]uint64{0.005: 0, 0.01: n / 10 * 9, 0.1: n}}},
	}
}

func TestTheHistoryIsBoundedAndHasTheLastQuarterHour(t *testing.T) {
	var n uint64
	r := NewSampler(func() proxy.Stats { return figures(n) })
	start := r.moments[0].at
	for i := range 300 {
		n += 400
		st := figures(n)
		m := momentOf(&st)
		m.at = start.Add(time.Duration(i+1) * sampleInterval)
		r.record(m)
	}
	h := r.History()
	require.Len(t, h.Points, historyCount)
	require.LessOrEqual(t, cap(r.points), 2*historyCount)
	require.InDelta(t, HistorySpan.Seconds(), h.Span, 0.01)
	require.Equal(t, uint64(400*historyCount), h.Ended["client_closed"])
	require.Equal(t, uint64(40*historyCount), h.Refused["source_denied"])
	p := h.Points[len(h.Points)-1]
	require.Equal(t, start.Add(300*sampleInterval).UTC().Truncate(time.Millisecond), p.At)
	require.EqualValues(t, 7, p.Active)
	require.InDelta(t, 100, p.Connections, 0.01)
	require.InDelta(t, 1000, p.BytesUp, 0.01)
	require.InDelta(t, 2000, p.BytesDown, 0.01)
	require.InDelta(t, 10, p.Refused, 0.01)
	require.InDelta(t, 0.005+0.005*5/9, *p.ConnectP50, 1e-6)
	require.InDelta(t, 0.01+0.09*0.9, *p.ConnectP99, 1e-6)
	require.Nil(t, p.FirstByteP50, "nothing was measured")
}

func TestAnUpstreamThatIsAddedAgainBeginsAnew(t *testing.T) {
	before, now := momentOf(new(figures(1000))), momentOf(new(figures(100)))
	now.at = before.at.Add(sampleInterval)
	p := pointOf(&before, &now)
	require.Zero(t, p.BytesUp)
	require.Zero(t, p.Refused)
	require.InDelta(t, 0.005+0.005*5/9, *p.ConnectP50, 1e-6)
}

func TestQuantilesAreThoseOfPrometheus(t *testing.T) {
	require.Nil(t, histogram{}.quantile(0.5))
	h := histogram{count: 10, buckets: map[float64]uint64{1: 0, 2: 4}} // 6 lie above the highest bound
	require.InDelta(t, 2, *h.quantile(0.99), 1e-9)
	require.InDelta(t, 1.5, *h.quantile(0.2), 1e-9)
}

// An interval in which nobody connected has no quantile, and one that began before an upstream was added has that one's whole figures.
func TestAnIntervalWithoutConnectsHasNoQuantile(t *testing.T) {
	before, now := momentOf(new(figures(1000))), momentOf(new(figures(1000)))
	now.at = before.at.Add(sampleInterval)
	require.Nil(t, pointOf(&before, &now).ConnectP50)
	before.connect = nil
	require.InDelta(t, 0.005+0.005*5/9, *pointOf(&before, &now).ConnectP50, 1e-6)
}

// The first byte has quantiles of its own.
func TestQuantilesOfTheFirstByte(t *testing.T) {
	st := figures(1000)
	st.FirstByte, st.Connect = st.Connect, nil
	before, now := momentOf(new(figures(0))), momentOf(&st)
	now.at = before.at.Add(sampleInterval)
	p := pointOf(&before, &now)
	require.InDelta(t, 0.005+0.005*5/9, *p.FirstByteP50, 1e-6)
	require.InDelta(t, 0.01+0.09*0.9, *p.FirstByteP99, 1e-6)
	require.Nil(t, p.ConnectP50)
}
