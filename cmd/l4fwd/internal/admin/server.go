package admin

import (
	"bytes"
	"context"
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/metrics"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
)

// Daemon is what the port shows, and what it can begin.
type Daemon interface {
	State() State
	// Drain begins a drain on behalf of by, unless one has begun, and reports whether it did. It does not wait.
	Drain(by string) bool
	// Reload reloads the configuration on behalf of by and waits for the outcome, at most as long as ctx. An error says why
	// no reload was made, or that it is still under way.
	Reload(ctx context.Context, by string) (Reloaded, error)
	Traffic
	Journal
	// History is what happened in the last minutes. What it returns is the caller's.
	History() metrics.History
	Records
	// Upgrade replaces this process on behalf of by, and waits for the outcome. An error says why no upgrade was begun.
	Upgrade(by string) (Upgraded, error)
}

// Reloaded is the outcome of a reload.
type Reloaded struct {
	InUse   bool     `json:"in_use"`        // what the file has is in use now
	Faults  []string `json:"faults"`        // why it is not: nothing was changed
	Changed []string `json:"changed"`       // keys
	Fixed   []string `json:"needs_restart"` // keys with a new value that a reload cannot put in place
}

// reloadTime is how long a reload may take: names of new upstreams are looked up, and their addresses checked once.
const reloadTime = 90 * time.Second

// WriteTimeout is how long an answer may take: a profile takes as long as it is asked to.
const WriteTimeout = 5 * time.Minute

// NewHandler answers the requests to a port that listens on addr.
func NewHandler(d Daemon, addr net.Addr, log *zap.Logger) http.Handler {
	looks := newLooks()
	h := handlers{d, log, looks, newStream(d, looks)}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", servePage("index.html"))
	mux.HandleFunc("GET /page/{name}", func(w http.ResponseWriter, r *http.Request) { servePage(r.PathValue("name"))(w, r) })
	mux.HandleFunc("GET /api/v1/history", h.history)
	mux.Handle("GET /api/v1/stream", h.stream)
	mux.HandleFunc("GET /api/v1/status", h.status)
	mux.HandleFunc("GET /api/v1/state", h.status)
	mux.HandleFunc("GET /api/v1/conns", h.conns)
	mux.HandleFunc("POST /api/v1/conns/close", h.closeConn)
	mux.HandleFunc("GET /api/v1/addresses", h.addresses)
	mux.HandleFunc("POST /api/v1/addresses/eject", h.eject)
	mux.HandleFunc("POST /api/v1/addresses/restore", h.restore)
	mux.HandleFunc("GET /api/v1/log-level", h.logLevel)
	mux.HandleFunc("POST /api/v1/log-level", h.setLogLevel)
	mux.HandleFunc("GET /api/v1/events", h.events)
	mux.HandleFunc("POST /api/v1/drain", h.drain)
	mux.HandleFunc("POST /api/v1/reload", h.reload)
	mux.HandleFunc("GET /api/v1/log", h.recent)
	mux.HandleFunc("GET /api/v1/config", h.effective)
	mux.HandleFunc("GET /metrics", h.ServeMetrics)
	mux.HandleFunc("POST /api/v1/upgrade", h.upgrade)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	return Named(AdminPort, guard(mux, addr))
}

// The header Server of the daemon's two ports. The verbs recognize each port by it, and foreign servers.
const (
	AdminPort  = "l4fwd-admin"
	HealthPort = "l4fwd-health"
)

// Named has next answer under the header Server.
func Named(server string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", server)
		next.ServeHTTP(w, r)
	})
}

// handlers answer for a daemon.
type handlers struct {
	Daemon
	log    *zap.Logger
	looks  *looks
	stream *stream
}

// history answers with the last 15 minutes as JSON.
func (h handlers) history(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, h.History())
}

// status answers with the state as JSON.
func (h handlers) status(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, h.State())
}

// drain begins a drain, as SIGTERM does. It answers at once: 202, or 200 if a drain had begun before.
func (h handlers) drain(w http.ResponseWriter, r *http.Request) {
	begun := h.Drain("the admin API")
	status := http.StatusOK
	if begun {
		status = http.StatusAccepted
		h.log.Info("drain requested", zap.String("from", r.RemoteAddr))
	}
	writeJSON(w, status, drainAnswer{Draining: true, Begun: begun})
}

// reload reloads the configuration and waits: 200 if the file is in use, 422 if it is refused, 503 if no reload was made.
func (h handlers) reload(w http.ResponseWriter, r *http.Request) {
	ctx, cancel := context.WithTimeout(r.Context(), reloadTime)
	defer cancel()
	out, err := h.Reload(ctx, "the admin API")
	switch {
	case err != nil:
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
	case !out.InUse:
		writeJSON(w, http.StatusUnprocessableEntity, out)
	default:
		writeJSON(w, http.StatusOK, out)
	}
}

// drainAnswer is the answer to POST /api/v1/drain.
type drainAnswer struct {
	Draining bool `json:"draining"`
	Begun    bool `json:"begun"` // by this request, not by an earlier one
}

// writeJSON answers with v.
func writeJSON(w http.ResponseWriter, status int, v any) {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetIndent("", "  ")
	if err := enc.Encode(v); err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(plain.JSON(body.Bytes())) // the caller may be gone
}
