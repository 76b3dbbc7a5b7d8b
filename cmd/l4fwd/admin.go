package main

import (
	"encoding/json"
	"net"
	"net/http"
	"net/http/pprof"
	"net/netip"
	"strings"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/logging"
	"github.com/l4fwd/l4fwd/health"
)

// newAdminServer serves the operators' port: the status page, the JSON API, actions and pprof.
func newAdminServer(d *daemon, port net.Listener) *http.Server {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", d.servePage)
	mux.HandleFunc("GET /api/v1/status", d.serveStatus)
	mux.HandleFunc("POST /api/v1/drain", d.serveDrain)
	mux.HandleFunc("GET /debug/pprof/", pprof.Index)
	mux.HandleFunc("GET /debug/pprof/cmdline", pprof.Cmdline)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	srv := health.NewServer(named(serverAdmin, guard(mux, port.Addr())), logging.Std(d.log.Logger))
	srv.WriteTimeout = 5 * time.Minute // a profile takes as long as it is asked to
	return srv
}

// The header Server of the two ports, by which status and drain tell them from each other and from anything else.
const (
	serverAdmin  = "l4fwd-admin"
	serverHealth = "l4fwd-health"
)

func named(server string, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Server", server)
		next.ServeHTTP(w, r)
	})
}

// guard keeps browsers from being used against the port, which has no password: a page elsewhere may send a request here
// under a name that it made resolve to 127.0.0.1 (then the Host is not ours), or post a form (then there is an Origin).
func guard(next http.Handler, addr net.Addr) http.Handler {
	loopback := false
	if tcp, ok := addr.(*net.TCPAddr); ok {
		loopback = tcp.IP.IsLoopback()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		switch {
		case loopback && !loopbackName(r.Host):
			http.Error(w, "this port answers only to 127.0.0.1, [::1] and localhost as Host", http.StatusForbidden)
		case r.Method != http.MethodGet && r.Method != http.MethodHead && r.Header.Get("Origin") != "":
			http.Error(w, "requests that change something are not taken from web pages", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// loopbackName reports whether a Host header names this machine.
func loopbackName(host string) bool {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	host = strings.TrimSuffix(strings.TrimPrefix(host, "["), "]")
	if strings.EqualFold(strings.TrimSuffix(host, "."), "localhost") {
		return true
	}
	addr, err := netip.ParseAddr(host)
	return err == nil && addr.Unmap().IsLoopback()
}

func (d *daemon) serveStatus(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, http.StatusOK, d.state())
}

// serveDrain begins a drain, as SIGTERM does. It answers at once; 200 instead of 202 says that one ran already.
func (d *daemon) serveDrain(w http.ResponseWriter, r *http.Request) {
	begun := d.askDrain("the admin API")
	status := http.StatusOK
	if begun {
		status = http.StatusAccepted
		d.log.Info("drain requested", zap.String("from", r.RemoteAddr))
	}
	writeJSON(w, status, drainAnswer{Draining: true, Begun: begun})
}

// drainAnswer is what POST /api/v1/drain answers.
type drainAnswer struct {
	Draining bool `json:"draining"`
	Begun    bool `json:"begun"` // by this request, not by an earlier one
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	enc := json.NewEncoder(w)
	enc.SetIndent("", "  ")
	_ = enc.Encode(v) // a caller that went away is no fault of ours
}
