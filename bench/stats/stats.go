// Package stats holds the bench's arithmetic: medians, spreads, ratios and a latency histogram.
package stats

import (
	"math"
	"slices"
)

// Summary is a metric over the valid repetitions of one peer.
type Summary struct {
	Median float64 `json:"median"`
	Min    float64 `json:"min"`
	Max    float64 `json:"max"`
	N      int     `json:"n"` // repetitions; 0 means nothing is known
}

// Summarize takes the median (the mean of the two middle ones where their number is even) and the range of values.
func Summarize(values []float64) Summary {
	if len(values) == 0 {
		return Summary{}
	}
	s := slices.Clone(values)
	slices.Sort(s)
	mid := s[len(s)/2]
	if len(s)%2 == 0 {
		mid = (s[len(s)/2-1] + mid) / 2
	}
	return Summary{Median: mid, Min: s[0], Max: s[len(s)-1], N: len(s)}
}

// Spread is the range over the median: 0.1 means that the repetitions lie within 10 % of each other.
func (s Summary) Spread() float64 {
	if s.N == 0 || s.Median == 0 {
		return 0
	}
	return (s.Max - s.Min) / s.Median
}

// Ratio is value over base, or NaN where base is no measure.
func Ratio(value, base float64) float64 {
	if base == 0 || math.IsNaN(base) {
		return math.NaN()
	}
	return value / base
}

// Better is the better one of two figures.
func Better(a, b float64, higher bool) float64 {
	if (a > b) == higher {
		return a
	}
	return b
}
