package health

import (
	"bytes"
	"context"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// AliveTimeout is how long /livez waits for the loops to turn. Kubernetes gives a probe 1 s by default and an AWS load
// balancer 6 s; a loop that needs 2 s for a turn is stuck by any measure.
const AliveTimeout = 2 * time.Second

// Handle mounts /livez and /readyz on mux. alive returns nil once every loop has turned, or an error when its context
// ends first. Both answer GET and HEAD only.
func Handle(mux *http.ServeMux, h *Health, alive func(context.Context) error) {
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithTimeout(r.Context(), AliveTimeout)
		defer cancel()
		if err := alive(ctx); err != nil {
			answer(w, http.StatusServiceUnavailable, Condition{"loops", err}.line())
			return
		}
		answer(w, http.StatusOK, "ok\n")
	})
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, r *http.Request) {
		_, verbose := r.URL.Query()["verbose"]
		status, body := readyz(h, verbose)
		answer(w, status, body)
	})
}

// readyz returns status and body of /readyz: the failing conditions, or all of them with their notes if verbose.
func readyz(h *Health, verbose bool) (status int, body string) {
	var b bytes.Buffer
	status = http.StatusOK
	for _, c := range h.Conditions() {
		if c.Err != nil {
			status = http.StatusServiceUnavailable
		}
		switch {
		case verbose && c.Err == nil:
			fmt.Fprintf(&b, "[+]%s ok\n", c.Name)
		case verbose:
			b.WriteString("[-]" + c.line())
		case c.Err != nil:
			b.WriteString(c.line())
		}
		if verbose {
			writeNotes(&b, c.Reason(), h.describe(c.Name))
		}
	}
	if b.Len() == 0 {
		b.WriteString("ok\n")
	}
	return status, b.String()
}

// writeNotes writes the notes of a condition, each once, and none that its reason contains.
func writeNotes(b *bytes.Buffer, reason string, notes []string) {
	said := make(map[string]bool)
	for _, note := range notes {
		note = strings.Join(strings.Fields(note), " ")
		if !said[note] && !strings.Contains(reason, note) {
			fmt.Fprintf(b, "   %s\n", note)
		}
		said[note] = true
	}
}

// line is a failing condition as the answers show it.
func (c Condition) line() string { return c.Name + ": " + c.Reason() + "\n" }

// answer writes a plain text.
func answer(w http.ResponseWriter, status int, body string) {
	h := w.Header()
	h.Set("Content-Type", "text/plain; charset=utf-8")
	h.Set("X-Content-Type-Options", "nosniff")
	w.WriteHeader(status)
	_, _ = w.Write([]byte(body)) // a caller that went away is no fault of ours
}
