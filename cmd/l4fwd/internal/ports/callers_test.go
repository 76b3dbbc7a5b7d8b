package ports

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The caller that asks for an upgrade got no answer: the old process closed its ports while the answer was on its way.
func TestACallerThatWasAcceptedIsAnswered(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	asked, answer, other := make(chan bool), make(chan bool), make(chan http.ConnState, 8)
	srv := &http.Server{
		Handler: http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			close(asked)
			<-answer
			_, _ = io.WriteString(w, "upgraded")
		}),
		ConnState: func(_ net.Conn, s http.ConnState) { other <- s },
	}
	var c Callers
	c.Count(srv)
	stopped := make(chan struct{})
	go func() {
		_ = srv.Serve(l)
		close(stopped)
	}()
	got := make(chan string)
	go func() {
		res, err := http.Get("http://" + l.Addr().String())
		if err != nil {
			got <- err.Error()
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		got <- string(body)
	}()
	<-asked
	require.Equal(t, http.StateNew, <-other, "whoever watched the connections before still does")
	time.AfterFunc(20*time.Millisecond, func() { close(answer) })
	c.AnswerLast(l, srv, stopped, time.Minute)
	require.Zero(t, c.open.Load(), "it returned before the caller was answered")
	require.NoError(t, srv.Close())
	require.Equal(t, "upgraded", <-got)
}

// A process that has handed over must end, whoever still holds a connection.
func TestACallerThatIsNeverDoneDelaysTheEndOnce(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var c Callers
	c.open.Store(1)
	stopped := make(chan struct{})
	close(stopped)
	began := time.Now()
	c.AnswerLast(l, &http.Server{}, stopped, 10*time.Millisecond)
	require.GreaterOrEqual(t, time.Since(began), 10*time.Millisecond)
	_, err = l.Accept()
	require.ErrorIs(t, err, net.ErrClosed)
}
