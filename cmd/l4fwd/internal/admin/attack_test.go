package admin

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// Callers that ask for all connections and read nothing take the few places there are, for a bounded time: others are answered
// at once that there is none, and get one as soon as the time is over.
func TestCallersThatDoNotReadAListingAreLetGo(t *testing.T) {
	d := newFake()
	d.conns = many(9000) // megabytes: more than the kernel takes
	looks := newLooks()
	looks.limit = 2 * time.Second
	h := handlers{Daemon: d, log: zap.NewNop(), looks: looks}
	l := listen(t, "tcp", "127.0.0.1:0")
	serving(t, l, http.HandlerFunc(h.conns))
	t.Cleanup(func() { looks.forget.Stop() })

	for range looksAtOnce {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		require.NoError(t, c.(*net.TCPConn).SetReadBuffer(4096))
		_, err = io.WriteString(c, "GET /api/v1/conns HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
	}
	require.Eventually(t, func() bool { return len(looks.places) == looksAtOnce }, 30*time.Second, time.Millisecond)
	status := func() int {
		c, err := net.Dial("tcp", l.Addr().String())
		require.NoError(t, err)
		defer c.Close()
		_, err = io.WriteString(c, "GET /api/v1/conns?limit=1 HTTP/1.1\r\nHost: localhost\r\n\r\n")
		require.NoError(t, err)
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		require.NoError(t, err)
		defer resp.Body.Close()
		return resp.StatusCode
	}
	require.Equal(t, http.StatusServiceUnavailable, status())
	require.Eventually(t, func() bool { return status() == http.StatusOK }, 30*time.Second, 10*time.Millisecond)
}

// A filter is a text that is compared, however long: no pattern, nothing that takes time, and no error that repeats it whole.
func TestALongFilterIsATextLikeAnyOther(t *testing.T) {
	d := newFake()
	d.conns = many(9000)
	h, l := handlerOf(d)
	long := strings.Repeat("(a%2B)%2B", 50_000) // (a+)+
	for _, key := range []string{"sni", "upstream", "listener", "client", "address"} {
		list := decoded[ConnList](t, ask(h, "GET", "/api/v1/conns?"+key+"="+long, "localhost"))
		require.Zero(t, list.Found, key)
		require.Equal(t, 9000, list.Total)
	}
	l.forget.Stop()
	for _, query := range []string{"sort=" + long, "state=" + long, long + "=x", "limit=" + strings.Repeat("9", 50_000), "reverse=" + long, "limit=99999999999999999999"} {
		w := ask(h, "GET", "/api/v1/conns?"+query, "localhost")
		require.Equal(t, 400, w.Code, fmt.Sprintf("%.30s", query))
		require.Less(t, w.Body.Len(), 1000)
	}
}
