package admin

import (
	"encoding/json"
	"fmt"
	"net/http"
	"sync"
	"time"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
)

const (
	streamInterval  = 2 * time.Second
	streamListeners = 16
	// streamPatience is how long a listener may take to read a message. One that is slower is disconnected.
	streamPatience = 5 * time.Second
)

// framePoints is how many points of the history a message has.
const framePoints = 3

// frame is one message to the status page.
type frame struct {
	At       time.Time `json:"at"`
	Headline string    `json:"headline"`
	Level    string    `json:"level"` // one of the levels below
	State    State     `json:"state"`
	LogLevel LogLevel  `json:"log_level"`
	Events   []Event   `json:"events"`
	Conns    topConns  `json:"conns"`
	// History has the newest points only. A page that lacks older ones asks for /api/v1/history.
	History metrics.History `json:"history"`
}

// How well the daemon is, for the colour of the page.
const (
	levelOK       = "ok"
	levelTrouble  = "trouble"   // ready, but
	levelNotReady = "not_ready" // clients are sent elsewhere
	levelDraining = "draining"
)

// stream sends the state to status pages as server-sent events. All listeners share a message, which is made when the first
// of them asks for it: nothing is computed while nobody listens. A listener costs a goroutine and no queue.
type stream struct {
	d     Daemon
	top   *top
	slots chan struct{}

	interval, patience time.Duration // streamInterval, streamPatience; tests are in more of a hurry

	mu   sync.Mutex
	made time.Time
	data []byte
}

// newStream makes the stream of a daemon. It does nothing while nobody listens.
func newStream(d Daemon, l *looks) *stream {
	return &stream{d: d, top: newTop(d, l), slots: make(chan struct{}, streamListeners), interval: streamInterval, patience: streamPatience}
}

// ServeHTTP sends messages until the listener leaves or is too slow.
func (s *stream) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case s.slots <- struct{}{}:
		defer func() { <-s.slots }()
	default:
		w.Header().Set("Retry-After", "10")
		failed(w, http.StatusServiceUnavailable, fmt.Errorf("%d status pages are open already: close one", streamListeners))
		return
	}
	w.Header().Set("Content-Type", "text/event-stream")
	w.Header().Set("Cache-Control", "no-store")
	t := time.NewTicker(s.interval)
	defer t.Stop()
	for s.send(w) == nil {
		select {
		case <-r.Context().Done():
			return
		case <-t.C:
		}
	}
}

// send sends the present message.
func (s *stream) send(w http.ResponseWriter) error {
	data, err := s.message()
	if err != nil {
		return err
	}
	c := http.NewResponseController(w)
	if err := c.SetWriteDeadline(time.Now().Add(s.patience)); err != nil {
		return err
	}
	if _, err := w.Write(data); err != nil {
		return err
	}
	return c.Flush()
}

// message returns the present message, which others may have asked for a moment ago.
func (s *stream) message() ([]byte, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Since(s.made) < s.interval/2 {
		return s.data, nil
	}
	body, err := json.Marshal(s.frame())
	if err != nil {
		return nil, err
	}
	s.made, s.data = time.Now(), []byte("retry: 2000\nevent: frame\ndata: "+string(body)+"\n\n")
	return s.data, nil
}

// frame describes the daemon as of now.
func (s *stream) frame() frame {
	f := frame{
		At: time.Now().UTC(), State: s.d.State(), LogLevel: s.d.LogLevel(), Events: append([]Event{}, s.d.Events()...),
		Conns: s.top.list(), History: s.d.History(),
	}
	f.History.Points = f.History.Points[max(len(f.History.Points)-framePoints, 0):]
	f.Headline, f.Level = verdict(f.State)
	return f
}

// verdict is what an operator reads first.
func verdict(s State) (line, level string) {
	switch {
	case s.Draining:
		return fmt.Sprintf("draining, %d connections open", s.Proxy.Active), levelDraining
	case !s.Ready:
		line = "not ready"
		for _, c := range s.Conditions {
			if !c.OK {
				return line + ": " + c.Name + ": " + c.Reason, levelNotReady
			}
		}
		return line, levelNotReady
	}
	if line = headline(s); line != "ready" {
		return line, levelTrouble
	}
	return line, levelOK
}
