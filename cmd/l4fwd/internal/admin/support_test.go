package admin

import (
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// readAt is what a client reads at a path.
func readAt(t *testing.T, addr net.Addr, path string) (string, error) {
	t.Helper()
	body, err := NewClient("bundle", "tcp", addr.String()).Open(t.Context(), path)
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := io.ReadAll(body)
	require.NoError(t, err)
	return string(text), nil
}

// A support case gets the log, the configuration and the metrics from the one port that is always known.
func TestWhatASupportCaseAsksFor(t *testing.T) {
	d := &fake{}
	srv := httptest.NewServer(NewHandler(d, &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, zap.NewNop()))
	defer srv.Close()
	at := srv.Listener.Addr()
	for path, want := range map[string]string{"/api/v1/log": "a line\n", "/api/v1/config": "loops: 2\n", "/metrics": "l4fwd_up 1\n"} {
		text, err := readAt(t, at, path)
		require.NoError(t, err)
		require.Equal(t, want, text)
	}
	for _, path := range []string{"/api/v1/log", "/api/v1/config"} {
		w := ask(NewHandler(d, loopback, zap.NewNop()), "GET", path, "localhost")
		require.Equal(t, "text/plain; charset=utf-8", w.Header().Get("Content-Type"), "a browser shows it, and runs nothing of it")
	}
	_, err := readAt(t, at, "/api/v1/nonsense")
	require.EqualError(t, err, "this version of the daemon does not have it")
	d.refuses = errors.New("no")
	_, err = readAt(t, at, "/api/v1/config")
	require.ErrorContains(t, err, "answers 500 Internal Server Error")
}

// What answers in the daemon's place, or nothing, is said to be that.
func TestOpenMeetsNoDaemon(t *testing.T) {
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Set("Server", "nginx") }))
	defer other.Close()
	_, err := readAt(t, other.Listener.Addr(), "/metrics")
	require.ErrorIs(t, err, ErrNoDaemon)
	other.Close()
	_, err = readAt(t, other.Listener.Addr(), "/metrics")
	require.ErrorIs(t, err, ErrNoDaemon)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	_, err = NewClient("bundle", "tcp", other.Listener.Addr().String()).Open(ctx, "/metrics")
	require.ErrorIs(t, err, context.Canceled)
}

// The verb bundle may use any name of an admin address that is not loopback, as the other verbs.
func TestOpenIsKnownAsAVerb(t *testing.T) {
	srv := httptest.NewServer(NewHandler(&fake{}, &net.TCPAddr{IP: net.IPv4(10, 0, 0, 1)}, zap.NewNop()))
	defer srv.Close()
	c := NewClient("bundle", "tcp", srv.Listener.Addr().String())
	c.host = "admin.example:9901"
	body, err := c.Open(t.Context(), "/api/v1/log")
	require.NoError(t, err)
	require.NoError(t, body.Close())
}
