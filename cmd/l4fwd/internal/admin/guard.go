package admin

import (
	"errors"
	"mime"
	"net"
	"net/http"
	"net/netip"
	"net/url"
	"os"
	"strings"
)

// guard keeps web pages from using the port, which has no password, through the browser of somebody who can reach it. A page
// can send a request under a name of its own that it made resolve to this port (then the Host is foreign), embed an address of
// the port as an image (then the browser says that the request crosses sites), or post a form (then there is an Origin).
func guard(next http.Handler, addr net.Addr) http.Handler {
	knows, names := trustedHost, "an IP address, localhost, the name of this machine, or a name without a dot, or one under .internal"
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		knows, names = loopbackName, "127.0.0.1, [::1] or localhost"
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("X-Content-Type-Options", "nosniff")
		h.Set("X-Frame-Options", "DENY")
		h.Set("Cross-Origin-Resource-Policy", "same-origin")
		h.Set("Content-Security-Policy", "default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'")
		switch {
		case !knows(r.Host) && r.Header.Get(verbHeader) == "":
			http.Error(w, "this port answers only to "+names+" as Host", http.StatusForbidden)
		case changes(r) && fromPage(r) && !ownPage(r):
			http.Error(w, "requests that change something are not taken from web pages, except from the status page of this port", http.StatusForbidden)
		case changes(r) && ofAForm(r):
			failed(w, http.StatusUnsupportedMediaType, errForm)
		case fromElsewhere(r):
			http.Error(w, "this port does not answer other web pages; type its address into the browser, or use curl", http.StatusForbidden)
		default:
			next.ServeHTTP(w, r)
		}
	})
}

var errForm = errors.New("forms are not taken: send JSON with the header Content-Type: application/json, or without a body no Content-Type")

// ofAForm reports whether a request has a content type that a form of a web page may send to any site, also in a browser that is
// so old that it says nothing else of the page.
func ofAForm(r *http.Request) bool {
	kind, _, err := mime.ParseMediaType(r.Header.Get("Content-Type"))
	switch kind {
	case "application/x-www-form-urlencoded", "multipart/form-data", "text/plain":
		return true
	}
	return err != nil && r.Header.Get("Content-Type") != ""
}

// changes reports whether a request is more than a read.
func changes(r *http.Request) bool { return r.Method != http.MethodGet && r.Method != http.MethodHead }

const (
	// pageHeader is a header that the status page sends with each action. A form cannot send it, and a script elsewhere may not.
	pageHeader = "L4fwd-Page"
	// verbHeader is a header that the verbs send. No script in a browser can: names that begin with Sec- are the browser's own.
	// So they may use any name of the port.
	verbHeader = "Sec-L4fwd-Verb"
)

// fromPage reports whether a web page is behind a request.
func fromPage(r *http.Request) bool {
	return r.Header.Get("Origin") != "" || r.Header.Get("Sec-Fetch-Site") != "" || r.Header.Get("Referer") != ""
}

// ownPage reports whether the status page of this port is behind a request. The Host is one that guard knows.
func ownPage(r *http.Request) bool {
	return r.Header.Get(pageHeader) != "" && samePlace(r.Header.Get("Origin"), r.Host)
}

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

// hostOf is a Host header without its port, in lower case.
func hostOf(host string) string {
	if h, _, err := net.SplitHostPort(host); err == nil {
		host = h
	}
	return strings.ToLower(strings.TrimSuffix(strings.TrimSuffix(strings.TrimPrefix(host, "["), "]"), "."))
}

// loopbackName reports whether a Host header names this machine.
func loopbackName(host string) bool {
	host = hostOf(host)
	addr, err := netip.ParseAddr(host)
	return host == "localhost" || err == nil && addr.Unmap().IsLoopback()
}

// trustedHost reports whether a Host header cannot be the name of a stranger's site: it is an address, or a name that the public
// DNS does not give away.
func trustedHost(host string) bool {
	host = hostOf(host)
	if _, err := netip.ParseAddr(host); err == nil || !strings.Contains(host, ".") {
		return host != ""
	}
	if own, err := os.Hostname(); err == nil && strings.EqualFold(own, host) {
		return true
	}
	return strings.HasSuffix(host, ".internal") || strings.HasSuffix(host, ".localhost")
}
