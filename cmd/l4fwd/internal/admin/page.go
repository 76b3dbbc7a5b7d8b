package admin

import (
	"bytes"
	"embed"
	"net/http"
	"path"
	"time"
)

// The status page: files of its own, so that the policy below can forbid scripts and styles within the HTML.
//
//go:embed page/index.html page/page.css page/*.js page/icon.svg
var pageFiles embed.FS

// pagePolicy lets the page load its own files and speak to its own port, and nothing else.
const pagePolicy = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'; require-trusted-types-for 'script'; trusted-types 'none'"

// servePage serves a file of the page.
func servePage(name string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		data, err := pageFiles.ReadFile(path.Join("page", path.Base(name)))
		if err != nil {
			http.NotFound(w, r)
			return
		}
		w.Header().Set("Content-Security-Policy", pagePolicy)
		w.Header().Set("Referrer-Policy", "same-origin")
		w.Header().Set("Cache-Control", "no-cache") // another version of the daemon has another page
		http.ServeContent(w, r, name, time.Time{}, bytes.NewReader(data))
	}
}
