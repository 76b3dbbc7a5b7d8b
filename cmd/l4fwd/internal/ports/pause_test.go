package ports

import (
	"io"
	"net"
	"net/http"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// accepting accepts until the listener is closed, and tells of each client.
func accepting(t *testing.T, l net.Listener) (accepted chan net.Conn) {
	accepted = make(chan net.Conn, 10)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			accepted <- c
		}
	}()
	t.Cleanup(func() {
		l.Close()
		<-done
		close(accepted)
		for c := range accepted {
			c.Close()
		}
	})
	return accepted
}

// While a port is paused, its clients are another process's: it has the same socket.
func TestClientsOfAPausedPortAreLeftToAnotherProcess(t *testing.T) {
	t.Parallel()
	raw, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := &Pausable{Listener: raw}
	accepted := accepting(t, p)
	dial := func() {
		t.Helper()
		c, err := net.Dial("tcp", raw.Addr().String())
		require.NoError(t, err)
		t.Cleanup(func() { c.Close() })
	}
	dial()
	(<-accepted).Close()
	f, err := raw.(*net.TCPListener).File()
	require.NoError(t, err)
	defer f.Close()
	other, err := net.FileListener(f)
	require.NoError(t, err)
	defer other.Close()

	require.NoError(t, p.Pause())
	require.NoError(t, p.Pause(), "twice is once")
	dial()
	c, err := other.Accept()
	require.NoError(t, err)
	require.NoError(t, c.Close())
	require.Empty(t, accepted)

	p.Resume()
	p.Resume()
	dial()
	(<-accepted).Close()

	require.NoError(t, p.Pause())
	require.NoError(t, p.Close(), "a paused one ends, too")
	require.NoError(t, p.Pause())
	_, err = p.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}

// late is a listener whose Accept has looked at the deadline already when one is set: it ends when the test says so.
type late struct {
	net.Listener
	begun   chan struct{}
	answers chan error
}

func (l *late) Accept() (net.Conn, error)   { l.begun <- struct{}{}; return nil, <-l.answers }
func (l *late) SetDeadline(time.Time) error { return nil }

// A port that was paused while it was about to accept took one more client, for whom the other process waited in vain.
func TestAPauseWaitsForAnAcceptUnderWay(t *testing.T) {
	t.Parallel()
	const moment = 50 * time.Millisecond
	l := &late{begun: make(chan struct{}), answers: make(chan error)}
	p := &Pausable{Listener: l}
	accepted, paused := make(chan error), make(chan error)
	go func() { _, err := p.Accept(); accepted <- err }()
	<-l.begun
	go func() { paused <- p.Pause() }()
	select {
	case <-paused:
		t.Fatal("it is paused, and accepts")
	case <-time.After(moment):
	}
	l.answers <- os.ErrDeadlineExceeded
	require.NoError(t, <-paused)
	select {
	case <-l.begun:
		t.Fatal("it accepts while it is paused")
	case <-time.After(moment):
	}
	p.Resume()
	<-l.begun
	l.answers <- net.ErrClosed
	require.ErrorIs(t, <-accepted, net.ErrClosed)
}

// Connections that are kept for a next request end, and one under way is answered first.
func TestRequestsUnderWayAreAnsweredBeforeAHandOver(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asked, answer := make(chan bool, 1), make(chan bool)
	srv := &http.Server{Handler: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			asked <- true
			<-answer
		}
		_, _ = io.WriteString(w, "ok")
	})}
	var c Callers
	c.Count(srv)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(l) }()
	defer func() { srv.Close(); <-done }()
	get := func(path string) error {
		res, err := http.Get("http://" + l.Addr().String() + path)
		if err != nil {
			return err
		}
		defer res.Body.Close()
		_, err = io.ReadAll(res.Body)
		return err
	}
	require.NoError(t, get("/")) // its connection is kept
	got := make(chan error, 1)
	go func() { got <- get("/slow") }()
	<-asked
	c.Settle(srv, time.Millisecond) // not for ever
	require.Eventually(t, func() bool { return c.open.Load() == 1 }, 20*time.Second, time.Millisecond, "only the one under way is left")
	time.AfterFunc(10*time.Millisecond, func() { close(answer) })
	c.Settle(srv, time.Minute)
	require.Zero(t, c.open.Load())
	require.NoError(t, <-got)
}
