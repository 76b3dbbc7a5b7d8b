package health

import (
	"log"
	"net"
	"net/http"
	"time"
)

// Time limits of the health port. It may be reached by a whole VPC, so whoever connects holds little, and not for long: a
// silent connection is gone after requestTimeout, or earlier when places run short.
const (
	requestTimeout = 3 * time.Second  // for the head of the request, and a PROXY header before it
	writeTimeout   = 10 * time.Second // Prometheus' default scrape timeout
	idleTimeout    = 20 * time.Second // longer than Prometheus' usual interval of 15 s
	maxHeader      = 8 << 10          // bytes
)

// NewServer returns a server for handler with timeouts and limits that suit small requests. Its answers are not cached. errors
// gets the complaints of net/http; nil: the standard logger.
func NewServer(handler http.Handler, errors *log.Logger) *http.Server {
	return &http.Server{
		Handler:           noStore(handler),
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          errors,
		ConnState:         noteStage,
	}
}

// noteStage tells a connection of Listener how far its caller came. Others are not concerned.
func noteStage(c net.Conn, state http.ConnState) {
	ours, ok := c.(*conn)
	switch {
	case !ok:
	case state == http.StateActive:
		ours.become(answering)
	case state == http.StateIdle:
		ours.become(idle)
	}
}

// noStore keeps answers out of caches.
func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
