package admin

import (
	"bufio"
	"context"
	"encoding/json"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/health"
	"github.com/l4fwd/l4fwd/proxy"
)

func TestThePageLoadsNothingFromElsewhere(t *testing.T) {
	h := NewHandler(newFake(), loopback, zap.NewNop())
	files, err := fs.ReadDir(pageFiles, "page")
	require.NoError(t, err)
	require.Greater(t, len(files), 5)
	elsewhere := regexp.MustCompile(`https?://`)
	unsafe := regexp.MustCompile(`innerHTML|outerHTML|insertAdjacentHTML|document\.write|eval\(|\son[a-z]+=|<style|style=`)
	for _, f := range files {
		w := ask(h, "GET", "/page/"+f.Name(), "localhost")
		require.Equal(t, 200, w.Code, f.Name())
		csp := w.Header().Get("Content-Security-Policy")
		require.Contains(t, csp, "default-src 'none'; script-src 'self'; style-src 'self'", f.Name())
		require.NotContains(t, csp, "unsafe", f.Name())
		text := strings.ReplaceAll(w.Body.String(), "http://www.w3.org/2000/svg", "")
		require.NotRegexp(t, elsewhere, text, f.Name())
		require.NotRegexp(t, unsafe, text, f.Name())
	}
	require.Equal(t, 404, ask(h, "GET", "/page/none", "localhost").Code)
	require.Equal(t, 404, ask(h, "GET", "/page/..%2f..%2fserver.go", "localhost").Code)
}

// listenTo opens a stream and returns what it sends.
func listenTo(t *testing.T, url string) *bufio.Reader {
	t.Helper()
	resp, err := http.Get(url + "/api/v1/stream")
	require.NoError(t, err)
	t.Cleanup(func() { resp.Body.Close() })
	require.Equal(t, 200, resp.StatusCode)
	require.Equal(t, "text/event-stream", resp.Header.Get("Content-Type"))
	return bufio.NewReader(resp.Body)
}

func TestTheStreamHasABoundedNumberOfListeners(t *testing.T) {
	d := newFake()
	d.history.Points = make([]metrics.Point, 200)
	d.events = []Event{{Level: "warn", Text: "<script>", Fields: map[string]any{}}}
	srv := httptest.NewServer(NewHandler(d, loopback, zap.NewNop()))
	t.Cleanup(srv.Close) // after those of the listeners, which would hold it up
	var first *bufio.Reader
	for range streamListeners {
		first = listenTo(t, srv.URL)
	}
	resp, err := http.Get(srv.URL + "/api/v1/stream")
	require.NoError(t, err)
	resp.Body.Close()
	require.Equal(t, 503, resp.StatusCode)

	for _, want := range []string{"retry: 2000\n", "event: frame\n"} {
		line, err := first.ReadString('\n')
		require.NoError(t, err)
		require.Equal(t, want, line)
	}
	line, err := first.ReadString('\n')
	require.NoError(t, err)
	var f frame
	require.NoError(t, json.Unmarshal([]byte(strings.TrimPrefix(line, "data: ")), &f))
	require.Equal(t, levelTrouble, f.Level)
	require.Equal(t, d.events, f.Events)
	require.Len(t, f.History.Points, framePoints)
	require.Equal(t, 77, f.State.PID)
}

// counted counts how often the state is asked for.
type counted struct {
	*fake
	asked int
}

func (c *counted) State() State { c.asked++; return c.fake.State() }

func TestListenersShareAMessage(t *testing.T) {
	d := &counted{fake: newFake()}
	s := newStream(d, newLooks())
	require.Zero(t, d.asked, "nothing is computed while nobody listens")
	for range 20 {
		_, err := s.message()
		require.NoError(t, err)
	}
	require.Equal(t, 1, d.asked)
	s.made = time.Time{}
	_, err := s.message()
	require.NoError(t, err)
	require.Equal(t, 2, d.asked)
}

func TestTheVerdictIsWhatAnOperatorReadsFirst(t *testing.T) {
	s := newFake().state
	line, level := verdict(s)
	require.Equal(t, levelTrouble, level)
	require.True(t, strings.HasPrefix(line, "ready, but: "), line)
	s.Proxy.Upstreams = nil
	line, level = verdict(s)
	require.Equal(t, [2]string{"ready", levelOK}, [2]string{line, level})
	s.Ready, s.Conditions[1] = false, ConditionState{"upstream", false, "dais24: no address"}
	line, level = verdict(s)
	require.Equal(t, [2]string{"not ready: upstream: dais24: no address", levelNotReady}, [2]string{line, level})
	s.Draining = true
	line, level = verdict(s)
	require.Equal(t, [2]string{"draining, 3 connections open", levelDraining}, [2]string{line, level})
}

// A caller that never reads is let go, and its place is free again. Until then the kernel holds little for it.
func TestAListenerThatDoesNotReadIsLetGo(t *testing.T) {
	d := newFake()
	d.events = []Event{{Text: strings.Repeat("x", 64<<10)}}
	s := newStream(d, newLooks())
	s.interval, s.patience = 5*time.Millisecond, 100*time.Millisecond
	var sent atomic.Int64
	srv := httptest.NewUnstartedServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { s.ServeHTTP(counting{w, &sent}, r) }))
	srv.Listener = health.Bounded(srv.Listener, 2) // as the daemon has it
	srv.Start()
	t.Cleanup(srv.Close)
	c, err := net.Dial("tcp", srv.Listener.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.(*net.TCPConn).SetReadBuffer(4096))
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n")
	require.NoError(t, err)
	require.Eventually(t, func() bool { return len(s.slots) == 1 }, 30*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return len(s.slots) == 0 }, 30*time.Second, time.Millisecond)
	require.Less(t, sent.Load(), int64(1<<20), "bytes that went somewhere")
}

// counting counts what a handler writes.
type counting struct {
	http.ResponseWriter
	n *atomic.Int64
}

func (c counting) Unwrap() http.ResponseWriter { return c.ResponseWriter }

func (c counting) Write(b []byte) (int, error) {
	n, err := c.ResponseWriter.Write(b)
	c.n.Add(int64(n))
	return n, err
}

// The page lists few of many connections.
func TestTheBusiestAndTheOldestAreListed(t *testing.T) {
	d := newFake()
	for i := range 1000 {
		d.conns = append(d.conns, proxy.Connection{ID: uint64(i + 1), Age: float64(1 + i*7919%1000), BytesDown: uint64(i * 104729 % 1000)})
	}
	l := newLooks()
	top := newTop(d, l)
	got := top.list()
	l.forget.Stop()
	require.Equal(t, 1000, got.Total)
	sorted := func(order string) (ids []uint64) {
		var rows []Conn
		for _, c := range d.conns {
			rows = append(rows, Conn{Connection: c, RateDown: float64(c.BytesDown) / c.Age})
		}
		for _, c := range (&ConnQuery{Sort: order}).list(rows)[:topCount] {
			ids = append(ids, c.ID)
		}
		return ids
	}
	ids := func(rows []Conn) (all []uint64) {
		for _, c := range rows {
			all = append(all, c.ID)
		}
		return all
	}
	require.Equal(t, sorted("rate"), ids(got.Busiest))
	require.Equal(t, sorted("age"), ids(got.Oldest))
	d.conns = nil
	require.Equal(t, 1000, top.list().Total, "not listed again at once")
}

// slowLook is a daemon whose listings take their time.
type slowLook struct {
	*fake
	takes time.Duration
}

func (s *slowLook) Connections(ctx context.Context) (proxy.Listing, error) {
	time.Sleep(s.takes)
	return s.fake.Connections(ctx)
}

// A listing that is slow each time is made rarely; one that was held up once by a busy machine is not: the page showed a connection
// for minutes after it had been closed.
func TestListingsThatTakeLongAreRare(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		d, l := &slowLook{fake: newFake()}, newLooks()
		top := newTop(d, l)
		defer func() { l.forget.Stop() }()
		wait := func(takes, want time.Duration) {
			t.Helper()
			d.takes = takes
			top.list()
			require.Equal(t, want, time.Until(top.next))
			time.Sleep(want)
		}
		wait(time.Second, topInterval) // the first one says little
		for range 5 {
			wait(time.Millisecond, topInterval)
			wait(time.Second, topInterval)
		}
		wait(time.Second, topInterval)
		for range 3 {
			wait(time.Second, 250*time.Second) // 0.4 % of the time
		}
		wait(time.Millisecond, topInterval)
	})
}
