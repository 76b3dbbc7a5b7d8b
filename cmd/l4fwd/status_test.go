package main

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// status and drain said what a foreign server had answered, page and all.
func TestForeignServersAreNoAdminAddress(t *testing.T) {
	page := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "<html>foreign</html>") })
	json := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"pid": 1}`) })
	away := http.RedirectHandler("/foreign", http.StatusFound)
	broken := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { http.Error(w, "foreign", http.StatusInternalServerError) })
	addrs := map[string]string{"speaks no HTTP": greeter(t)}
	for name, handler := range map[string]http.Handler{"page": page, "json": json, "redirect": away, "error": broken} {
		s := httptest.NewServer(handler)
		defer s.Close()
		addrs[name] = s.Listener.Addr().String()
	}
	tls := httptest.NewTLSServer(page)
	defer tls.Close()
	addrs["TLS"] = tls.Listener.Addr().String()
	for name, addr := range addrs {
		t.Run(name, func(t *testing.T) {
			want := outcome{exitNoDaemon, "", "l4fwd: what answers at " + addr + " is not l4fwd's admin address\n"}
			require.Equal(t, want, l4fwd(t, nil, "status", "--admin", addr))
			want.code = exitFailure
			require.Equal(t, want, l4fwd(t, nil, "drain", "--admin", addr))
		})
	}
}

// greeter speaks first, as SSH does.
func greeter(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			_, _ = io.WriteString(c, "SSH-2.0-foreign\r\n"+strings.Repeat("x", 100)+"\r\n")
			_, _ = c.Read(make([]byte, 4096))
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

// 640 callers that connect to the admin port and say nothing kept an operator waiting for 27 s.
func TestStatusIsAnsweredBesideSilentCallers(t *testing.T) {
	t.Parallel()
	p := started(t, nil)
	for range 640 {
		c, err := net.Dial("tcp", p.admin)
		require.NoError(t, err)
		defer c.Close()
	}
	begun := time.Now()
	o := l4fwd(t, nil, "status", "--admin", p.admin)
	require.NotEqual(t, 3, o.code, "%s%s", o.stdout, o.stderr)
	require.Less(t, time.Since(begun), 10*time.Second)
}
