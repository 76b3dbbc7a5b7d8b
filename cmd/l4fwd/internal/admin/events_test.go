package admin

import (
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
)

// Which lines of the log an operator finds among the events, and under which kind.
func TestTheKindOfAnEventFollowsFromTheMessage(t *testing.T) {
	t.Parallel()
	for msg, want := range map[string]string{
		"started": "start", "reloaded": "reload", "reload failed: nothing was changed": "reload",
		"an upstream address is out": "address", "an upstream address is used again": "address",
		"draining": "drain", "drained": "drain", "drain requested": "operator",
		MsgClosed: "operator", MsgEjected: "operator", MsgRestored: "operator", MsgLevel: "operator",
		"eip claimed": "eip", "eip lost": "eip", "the Elastic IP was not released": "eip",
		"lifecycle": "lifecycle", "lifecycle hook completed": "lifecycle",
		"leaving with the lifecycle hook open: Auto Scaling goes on when it times out": "lifecycle",
		"access": "", "listening": "", "dns lookup failed": "", "eipalloc-1 is not ours": "", "": "",
	} {
		require.Equal(t, want, kindOf(msg), msg)
		if want != "" {
			require.Contains(t, EventKinds(), want)
		}
	}
}

// Events are kept whatever the level of the log is, with the fields of the logger and of the line.
func TestALineOfTheLogBecomesAnEvent(t *testing.T) {
	t.Parallel()
	e := NewEvents()
	log := zap.New(e).With(zap.String("listener", "in"))
	log.With(zap.String("upstream", "dais24")).Warn("an upstream address is out", zap.Duration("for", 90*time.Second), zap.Int("failures", 5))
	log.Debug("started")
	log.Info("listening")
	log.Error("eip lost")

	all := e.List()
	require.Len(t, all, 2, "no line of level debug, and none that is no event")
	require.WithinDuration(t, time.Now(), all[0].At, time.Minute)
	require.Equal(t, time.UTC, all[0].At.Location())
	at := all[0].At
	require.Equal(t, Event{Number: 1, At: at, Kind: "address", Level: "warn", Text: "an upstream address is out",
		Fields: map[string]any{"listener": "in", "upstream": "dais24", "for": "1m30s", "failures": int64(5)}}, all[0])
	require.Equal(t, map[string]any{"listener": "in"}, all[1].Fields, "not those of the other logger")
	require.Equal(t, "error", all[1].Level)
	require.NoError(t, log.Sync())
}

// The latest 50 are kept, and counted from the first.
func TestOldEventsAreForgotten(t *testing.T) {
	t.Parallel()
	e := happened(t, 51)
	all := e.List()
	require.Len(t, all, 50)
	require.Equal(t, [2]uint64{2, 51}, [2]uint64{all[0].Number, all[49].Number})
	all[0].Text = "changed"
	require.Equal(t, "started", e.List()[0].Text, "the caller has a list of its own")
}

func TestTheAPIListsTheEvents(t *testing.T) {
	t.Parallel()
	d := newFake()
	h := NewHandler(d, loopback, zap.NewNop())
	require.JSONEq(t, `{"events": []}`, ask(h, "GET", "/api/v1/events", "localhost").Body.String(), "no null")
	d.events = []Event{{Number: 4, At: time.Unix(0, 0).UTC(), Kind: "drain", Level: "info", Text: "drained", Fields: map[string]any{"open": 3}}}
	require.JSONEq(t, `{"events": [{"number": 4, "at": "1970-01-01T00:00:00Z", "kind": "drain", "level": "info", "text": "drained", "fields": {"open": 3}}]}`,
		ask(h, "GET", "/api/v1/events", "localhost").Body.String())
}

// A full list from an earlier process and one line of this one: the oldest line goes, the numbers go on.
func TestEventsOfTheProcessBeforeAreNumberedOn(t *testing.T) {
	t.Parallel()
	saved, err := happened(t, 60).Save()
	require.NoError(t, err)
	require.Contains(t, string(saved), `"version":1,"last":60,`)
	next := NewEvents()
	require.NoError(t, next.Write(zapcore.Entry{Message: "draining"}, nil))
	require.NoError(t, next.Take(saved))
	all := next.List()
	require.Equal(t, "12 … 60 61", fmt.Sprint(all[0].Number, " … ", all[48].Number, " ", all[49].Number))
	require.Equal(t, "drain", all[49].Kind)
	again, err := next.Save()
	require.NoError(t, err)
	var s savedEvents
	require.NoError(t, json.Unmarshal(again, &s))
	require.Equal(t, uint64(61), s.Last)
	require.Len(t, s.Events, 50)
}
