package health

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// A source that opens connections and says nothing used to keep every slot, and the load balancer waited for 20 s.
func TestSilentSourceDoesNotStarveOthers(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "ok\n") }), nil)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(Listener(ln)) }()
	defer func() { srv.Close(); <-done }()
	for range 3 * MaxConnections {
		c, err := net.Dial("tcp", ln.Addr().String())
		require.NoError(t, err)
		defer c.Close()
	}
	other := http.Client{
		Timeout: 2 * time.Second,
		Transport: &http.Transport{
			DisableKeepAlives: true,
			DialContext:       (&net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 0, 2)}}).DialContext,
		},
	}
	for range 5 {
		r, err := other.Get("http://" + ln.Addr().String())
		require.NoError(t, err)
		require.NoError(t, r.Body.Close())
	}
}
