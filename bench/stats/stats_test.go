package stats

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestSummarize(t *testing.T) {
	for _, tc := range []struct {
		name   string
		values []float64
		want   Summary
	}{
		{"nothing", nil, Summary{}},
		{"one", []float64{3}, Summary{3, 3, 3, 1}},
		{"odd", []float64{9, 1, 5}, Summary{5, 1, 9, 3}},
		{"even takes the mean of the middle", []float64{4, 1, 2, 9}, Summary{3, 1, 9, 4}},
	} {
		t.Run(tc.name, func(t *testing.T) { assert.Equal(t, tc.want, Summarize(tc.values)) })
	}
	assert.InDelta(t, 1.6, Summary{Median: 5, Min: 1, Max: 9, N: 3}.Spread(), 1e-9)
	assert.Zero(t, Summary{}.Spread())
}

func TestRatioAndBetter(t *testing.T) {
	assert.Equal(t, 0.5, Ratio(1, 2))
	assert.True(t, math.IsNaN(Ratio(1, 0)))
	assert.True(t, math.IsNaN(Ratio(1, math.NaN())))
	assert.Equal(t, 2.0, Better(1, 2, true))
	assert.Equal(t, 1.0, Better(1, 2, false))
	assert.Equal(t, 1.0, Better(2, 1, false))
}

func TestHistQuantileIsWithinOnePercent(t *testing.T) {
	var a, b Hist
	var all []float64
	r := rand.New(rand.NewPCG(1, 2))
	for i := range 20000 {
		v := uint64(math.Exp(r.Float64() * 20)) // 1 ns to half a second
		all = append(all, float64(v))
		if i%2 == 0 {
			a.Add(v)
		} else {
			b.Add(v)
		}
	}
	a.Merge(&b)
	slices.Sort(all)
	assert.EqualValues(t, 20000, a.N())
	assert.Equal(t, all[len(all)-1], a.Max())
	for _, q := range []float64{0, 0.01, 0.5, 0.9, 0.99, 0.999, 1} {
		want := all[min(int(q*20000), 19999)]
		assert.InEpsilon(t, want+1, a.Quantile(q)+1, 0.01, "q=%v", q)
	}
	assert.Zero(t, (&Hist{}).Quantile(0.5))
}

func TestHistKeepsWhatIsBeyondItsRange(t *testing.T) {
	var h Hist
	h.Add(math.MaxUint64 >> 1)
	assert.EqualValues(t, 1, h.N())
	assert.Positive(t, h.Quantile(0.5))
}
