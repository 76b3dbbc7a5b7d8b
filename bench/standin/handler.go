package standin

import (
	"crypto/rand"
	"crypto/subtle"
	"fmt"
	"net/http"
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"
)

// handler is the service's front: who may enter (firewall), who are you (key), then what is asked.
// The order matters: a blocked source learns nothing of keys, and l4fwd's probe relies on it.
type handler struct {
	Options
	deny  atomic.Bool // Options.Deny, until SetDeny
	stats *counters
	mux   *http.ServeMux
}

// newHandler takes options that have their defaults.
func newHandler(opts Options, stats *counters) *handler {
	h := &handler{Options: opts, stats: stats, mux: http.NewServeMux()}
	h.deny.Store(opts.Deny)
	h.mux.HandleFunc("POST /openai/deployments/{deployment}/chat/completions", h.chat)
	h.mux.HandleFunc("POST /openai/v1/chat/completions", h.chatV1)
	h.mux.HandleFunc("GET /openai/models", h.models)
	h.mux.HandleFunc("GET /openai/v1/models", h.modelsV1)
	h.mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		h.refuse(w, http.StatusNotFound, bodyNotFound)
	})
	return h
}

// ServeHTTP implements http.Handler.
func (h *handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	h.stats.requests.Add(1)
	h.stats.active.Add(1)
	defer h.stats.active.Add(-1)

	// Also bounds what net/http reads and drops of a refused request's body. A connection that is kept
	// alive gets a new deadline from net/http; one that streams an answer gets it lifted in readBody.
	rc := http.NewResponseController(w)
	_ = rc.SetReadDeadline(time.Now().Add(h.limits.body))
	_ = rc.SetWriteDeadline(time.Now().Add(h.limits.body + h.limits.write))
	if h.Clock != 0 {
		w.Header().Set("Date", time.Now().Add(h.Clock).UTC().Format(http.TimeFormat))
	}
	w.Header().Set("apim-request-id", requestID())
	w.Header().Set("x-content-type-options", "nosniff")

	switch {
	case h.blocked(r.RemoteAddr):
		h.stats.denied.Add(1)
		h.refuse(w, http.StatusForbidden, h.denialBody())
	case h.Answer != AnswerService:
		h.misbehave(w, r)
	case !h.authorized(r.Header):
		h.refuse(w, http.StatusUnauthorized, bodyUnauthorized)
	default:
		h.mux.ServeHTTP(w, r)
	}
}

// blocked reports whether the account's network rules refuse remote, which is an address with a port. What
// l4fwd forwards comes from l4fwd's own address, as the service sees it.
func (h *handler) blocked(remote string) bool {
	if !h.deny.Load() {
		return false
	}
	ap, err := netip.ParseAddrPort(remote)
	if err != nil {
		return true
	}
	source := ap.Addr().Unmap().WithZone("")
	return !slices.ContainsFunc(h.Allow, func(p netip.Prefix) bool { return p.Contains(source) })
}

// denialBody is the refusal that a blocked source gets.
func (h *handler) denialBody() string {
	switch h.Denial {
	case DenialDisabled:
		return bodyDisabled
	case DenialPerimeter:
		return bodyPerimeter
	}
	return bodyFirewall
}

// authorized takes the key in either header. An api-key that is wrong is not saved by a good bearer token,
// as the service looks at one only.
func (h *handler) authorized(header http.Header) bool {
	key := header.Get("api-key")
	if key == "" {
		scheme, token, _ := strings.Cut(header.Get("Authorization"), " ")
		if !strings.EqualFold(scheme, "Bearer") {
			return false
		}
		key = strings.TrimSpace(token)
	}
	return subtle.ConstantTimeCompare([]byte(key), []byte(h.Key)) == 1
}

// requestID is a random UUID, version 4.
func requestID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails since Go 1.24
	b[6] = b[6]&0x0f | 0x40
	b[8] = b[8]&0x3f | 0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}
