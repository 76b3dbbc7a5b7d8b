package admin

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy"
)

// ids are those of rows, as text.
func ids(rows []Conn) string {
	all := []uint64{}
	for _, c := range rows {
		all = append(all, c.ID)
	}
	return fmt.Sprint(all)
}

// ranked is four connections whose figures rank them differently.
func ranked() []Conn {
	leg := func(rtt float64, again uint32) proxy.Leg { return proxy.Leg{Known: true, RTT: rtt, Retransmits: again} }
	return []Conn{
		{RateUp: 0, RateDown: 4, Connection: proxy.Connection{ID: 4, Age: 10, Idle: 6, BytesUp: 40, BytesDown: 60, ClientLeg: leg(2, 5), Leg: leg(2, 1), Stalls: "upstream"}},
		{RateUp: 5, RateDown: 0, Connection: proxy.Connection{ID: 3, Age: 10, Idle: 5, BytesUp: 99, BytesDown: 1, ClientLeg: leg(1, 1), Leg: leg(2, 5), Stalls: "client"}},
		{RateUp: 0, RateDown: 3, Connection: proxy.Connection{ID: 2, Age: 20, Idle: 9, BytesUp: 5, BytesDown: 70, ClientLeg: leg(1, 3), Leg: leg(9, 0), Stalls: "none"}},
		{RateUp: 1, RateDown: 1, Connection: proxy.Connection{ID: 1, Age: 30, Idle: 1, BytesUp: 60, BytesDown: 5, ClientLeg: leg(5, 0), Leg: leg(1, 4), Stalls: "none"}},
	}
}

// The largest comes first, but for ids; both directions and both legs count; rows that are equal are in the order of their ids.
func TestTheOrdersOfAListing(t *testing.T) {
	t.Parallel()
	want := map[string]string{
		"id": "[1 2 3 4]", "age": "[1 2 3 4]", "idle": "[2 4 3 1]", "rate": "[3 4 2 1]", "bytes": "[3 4 2 1]", "rtt": "[2 1 3 4]",
		"retrans": "[3 4 1 2]", "stalls": "[4 3 1 2]",
	}
	require.Len(t, want, len(Sorts()))
	for _, name := range Sorts() {
		require.Equal(t, want[name], ids((&ConnQuery{Sort: name}).sort(ranked())), name)
		back := (&ConnQuery{Sort: name, Reverse: true}).sort(ranked())
		slices.Reverse(back)
		require.Equal(t, want[name], ids(back), "%s in reverse", name)
	}
}

// Each filter compares with what it is named for, and all of them have to fit.
func TestTheFiltersOfAListing(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		q    ConnQuery
		want string
	}{
		{ConnQuery{Listener: "in"}, "[1 2]"}, {ConnQuery{SNI: "a.example"}, "[1 3]"}, {ConnQuery{Listener: "in", SNI: "a.example"}, "[1]"},
		{ConnQuery{State: "relaying"}, "[1 3]"}, {ConnQuery{Upstream: "a", State: "half_closed_down"}, "[]"},
		{ConnQuery{Address: "20.0.0.1:443"}, "[1 3]"}, {ConnQuery{Address: "20.0.0.1:44"}, "[]"}, {ConnQuery{Address: "2001:db8::1"}, "[2]"},
		{ConnQuery{Client: "10.0.0.3:1"}, "[3]"}, {ConnQuery{Client: "[2001:db8::6666]:55555"}, "[2]"}, {ConnQuery{Client: "10.0.0"}, "[]"},
		{ConnQuery{Stalls: "client"}, "[3]"}, {ConnQuery{Stalls: "upstream"}, "[]"}, {ConnQuery{Stalls: "none"}, "[1 2]"}, {ConnQuery{Stalls: "any"}, "[3]"},
	} {
		var rows []Conn
		for _, row := range listed() {
			row.Listener, row.SNI = map[uint64]string{1: "in", 2: "in", 3: "out"}[row.ID], map[uint64]string{1: "a.example", 2: "b.example", 3: "a.example"}[row.ID]
			rows = append(rows, Conn{Connection: row})
		}
		require.NoError(t, c.q.Check())
		require.Equal(t, c.want, ids(c.q.list(rows)), "%+v", c.q)
	}
}

// looking is a daemon whose listings take their time, fail, or wait until they are given up.
type looking struct {
	*fake
	takes time.Duration
	err   error
}

func (l *looking) Connections(ctx context.Context) (proxy.Listing, error) {
	select {
	case <-time.After(l.takes):
		return proxy.Listing{Connections: l.conns, Held: 1500 * time.Microsecond}, l.err
	case <-ctx.Done():
		return proxy.Listing{}, ctx.Err()
	}
}

func TestAListingThatFailsIsAnError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &looking{fake: newFake(), takes: time.Second, err: errors.New("the relay has ended")}
		h := handlers{Daemon: d, log: zap.NewNop(), looks: newLooks()}
		w := ask(http.HandlerFunc(h.conns), "GET", "/api/v1/conns", "localhost")
		require.Equal(t, 503, w.Code)
		require.JSONEq(t, `{"error": "list the connections: the relay has ended"}`, w.Body.String())

		d.takes = time.Hour
		begun := time.Now()
		w = ask(http.HandlerFunc(h.conns), "GET", "/api/v1/conns", "localhost")
		require.Equal(t, 10*time.Second, time.Since(begun), "a loop that does not answer holds no caller up for longer")
		require.JSONEq(t, `{"error": "list the connections: context deadline exceeded"}`, w.Body.String())
		require.Empty(t, h.looks.places)
		require.Zero(t, h.looks.bases, "there is nothing to compare with")
	})
}

// Rates are over the time since the newest listing that is a second old or older, and a minute at most; then all is forgotten.
func TestRatesAreOverAnEarlierListing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := &looking{fake: newFake(), takes: 20 * time.Millisecond}, newLooks()
		c := proxy.Connection{ID: 1, Age: 10, BytesUp: 1000, BytesDown: 20_000}
		look := func(after time.Duration, up, down uint64) Conn {
			time.Sleep(after - 20*time.Millisecond)
			c.BytesUp, c.BytesDown = c.BytesUp+up, c.BytesDown+down
			d.conns = []proxy.Connection{c}
			list, err := l.take(t.Context(), d.Connections)
			require.NoError(t, err)
			require.Equal(t, [2]float64{20, 1.5}, [2]float64{list.Took, list.Held}, "milliseconds")
			require.WithinDuration(t, time.Now(), list.At, 0)
			return list.Conns[0]
		}
		got := look(20*time.Millisecond, 0, 0)
		require.Equal(t, Conn{Connection: c, RateUp: 100, RateDown: 2000, RateSince: "life", RateSeconds: 10}, got)
		require.Equal(t, "life", look(500*time.Millisecond, 0, 0).RateSince, "half a second says little")
		got = look(500*time.Millisecond, 300, 5000)
		require.Equal(t, [4]any{"look", 1.0, 300.0, 5000.0}, [4]any{got.RateSince, got.RateSeconds, got.RateUp, got.RateDown})
		got = look(500*time.Millisecond, 0, 1000) // the newest base is too young: the one before it
		require.Equal(t, [4]any{"look", 1.5, 200.0, 4000.0}, [4]any{got.RateSince, got.RateSeconds, got.RateUp, got.RateDown})
		got = look(59500*time.Millisecond, 60, 600)
		require.Equal(t, [4]any{"look", 60.0, 1.0, 27.0}, [4]any{got.RateSince, got.RateSeconds, got.RateUp, got.RateDown})
		time.Sleep(keepBases)
		synctest.Wait()
		require.Zero(t, l.bases, "nobody has asked for a minute")
	})
}

// A connection that has just been accepted has a rate over its short life, and none without any.
func TestTheRateOfAYoungConnection(t *testing.T) {
	t.Parallel()
	c := Conn{Connection: proxy.Connection{Age: 0.5, BytesUp: 100, BytesDown: 250}}
	c.rate(nil, time.Now())
	require.Equal(t, [3]float64{200, 500, 0.5}, [3]float64{c.RateUp, c.RateDown, c.RateSeconds})
	c = Conn{Connection: proxy.Connection{BytesUp: 100, BytesDown: 250}}
	c.rate(nil, time.Now())
	require.Equal(t, [2]float64{0, 0}, [2]float64{c.RateUp, c.RateDown}, "JSON has no infinity")
}
