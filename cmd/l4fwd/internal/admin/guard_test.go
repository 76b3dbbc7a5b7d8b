package admin

import (
	"encoding/json"
	"net"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// What each answer forbids a browser to do with it. Answers without scripts allow none.
func TestTheHeadersThatKeepBrowsersHonest(t *testing.T) {
	t.Parallel()
	h := NewHandler(newFake(), loopback, zap.NewNop())
	for _, path := range []string{"/", "/page/page.js", "/api/v1/status", "/api/v1/log", "/metrics", "/debug/pprof/", "/nothing"} {
		got := ask(h, "GET", path, "localhost").Header()
		require.Equal(t, "nosniff", got.Get("X-Content-Type-Options"), path)
		require.Equal(t, "DENY", got.Get("X-Frame-Options"), path)
		page := path == "/" || strings.HasPrefix(path, "/page/")
		require.Equal(t, page, strings.Contains(got.Get("Content-Security-Policy"), "script-src 'self'"), path)
		require.Contains(t, got.Get("Content-Security-Policy"), "default-src 'none'", path)
		require.Contains(t, got.Get("Content-Security-Policy"), "frame-ancestors 'none'", path)
		if page {
			require.Equal(t, "no-cache", got.Get("Cache-Control"), "another version of the daemon has another page")
			require.Equal(t, "same-origin", got.Get("Referrer-Policy"), "actions of an old browser need it")
		}
	}
}

// A refusal says what would be taken.
func TestARefusalSaysWhatWouldBeTaken(t *testing.T) {
	t.Parallel()
	h := NewHandler(newFake(), loopback, zap.NewNop())
	require.Equal(t, "this port answers only to 127.0.0.1, [::1] or localhost as Host\n", ask(h, "GET", "/", "evil.example").Body.String())
	far := NewHandler(newFake(), &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, zap.NewNop())
	require.Equal(t, "this port answers only to an IP address, localhost, the name of this machine, or a name without a dot, or one under .internal as Host\n",
		ask(far, "GET", "/", "evil.example").Body.String())
	require.Equal(t, 200, ask(far, "GET", "/", "l4fwd.localhost:9901").Code)
	require.Equal(t, "requests that change something are not taken from web pages, except from the status page of this port\n",
		ask(h, "POST", "/api/v1/drain", "localhost", "Origin", "null").Body.String())
	require.Equal(t, "this port does not answer other web pages; type its address into the browser, or use curl\n",
		ask(h, "GET", "/", "localhost", "Origin", "null").Body.String())
	require.Equal(t, 403, ask(h, "HEAD", "/", "localhost", "Origin", "null").Code)
	require.Equal(t, 200, ask(h, "HEAD", "/", "localhost").Code, "HEAD is a read")
}

// The status page's own buttons work, and /api/v1/state and /status are one.
func TestWhatThePageAsksFor(t *testing.T) {
	t.Parallel()
	d := newFake()
	d.history.Interval, d.history.Span = 4, 900
	h := NewHandler(d, loopback, zap.NewNop())
	require.JSONEq(t, ask(h, "GET", "/api/v1/status", "localhost").Body.String(), ask(h, "GET", "/api/v1/state", "localhost").Body.String())
	var history map[string]any
	require.NoError(t, json.Unmarshal(ask(h, "GET", "/api/v1/history", "localhost").Body.Bytes(), &history))
	require.Equal(t, [2]any{4.0, 900.0}, [2]any{history["interval_seconds"], history["span_seconds"]})
	w := post(h, "/api/v1/log-level", strings.NewReader(`{"level":"warn"}`), "Content-Type", "application/json; charset=utf-8",
		"Origin", "http://localhost", "Sec-Fetch-Site", "same-origin", pageHeader, "1")
	require.Equal(t, http.StatusOK, w.Code, w.Body)
	require.Equal(t, []string{"level warn 0s"}, d.asked)
	require.JSONEq(t, `{"level": "info", "configured": "info"}`, ask(h, "GET", "/api/v1/log-level", "localhost").Body.String(), "no end that is not there")
}

// The bounds of a duration: a second is the shortest that an operator can mean, 30 days the longest.
func TestTheBoundsOfADuration(t *testing.T) {
	t.Parallel()
	for text, says := range map[string]string{
		"1s": "", "720h": "", "0s": "", "999ms": "out of range: use 1s to 720h", "720h0m0.001s": "out of range", "10": "is no duration: write 10m, 90s or 1h30m",
	} {
		var d duration
		err := d.UnmarshalText([]byte(text))
		if says == "" {
			require.NoError(t, err, text)
			back, err := d.MarshalText()
			require.NoError(t, err)
			var again duration
			require.NoError(t, again.UnmarshalText(back))
			require.Equal(t, d, again)
		} else {
			require.ErrorContains(t, err, says)
		}
	}
}

// The bound of a body: 16 KiB are taken, one byte more is not.
func TestTheBoundOfABody(t *testing.T) {
	t.Parallel()
	h := NewHandler(newFake(), loopback, zap.NewNop())
	for _, c := range []struct{ size, want int }{{16 << 10, 200}, {16<<10 + 1, 413}} {
		body := `{"level":"warn"` + strings.Repeat(" ", c.size-16) + `}`
		w := post(h, "/api/v1/log-level", strings.NewReader(body), "Content-Type", "application/json")
		require.Equal(t, c.want, w.Code, w.Body)
	}
}
