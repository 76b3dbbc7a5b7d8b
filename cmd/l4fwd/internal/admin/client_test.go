package admin

import (
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/bench/testport"
)

// serving runs a handler on a listener until the test ends.
func serving(t *testing.T, l net.Listener, h http.Handler) {
	t.Helper()
	s := &httptest.Server{Listener: l, Config: &http.Server{Handler: h}}
	s.Start()
	t.Cleanup(s.Close)
}

func listen(t *testing.T, network, address string) net.Listener {
	t.Helper()
	l, err := net.Listen(network, address)
	require.NoError(t, err)
	return l
}

func TestAClientSpeaksToItsDaemon(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	for network, address := range map[string]string{"tcp": "127.0.0.1:0", "unix": path} {
		d := newFake()
		l := listen(t, network, address)
		serving(t, l, NewHandler(d, l.Addr(), zap.NewNop()))
		c := NewClient("status", network, l.Addr().String())
		s, raw, err := c.State()
		require.NoError(t, err)
		require.Equal(t, 77, s.PID)
		require.Contains(t, string(raw), `"pid": 77`)
		begun, err := c.Drain()
		require.NoError(t, err)
		require.True(t, begun)
		begun, err = c.Drain()
		require.NoError(t, err)
		require.False(t, begun)
		require.ErrorContains(t, c.Call(http.MethodGet, "/nothing", nil), l.Addr().String()+" answers 404 Not Found: 404 page not found")
	}
}

func TestWithoutADaemonTheErrorSaysWhatToDo(t *testing.T) {
	address := testport.Free(t)
	_, _, err := NewClient("status", "tcp", address).State()
	require.ErrorIs(t, err, ErrNoDaemon)
	require.EqualError(t, err, "no daemon answers on "+address+": connection refused; is it running, and with this admin.address? Name another one with --admin")
	path := filepath.Join(t.TempDir(), "none")
	_, _, err = NewClient("status", "unix", path).State()
	require.EqualError(t, err, "no daemon answers on unix:"+path+": no such file or directory; is it running, and with this admin.address? Name another one with --admin")
	require.Equal(t, "; the socket belongs to another user: try sudo", adviceFor(syscall.EACCES))
	require.Empty(t, adviceFor(syscall.ENETUNREACH))
}

// The verbs once printed what a foreign server had answered, page and all.
func TestAForeignServerIsNoDaemon(t *testing.T) {
	text := func(s string) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, s) })
	}
	for name, h := range map[string]http.Handler{
		"a page": text("<html>foreign</html>"), "JSON": text(`{"pid": 1}`), "a redirect": http.RedirectHandler("/foreign", http.StatusFound),
		"our header, no JSON":       Named(AdminPort, text("foreign")),
		"our header, no state":      Named(AdminPort, text("{}")),
		"our header, another shape": Named(AdminPort, text(`{"pid": "one"}`)),
	} {
		t.Run(name, func(t *testing.T) {
			l := listen(t, "tcp", "127.0.0.1:0")
			serving(t, l, h)
			_, _, err := NewClient("status", "tcp", l.Addr().String()).State()
			require.ErrorIs(t, err, ErrNoDaemon)
			require.EqualError(t, err, "what answers at "+l.Addr().String()+" is not l4fwd's admin address")
		})
	}
	l := listen(t, "tcp", "127.0.0.1:0")
	serving(t, l, Named(HealthPort, text("ok")))
	_, err := NewClient("drain", "tcp", l.Addr().String()).Drain()
	require.EqualError(t, err, "what answers at "+l.Addr().String()+" is not l4fwd's admin address; is this health.address? drain needs admin.address, default 127.0.0.1:9901")
}

// answering accepts one connection and writes text to it after a request.
func answering(t *testing.T, text string) (address string) {
	t.Helper()
	l := listen(t, "tcp", "127.0.0.1:0")
	done := make(chan struct{})
	go func() {
		defer close(done)
		c, err := l.Accept()
		if err != nil {
			return
		}
		_, _ = c.Read(make([]byte, 4096))
		_, _ = io.WriteString(c, text)
		c.Close()
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().String()
}

func TestAnAnswerThatBreaksOff(t *testing.T) {
	address := answering(t, "")
	_, _, err := NewClient("status", "tcp", address).State()
	require.ErrorIs(t, err, ErrNoDaemon)
	require.ErrorIs(t, err, io.EOF)
	address = answering(t, "HTTP/1.1 200 OK\r\nServer: "+AdminPort+"\r\nContent-Length: 100\r\n\r\n{")
	_, _, err = NewClient("status", "tcp", address).State()
	require.ErrorIs(t, err, ErrNoDaemon)
	address = answering(t, "SSH-2.0-foreign\r\n"+strings.Repeat("x", 100)+"\r\n")
	_, _, err = NewClient("status", "tcp", address).State()
	require.EqualError(t, err, "what answers at "+address+" is not l4fwd's admin address")
}

func TestASlowDaemonIsGivenUp(t *testing.T) {
	l := listen(t, "tcp", "127.0.0.1:0")
	defer l.Close()
	c := NewClient("status", "tcp", l.Addr().String())
	c.http.Timeout = 1 // nanosecond
	_, _, err := c.State()
	require.ErrorIs(t, err, ErrNoDaemon)
	require.ErrorContains(t, err, "nothing came within 1ns")
}
