package standin

import (
	"bytes"
	"fmt"
	"net/http"
	"time"
)

// Answer says how the stand-in answers what its firewall lets through: as the service does, or in one of the ways in which a
// server, or a proxy on the way to it, is known to misbehave. A health check must cope with each.
type Answer string

// The answers.
const (
	AnswerService  Answer = "service"  // the service's own
	AnswerNotFound Answer = "404"      // every path is unknown
	AnswerThrottle Answer = "429"      // too many requests
	AnswerBroken   Answer = "500"      // an internal error
	AnswerRedirect Answer = "redirect" // 301 to another host
	AnswerLarge    Answer = "large"    // 200 with a body of a MiB
	AnswerStalled  Answer = "stalled"  // 200 with half of the body that it announces, and then nothing for 30 s
	AnswerHTTP10   Answer = "http/1.0" // 401 as an HTTP/1.0 server writes it, without a length
)

// Answers lists the values of Answer.
func Answers() []Answer {
	return []Answer{AnswerService, AnswerNotFound, AnswerThrottle, AnswerBroken, AnswerRedirect, AnswerLarge, AnswerStalled, AnswerHTTP10}
}

const (
	bodyThrottle = `{"error":{"code":"429","message": "Requests have exceeded call rate limit of your current pricing tier. Please retry after 60 seconds."}}`
	bodyBroken   = `{"error":{"code":"InternalServerError","message":"Internal server error"}}`
)

// largeBody is the size of AnswerLarge, stall how long AnswerStalled is silent.
const (
	largeBody = 1 << 20
	stall     = 30 * time.Second
)

// misbehave answers a request in the way of Options.Answer, which is not AnswerService.
func (h *handler) misbehave(w http.ResponseWriter, r *http.Request) {
	switch h.Answer {
	case AnswerNotFound:
		h.refuse(w, http.StatusNotFound, bodyNotFound)
	case AnswerThrottle:
		w.Header().Set("Retry-After", "60")
		h.refuse(w, http.StatusTooManyRequests, bodyThrottle)
	case AnswerBroken:
		h.refuse(w, http.StatusInternalServerError, bodyBroken)
	case AnswerRedirect:
		w.Header().Set("Location", "https://elsewhere.example/")
		h.refuse(w, http.StatusMovedPermanently, "")
	case AnswerLarge:
		h.respond(w, http.StatusOK, bytes.Repeat([]byte("x"), largeBody))
	case AnswerStalled:
		h.stall(w, r)
	case AnswerHTTP10:
		h.http10(w)
	}
}

// stall sends the head and half of a body. It goes on when the client is gone, or after 30 s.
func (h *handler) stall(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Length", "100")
	w.WriteHeader(http.StatusOK)
	_, _ = w.Write(bytes.Repeat([]byte("x"), 50)) // a client that is gone needs no answer
	_ = http.NewResponseController(w).Flush()
	select {
	case <-r.Context().Done():
	case <-time.After(stall):
	}
}

// http10 answers as a server of the nineties does.
func (h *handler) http10(w http.ResponseWriter) {
	c, _, err := http.NewResponseController(w).Hijack()
	if err != nil { // HTTP/2 has no such answer
		h.refuse(w, http.StatusUnauthorized, bodyUnauthorized)
		return
	}
	_, _ = fmt.Fprintf(c, "HTTP/1.0 401 Unauthorized\r\nContent-Type: application/json\r\n\r\n%s", bodyUnauthorized)
	_ = c.Close()
}
