package metrics

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"runtime"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"
)

// bigText is larger than what the kernel keeps for a caller that does not read.
var bigText = bytes.Repeat([]byte("l4fwd_something{of=\"some length\"} 1\n"), 3<<20/36)

// silent asks for the text and never reads it.
func silent(t *testing.T, addr string) {
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	_ = c.(*net.TCPConn).SetReadBuffer(4 << 10)
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: l4fwd\r\n\r\n")
	require.NoError(t, err)
}

// 128 scrapers that never read cost 200 MiB, and kept Prometheus out for 10 s. Now they hold a bounded amount, are given up soon,
// and whoever reads gets its text.
func TestScrapersThatDoNotReadHoldLittle(t *testing.T) {
	var rendering, most, rendered atomic.Int64
	b := newBounded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		most.Store(max(most.Load(), rendering.Add(1)))
		defer rendering.Add(-1)
		_, _ = w.Write(bigText)
		rendered.Add(1)
	}))
	srv := httptest.NewUnstartedServer(b)
	srv.Config.ConnContext = func(ctx context.Context, c net.Conn) context.Context { // as the health port does
		_ = c.(*net.TCPConn).SetWriteBuffer(32 << 10)
		return ctx
	}
	srv.Start()
	defer srv.Close()
	addr := srv.Listener.Addr().String()
	var before runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&before)
	for range 128 {
		silent(t, addr)
	}
	held := func() int { b.mu.Lock(); defer b.mu.Unlock(); return b.unread }
	require.Eventually(t, func() bool { return held() > unreadBytes/2 }, 5*time.Second, time.Millisecond)
	require.Eventually(t, func() bool { return rendered.Load() == 128 }, 20*time.Second, time.Millisecond, "the heap is measured once nothing is being made")
	var during runtime.MemStats
	runtime.GC()
	runtime.ReadMemStats(&during)
	require.LessOrEqual(t, held(), unreadBytes)
	require.Less(t, int64(during.HeapAlloc)-int64(before.HeapAlloc), int64(4*unreadBytes), "bytes on the heap")
	require.LessOrEqual(t, most.Load(), int64(rendersAtOnce))

	require.Eventually(t, func() bool {
		resp, err := http.Get(srv.URL)
		if err != nil {
			return false
		}
		defer resp.Body.Close()
		got, err := io.ReadAll(resp.Body)
		return err == nil && resp.StatusCode == http.StatusOK && len(got) == len(bigText)
	}, 4*stallTimeout, 50*time.Millisecond, "a caller that reads is answered once the others are given up")
	http.DefaultClient.CloseIdleConnections()
	require.Eventually(t, func() bool { return held() == 0 }, 4*stallTimeout, 10*time.Millisecond)
}

// A text that is larger than all may hold is sent if no other waits, with the status and the headers of its handler.
func TestALargeTextIsSentAlone(t *testing.T) {
	b := newBounded(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/x-large")
		w.WriteHeader(http.StatusAccepted)
		_, _ = w.Write(make([]byte, unreadBytes+1))
	}))
	w := httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusAccepted, w.Code)
	require.Equal(t, "text/x-large", w.Header().Get("Content-Type"))
	require.Equal(t, unreadBytes+1, w.Body.Len())
	require.Zero(t, b.unread)

	b.unread = 1
	w = httptest.NewRecorder()
	b.ServeHTTP(w, httptest.NewRequest(http.MethodGet, "/", nil))
	require.Equal(t, http.StatusServiceUnavailable, w.Code)
	require.Equal(t, "2", w.Header().Get("Retry-After"))
	require.NotEqual(t, "text/x-large", w.Header().Get("Content-Type"))
	require.Equal(t, 1, b.unread, fmt.Sprint("nothing was added: ", b.unread))
}

// slowWriter takes a second for each piece, and keeps the deadlines that were set; at its last piece it fails.
type slowWriter struct {
	http.ResponseWriter
	began     time.Time
	deadlines []time.Duration // since began
	sizes     []int
	fails     int // the piece that fails
}

func (w *slowWriter) SetWriteDeadline(at time.Time) error {
	w.deadlines = append(w.deadlines, at.Sub(w.began))
	return nil
}

func (w *slowWriter) Write(b []byte) (int, error) {
	time.Sleep(time.Second)
	if w.sizes = append(w.sizes, len(b)); len(w.sizes) == w.fails {
		return 0, errors.New("timeout")
	}
	return len(b), nil
}

// A caller has two seconds for a piece of 64 KiB and ten for all; one that does not take a piece gets no other.
func TestACallerHasTwoSecondsForAPieceAndTenForAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &slowWriter{began: time.Now(), fails: 12}
		send(w, make([]byte, 20*64<<10))
		require.Len(t, w.sizes, 12)
		require.Equal(t, 64<<10, w.sizes[0])
		require.Equal(t, 2*time.Second, w.deadlines[0])
		require.Equal(t, 9*time.Second, w.deadlines[7])
		require.Equal(t, 10*time.Second, w.deadlines[9])
		require.Equal(t, 10*time.Second, w.deadlines[11])
	})
}
