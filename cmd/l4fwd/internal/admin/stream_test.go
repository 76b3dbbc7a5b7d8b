package admin

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/proxy"
)

// reader is a listener that reads all, and notes the deadlines it is given.
type reader struct {
	*httptest.ResponseRecorder
	begun     time.Time
	patience  []time.Duration // of each message
	sent      []time.Duration // when it was whole, since begun
	writeFail error
	flushFail error
}

func (r *reader) Write(b []byte) (int, error) {
	if r.writeFail != nil {
		return 0, r.writeFail
	}
	return r.ResponseRecorder.Write(b)
}

func (r *reader) SetWriteDeadline(at time.Time) error {
	r.patience = append(r.patience, time.Until(at))
	return nil
}

func (r *reader) FlushError() error {
	r.sent = append(r.sent, time.Since(r.begun))
	return r.flushFail
}

// streamed listens to the stream of a daemon for d.
func streamed(t *testing.T, s *stream, d time.Duration) *reader {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), d)
	defer cancel()
	r := &reader{ResponseRecorder: httptest.NewRecorder(), begun: time.Now()}
	s.ServeHTTP(r, httptest.NewRequestWithContext(ctx, "GET", "/", nil))
	return r
}

// A page hears from the daemon at once, then every 2 s, with 5 s to read each message; a place is free as soon as it leaves.
func TestAPageHearsFromTheDaemonEvery2Seconds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := newFake()
		s := newStream(d, newLooks())
		defer func() { s.top.looks.forget.Stop() }()
		d.history.Points = []metrics.Point{{Active: 1}, {Active: 2}}
		r := streamed(t, s, 5*time.Second)
		require.Equal(t, []time.Duration{0, 2 * time.Second, 4 * time.Second}, r.sent)
		require.Equal(t, []time.Duration{5 * time.Second, 5 * time.Second, 5 * time.Second}, r.patience)
		require.Equal(t, "text/event-stream", r.Header().Get("Content-Type"))
		require.Equal(t, "no-store", r.Header().Get("Cache-Control"))
		require.Empty(t, s.slots)

		messages := strings.SplitAfter(r.Body.String(), "\n\n")
		require.Len(t, messages, 4)
		var first, second frame
		for i, f := range []*frame{&first, &second} {
			data, found := strings.CutPrefix(messages[i], "retry: 2000\nevent: frame\ndata: ")
			require.True(t, found, messages[i])
			require.NoError(t, json.Unmarshal([]byte(data), f))
		}
		require.Equal(t, 2*time.Second, second.At.Sub(first.At), "each is made anew")
		require.Len(t, first.History.Points, 2, "fewer than three are all there are")
		require.Equal(t, LogLevel{Level: "info", Configured: "info"}, first.LogLevel)
		require.NotNil(t, first.Events, "a list, without events an empty one")
	})
}

// Without a free place the answer says what to do about it, and when.
func TestOneStatusPageTooMany(t *testing.T) {
	t.Parallel()
	s := newStream(newFake(), newLooks())
	for range streamListeners {
		s.slots <- struct{}{}
	}
	w := ask(s, "GET", "/", "localhost")
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "10", w.Header().Get("Retry-After"))
	require.JSONEq(t, `{"error": "16 status pages are open already: close one"}`, w.Body.String())
	require.Len(t, s.slots, streamListeners)
}

// A listener whose connection fails is not sent anything more.
func TestAListenerThatIsGoneEndsTheStream(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := newStream(newFake(), newLooks())
		defer func() { s.top.looks.forget.Stop() }()
		broken := errors.New("broken pipe")
		for want, r := range []*reader{{writeFail: broken}, {flushFail: broken}} {
			r.ResponseRecorder, r.begun = httptest.NewRecorder(), time.Now()
			s.ServeHTTP(r, httptest.NewRequest("GET", "/", nil))
			require.Len(t, r.sent, want)
			require.Zero(t, time.Since(r.begun))
			require.Empty(t, s.slots)
		}
	})
}

// The message of a moment ago is sent again for half an interval; later it would be old.
func TestAMessageIsSharedForHalfAnInterval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d := &counted{fake: newFake()}
		s := newStream(d, newLooks())
		defer func() { s.top.looks.forget.Stop() }()
		for _, step := range []struct {
			after time.Duration
			asked int
		}{{0, 1}, {999 * time.Millisecond, 1}, {time.Millisecond, 2}, {time.Millisecond, 2}} {
			time.Sleep(step.after)
			_, err := s.message()
			require.NoError(t, err)
			require.Equal(t, step.asked, d.asked)
		}
	})
}

// A daemon that is not ready and has no condition that says why.
func TestNotReadyWithoutACondition(t *testing.T) {
	t.Parallel()
	line, level := verdict(State{Conditions: []ConditionState{{Name: "a", OK: true}}})
	require.Equal(t, [2]string{"not ready", levelNotReady}, [2]string{line, level})
}

// A listing that fails leaves the rows of the one before, with the error; the next that works takes it away.
func TestTheRowsOfTheLastListingStay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := &looking{fake: newFake()}, newLooks()
		defer func() { l.forget.Stop() }()
		d.conns = []proxy.Connection{{ID: 9, Age: 1}, {ID: 4, Age: 1}, {ID: 5, Age: 2}}
		top := newTop(d, l)
		got := top.list()
		require.Equal(t, "[4 5 9]", ids(got.Busiest), "equal ones by id")
		require.Equal(t, "[5 4 9]", ids(got.Oldest))
		at := got.At
		time.Sleep(topInterval)
		d.err = errors.New("the relay has ended")
		got = top.list()
		require.Equal(t, "the relay has ended", got.Error)
		require.Equal(t, "[4 5 9]", ids(got.Busiest))
		require.Equal(t, at, got.At, "the time of the rows")
		time.Sleep(topInterval)
		d.err, d.conns = nil, d.conns[:1]
		got = top.list()
		require.Empty(t, got.Error)
		require.Equal(t, 1, got.Total)

		time.Sleep(topInterval)
		d.takes = time.Hour
		begun := time.Now()
		require.Equal(t, "context deadline exceeded", top.list().Error)
		require.Equal(t, streamPatience, time.Since(begun), "a page waits no longer for a listing than it is waited for")
	})
}

func TestAPageWithoutConnectionsHasEmptyLists(t *testing.T) {
	t.Parallel()
	text, err := json.Marshal(newTop(newFake(), newLooks()).last)
	require.NoError(t, err)
	require.JSONEq(t, `{"total": 0, "busiest": [], "oldest": []}`, string(text))
}
