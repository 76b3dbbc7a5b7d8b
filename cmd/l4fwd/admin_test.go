package main

import (
	"encoding/json"
	"errors"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
)

type addrOnly struct {
	nowhere
	addr net.Addr
}

func (a addrOnly) Addr() net.Addr { return a.addr }

func adminHandler(d *daemon, addr net.Addr) http.Handler {
	return newAdminServer(d, addrOnly{addr: addr}).Handler
}

func ask(h http.Handler, method, path, host, origin string) *httptest.ResponseRecorder {
	r := httptest.NewRequest(method, path, nil)
	r.Host = host
	if origin != "" {
		r.Header.Set("Origin", origin)
	}
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

func TestThePortOfOperatorsIsNoneOfBrowsers(t *testing.T) {
	d, _ := newFakeDaemon(t)
	loopback := adminHandler(d, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1), Port: 9901})
	for host, want := range map[string]int{
		"127.0.0.1:9901": 200, "localhost:9901": 200, "localhost": 200, "LOCALHOST.:9901": 200, "[::1]:9901": 200, "127.1.2.3": 200,
		"evil.example:9901": 403, "localhost.evil.example": 403, "10.0.0.1": 403, "": 403,
	} {
		require.Equal(t, want, ask(loopback, "GET", "/api/v1/status", host, "").Code, host)
	}
	require.Equal(t, 403, ask(loopback, "POST", "/api/v1/drain", "localhost", "http://localhost:9901").Code)
	require.Equal(t, 403, ask(loopback, "POST", "/api/v1/drain", "localhost", "null").Code)
	require.Empty(t, d.asked)

	unix := adminHandler(d, &net.UnixAddr{Name: "/run/x", Net: "unix"})
	require.Equal(t, 200, ask(unix, "GET", "/api/v1/status", "anything", "").Code)
	remote := adminHandler(d, &net.TCPAddr{IP: net.IPv6unspecified, Port: 9901})
	require.Equal(t, 200, ask(remote, "GET", "/", "proxy.internal", "").Code)
}

func TestAdminAnswers(t *testing.T) {
	d, fwd := newFakeDaemon(t)
	fwd.upstreams = errors.New("dais24: no address <yet>")
	h := adminHandler(d, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)})

	var s State
	w := ask(h, "GET", "/api/v1/status", "localhost", "")
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &s))
	require.False(t, s.Ready)
	require.Equal(t, os.Getpid(), s.PID)
	require.Equal(t, ConditionState{"upstream", false, "dais24: no address <yet>"}, s.Conditions[1])
	require.Equal(t, "dais24", s.Proxy.Upstreams[0].Name)
	require.Equal(t, "no-store", w.Header().Get("Cache-Control"))

	w = ask(h, "GET", "/", "localhost", "")
	require.Equal(t, 200, w.Code)
	require.Contains(t, w.Body.String(), "not ready")
	require.Contains(t, w.Body.String(), "no address &lt;yet&gt;")
	require.NotContains(t, strings.ReplaceAll(w.Body.String(), "http-equiv", ""), "http", "no external assets")

	require.Equal(t, 405, ask(h, "GET", "/api/v1/drain", "localhost", "").Code)
	require.Equal(t, 404, ask(h, "GET", "/nothing", "localhost", "").Code)
	require.Equal(t, 200, ask(h, "GET", "/debug/pprof/", "localhost", "").Code)

	w = ask(h, "POST", "/api/v1/drain", "localhost", "")
	require.Equal(t, 202, w.Code)
	require.Equal(t, "the admin API", <-d.asked)
	d.draining.Store(true)
	require.Equal(t, 200, ask(h, "POST", "/api/v1/drain", "localhost", "").Code)
	require.Empty(t, d.asked)
}

func TestAdminSocketIsPrivateAndReplacesAStaleOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	cfg := config.Admin{Address: config.Endpoint{Unix: path}}

	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	require.NoError(t, err)
	stale.SetUnlinkOnClose(false)
	require.NoError(t, stale.Close())

	l, err := listenAdmin(cfg)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	_, err = listenAdmin(cfg)
	require.ErrorContains(t, err, "is in use: another l4fwd runs")
	require.NoError(t, l.Close())

	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err = listenAdmin(cfg)
	require.ErrorContains(t, err, "a file that is no socket is there")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}

func TestStatusTextSaysWhatIsWrongFirst(t *testing.T) {
	d, fwd := newFakeDaemon(t)
	text := func() string {
		var b strings.Builder
		writeState(&b, d.state())
		return b.String()
	}
	require.True(t, strings.HasPrefix(text(), "ready\n"))
	fwd.upstreams = errors.New("dais24: no address")
	got := text()
	require.True(t, strings.HasPrefix(got, "NOT READY\n  upstream: dais24: no address\n"), got)
	for _, want := range []string{"engine epoll, 2 loops", "connections 3 of 9872", "UNUSABLE", "192.0.2.2:443", "failing, 3 failed", "1.5 MB", "2.0 GB", "7s", "dns: 10.0.0.2: timeout",
		"aoai: refused since the start: vpce_denied 4, hello_bad 1, limit_connections 1\n"} {
		require.Contains(t, got, want)
	}
	require.Regexp(t, `\[::\]:8443 +opened +dais24`, got)
	fwd.upstreams, fwd.failing = nil, "every address fails; last: connect_refused"
	d.cfg.Listeners[0].Name, d.sources = "aoai", map[string]string{"aoai": sourceSystemd}
	got = text()
	require.Regexp(t, `dais24 +dais24\.example:443 +FAILING `, got)
	require.Contains(t, got, "dais24: FAILING: every address fails; last: connect_refused\n")
	require.Regexp(t, `\[::\]:8443 +systemd +dais24`, got)
	d.draining.Store(true)
	require.True(t, strings.HasPrefix(text(), "DRAINING, 3 connections open\n"))
}
