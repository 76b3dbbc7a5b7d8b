package admin

import (
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"strings"
)

// guard keeps web pages from using the port, which has no password, through the browser of somebody who can reach it. A page
// can send a request under a name that it made resolve to 127.0.0.1 (then the Host is foreign), embed an address of the port
// as an image (then the browser says that the request crosses sites), or post a form (then there is an Origin).
func guard(next http.Handler, addr net.Addr) http.Handler {
	loopback := false
	if tcp, ok := addr.(*net.TCPAddr); ok {
		loopback = tcp.IP.IsLoopback()
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		switch {
		case loopback && !loopbackName(r.Host):
			http.Error(w, "this port answers only to 127.0.0.1, [::1] and localhost as Host", http.StatusForbidden)
		case changes(r) && r.Header.Get("Origin") != "":
			http.Error(w, "requests that change something are not taken from web pages", http.StatusForbidden)
		case fromElsewhere(r):
			http.Error(w, "this port does not answer other web pages; type its address into the browser, or use curl", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

// changes reports whether a request is more than a read.
func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

// fromElsewhere reports whether a browser says that the page of another site, port included, is behind the request. Another
// port of localhost counts: Sec-Fetch-Site calls that same-site. Browsers that do not send the header have the others.
func fromElsewhere(r *http.Request) bool {
	switch r.Header.Get("Sec-Fetch-Site") {
	case "cross-site", "same-site":
		return true
	}
	for _, header := range []string{"Origin", "Referer"} {
		if from := r.Header.Get(header); from != "" && !samePlace(from, r.Host) {
			return true
		}
	}
	return false
}

// samePlace reports whether the address of a page is at host.
func samePlace(page, host string) bool {
	u, err := url.Parse(page)
	return err == nil && strings.EqualFold(u.Host, host)
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
