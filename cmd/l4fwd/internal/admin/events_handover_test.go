package admin

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap/zapcore"
)

var writeEvents = flag.Bool("write-events", false, "write the golden file of this version of the saved events")

// happened returns events of n starts of an hour.
func happened(t *testing.T, n int) *Events {
	t.Helper()
	e := NewEvents()
	for i := range n {
		at := time.Date(2026, 11, 28, 5, i, 0, 0, time.UTC)
		require.NoError(t, e.Write(zapcore.Entry{Level: zapcore.InfoLevel, Time: at, Message: "started"},
			[]zapcore.Field{{Key: "pid", Type: zapcore.Int64Type, Integer: int64(i)}}))
	}
	return e
}

// A list that counts on after an upgrade: who asks for what is newer than a number misses nothing.
func TestEventsGoOnInTheNextProcess(t *testing.T) {
	t.Parallel()
	saved, err := happened(t, 3).Save()
	require.NoError(t, err)
	next := happened(t, 2)
	require.NoError(t, next.Take(saved))
	var numbers string
	for _, e := range next.List() {
		numbers += fmt.Sprint(e.Number, "@", e.At.Minute(), " ")
	}
	require.Equal(t, "1@0 2@1 3@2 4@0 5@1 ", numbers)
	require.NoError(t, next.Write(zapcore.Entry{Message: "drained"}, nil))
	require.EqualValues(t, 6, next.List()[5].Number)

	full, err := happened(t, 50).Save()
	require.NoError(t, err)
	next = happened(t, 2)
	require.NoError(t, next.Take(full))
	require.Len(t, next.List(), eventsKept)
	require.EqualValues(t, 52, next.List()[eventsKept-1].Number)
}

func TestEventsThatCannotBeReadChangeNothing(t *testing.T) {
	t.Parallel()
	e := happened(t, 1)
	require.ErrorContains(t, e.Take([]byte(`{"version":2}`)), "have version 2, this process reads 1")
	require.ErrorContains(t, e.Take([]byte(`[]`)), "read events")
	require.Len(t, e.List(), 1)
}

// The file of each version is read for ever.
func TestSavedEventsOfEachVersionAreRead(t *testing.T) {
	t.Parallel()
	path := filepath.Join("testdata", fmt.Sprintf("events_v%d.json", eventsVersion))
	if *writeEvents {
		saved, err := happened(t, 2).Save()
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, saved, 0o644))
	}
	golden, err := os.ReadFile(path)
	require.NoError(t, err)
	next := happened(t, 0)
	require.NoError(t, next.Take(golden))
	require.Len(t, next.List(), 2)
	require.Equal(t, Event{Number: 2, At: time.Date(2026, 11, 28, 5, 1, 0, 0, time.UTC), Kind: "start", Level: "info", Text: "started",
		Fields: map[string]any{"pid": 1.0}}, next.List()[1])
}
