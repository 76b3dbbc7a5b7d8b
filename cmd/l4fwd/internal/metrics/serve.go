package metrics

import (
	"bytes"
	"maps"
	"net/http"
	"sync"
	"time"
)

const (
	// rendersAtOnce is how many scrapes are put together at once. One takes milliseconds, and several times the memory of its text.
	rendersAtOnce = 2
	// unreadBytes bounds the texts that callers have not taken yet. A text that is larger by itself is sent if no other waits.
	unreadBytes = 8 << 20
	// stallTimeout is how long a caller may take for a piece of its text, which the kernel takes at once if the caller reads.
	stallTimeout = 2 * time.Second
	pieceBytes   = 64 << 10
	// sendTimeout is how long a caller may take for its whole text: Prometheus' default scrape timeout.
	sendTimeout = 10 * time.Second
)

// bounded serves the texts of a handler to callers that may not read them. A text is complete before its first byte is sent, so
// that a slow caller holds only the text, and no caller holds up the making of another's.
type bounded struct {
	texts  http.Handler
	render chan struct{} // has room for those at once

	mu     sync.Mutex
	unread int // bytes
}

// newBounded bounds a handler whose answers are short-lived texts.
func newBounded(texts http.Handler) *bounded {
	return &bounded{texts: texts, render: make(chan struct{}, rendersAtOnce)}
}

// ServeHTTP answers with the handler's text, or with 503 while others have not taken theirs.
func (b *bounded) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	select {
	case b.render <- struct{}{}:
	case <-r.Context().Done():
		return
	}
	t := &text{header: http.Header{}, status: http.StatusOK}
	if !b.make(t, r) {
		w.Header().Set("Retry-After", "2")
		http.Error(w, "callers that do not read hold too much", http.StatusServiceUnavailable)
		return
	}
	defer b.taken(t.body.Len())
	maps.Copy(w.Header(), t.header)
	w.WriteHeader(t.status)
	send(w, t.body.Bytes())
}

// make has the handler write its text, and returns whether there is room for it until it is taken. It gives back the place in
// b.render that the caller took.
func (b *bounded) make(t *text, r *http.Request) bool {
	defer func() { <-b.render }()
	b.texts.ServeHTTP(t, r)
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.unread > 0 && b.unread+t.body.Len() > unreadBytes {
		return false
	}
	b.unread += t.body.Len()
	return true
}

// taken ends what make counted.
func (b *bounded) taken(n int) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.unread -= n
}

// send writes a text piece by piece and gives up on a caller that does not take one in time.
func send(w http.ResponseWriter, body []byte) {
	deadlines, end := http.NewResponseController(w), time.Now().Add(sendTimeout)
	for len(body) > 0 {
		_ = deadlines.SetWriteDeadline(earlier(time.Now().Add(stallTimeout), end)) // a writer without deadlines is one of a test
		n, err := w.Write(body[:min(len(body), pieceBytes)])
		if err != nil {
			return
		}
		body = body[n:]
	}
}

// earlier returns the earlier of two times.
func earlier(a, b time.Time) time.Time {
	if a.Before(b) {
		return a
	}
	return b
}

// text is an answer that is kept instead of sent.
type text struct {
	header http.Header
	status int
	body   bytes.Buffer
}

// Header returns the map itself, not a copy, as http.ResponseWriter wants it.
func (t *text) Header() http.Header { return t.header }

// WriteHeader keeps the last status; 0 means that none was set, which is 200.
func (t *text) WriteHeader(status int)      { t.status = status }
func (t *text) Write(b []byte) (int, error) { return t.body.Write(b) }
