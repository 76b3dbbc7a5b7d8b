package metrics

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy"
)

var writeHistory = flag.Bool("write-history", false, "write the golden file of this version of the saved history")

// charted returns a sampler after n intervals of 400 connections each, which began at a fixed time.
func charted(n int) *Sampler {
	start := time.Date(2026, 11, 28, 5, 0, 0, 0, time.UTC)
	st := figures(0)
	r := NewSampler(func() proxy.Stats { return st })
	r.moments[0].at = start
	for i := range n {
		st := figures(uint64(400 * (i + 1)))
		m := momentOf(&st)
		m.at = start.Add(time.Duration(i+1) * sampleInterval)
		r.record(m)
	}
	return r
}

// The next process goes on with the charts and with the sums over their span.
func TestTheHistoryGoesOnInTheNextProcess(t *testing.T) {
	saved, err := charted(10).Save()
	require.NoError(t, err)
	st := figures(4400)
	next := NewSampler(func() proxy.Stats { return st })
	next.moments[0].at = time.Date(2026, 11, 28, 5, 0, 44, 0, time.UTC)
	require.NoError(t, next.Take(saved, 0))
	h := next.History()
	require.Len(t, h.Points, 10)
	require.InDelta(t, 44, h.Span, 0.01)
	require.EqualValues(t, 4400, h.Ended["client_closed"])
	require.EqualValues(t, 440, h.Refused["source_denied"])
	require.InDelta(t, 0.01+0.09*0.9, *h.Points[9].ConnectP99, 1e-6)
	m := momentOf(&st)
	m.at = time.Date(2026, 11, 28, 5, 0, 48, 0, time.UTC)
	next.record(m)
	require.Len(t, next.History().Points, 11)
	require.Zero(t, next.History().Points[10].Connections)

	// The clock was set back by an hour in between: an interval is as long as it was.
	back := NewSampler(func() proxy.Stats { return st })
	back.moments[0].at = time.Date(2026, 11, 28, 4, 0, 44, 0, time.UTC)
	require.NoError(t, back.Take(saved, -time.Hour))
	require.InDelta(t, 44, back.History().Span, 0.01)
	require.Equal(t, time.Date(2026, 11, 28, 4, 0, 4, 0, time.UTC), back.History().Points[0].At)

	full, err := charted(300).Save()
	require.NoError(t, err)
	require.NoError(t, next.Take(full, 0))
	require.Len(t, next.History().Points, historyCount)
	require.Len(t, next.moments, historyCount+1)
}

func TestAHistoryThatCannotBeReadChangesNothing(t *testing.T) {
	r := charted(1)
	require.ErrorContains(t, r.Take([]byte(`{"version":2}`), 0), "has version 2, this process reads 1")
	require.ErrorContains(t, r.Take([]byte(`[]`), 0), "read the history")
	require.Len(t, r.History().Points, 1)
}

// The file of each version is read for ever.
func TestASavedHistoryOfEachVersionIsRead(t *testing.T) {
	path := filepath.Join("testdata", fmt.Sprintf("history_v%d.json", historyVersion))
	if *writeHistory {
		saved, err := charted(2).Save()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, saved, 0o644))
	}
	golden, err := os.ReadFile(path)
	require.NoError(t, err)
	next := charted(0)
	require.NoError(t, next.Take(golden, 0))
	require.Equal(t, charted(2).History().Points, next.History().Points)
	require.InDelta(t, 0, next.moments[0].at.Sub(charted(0).moments[0].at).Seconds(), 0)
}
