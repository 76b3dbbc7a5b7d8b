package ports

import (
	"io"
	"net"
	"net/http"
	"sync/atomic"
	"time"
)

// Callers counts the open connections of one HTTP server. The zero value counts none.
type Callers struct{ open atomic.Int64 }

// Count makes the server report its connections. Call it before the server serves; what its ConnState was is still called.
func (c *Callers) Count(srv *http.Server) {
	before := srv.ConnState
	srv.ConnState = func(conn net.Conn, state http.ConnState) {
		switch state {
		case http.StateNew:
			c.open.Add(1)
		case http.StateClosed, http.StateHijacked:
			c.open.Add(-1)
		}
		if before != nil {
			before(conn, state)
		}
	}
}

// LastAnswers is how long a process that has handed over still answers requests that it has begun to serve, at most.
const LastAnswers = time.Second

// AnswerLast closes the port and returns when every caller that was accepted has been answered, or after limit: one of them
// may have asked for the upgrade. done is closed when the server has stopped accepting; only then are all callers known.
// Server.Shutdown would drop requests that are still on their way.
func (c *Callers) AnswerLast(port io.Closer, srv *http.Server, done <-chan struct{}, limit time.Duration) {
	_ = port.Close()
	<-done
	srv.SetKeepAlivesEnabled(false)
	for end := time.Now().Add(limit); c.open.Load() > 0 && time.Now().Before(end); {
		time.Sleep(5 * time.Millisecond)
	}
}
