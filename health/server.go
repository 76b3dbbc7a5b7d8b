package health

import (
	"log"
	"net"
	"net/http"
	"time"

	proxyproto "github.com/pires/go-proxyproto"
	"golang.org/x/net/netutil"
)

// Limits of the health port. It may be reached by a whole VPC, so whoever connects holds little, and not for long:
// a silent connection is gone after headerTimeout + requestTimeout.
const (
	// MaxConnections is how many connections are open at once, so that a flood here leaves the forwarder its
	// descriptors; those beyond wait in the kernel's queue. One source has a share of them, see maxPerSource.
	MaxConnections = 128

	headerTimeout  = 2 * time.Second  // for a PROXY header
	requestTimeout = 3 * time.Second  // for the head of the request
	writeTimeout   = 10 * time.Second // Prometheus' default scrape timeout
	idleTimeout    = 20 * time.Second // longer than Prometheus' usual interval of 15 s
	maxHeader      = 8 << 10          // bytes
)

// Listener makes l fit for health checks: a caller may send a PROXY v1 or v2 header first, as a Network Load Balancer
// does to health checks too once the protocol is on for a target group, or none; and connections are bounded. Closing it
// closes l.
func Listener(l net.Listener) net.Listener {
	return &proxyproto.Listener{
		Listener:          netutil.LimitListener(share(l), MaxConnections),
		ReadHeaderTimeout: headerTimeout,
		ConnPolicy: func(proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
			return proxyproto.USE, nil
		},
	}
}

// NewServer returns a server for handler with timeouts and limits that suit small requests. Nothing it serves may be
// cached. errors takes what net/http has to complain of; nil: the standard logger.
func NewServer(handler http.Handler, errors *log.Logger) *http.Server {
	return &http.Server{
		Handler:           noStore(handler),
		ReadHeaderTimeout: requestTimeout,
		ReadTimeout:       requestTimeout,
		WriteTimeout:      writeTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeader,
		ErrorLog:          errors,
	}
}

func noStore(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "no-store")
		next.ServeHTTP(w, r)
	})
}
