package admin

import (
	"bytes"
	"html"
	"net/http"
	"strings"
)

// statusPage shows the text of `l4fwd status` in a browser. It has no script, and loads nothing from elsewhere. TITLE, READY, COLOUR
// and TEXT are filled in. It is no html/template, which would triple the size of the binary: see setHelp of package main.
const statusPage = `<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width">
<title>l4fwd: TITLE</title>
<style>
body { font: 15px/1.5 ui-monospace, monospace; margin: 2em; color: #222; background: #fff }
h1 { font-size: 1.2em; border-left: .4em solid COLOUR; padding-left: .5em }
pre { white-space: pre-wrap }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #111 } a { color: #8bf } }
</style>
<h1>READY</h1>
<pre>TEXT</pre>
<p><a href="/api/v1/status">JSON</a> · <a href="/debug/pprof/">pprof</a></p>
</html>
`

// page serves the status page.
func (h handlers) page(w http.ResponseWriter, _ *http.Request) {
	s := h.State()
	var text bytes.Buffer
	WriteText(&text, s, 0)
	title, ready, colour := "NOT READY", "not ready", "#c22"
	if s.Ready {
		title, ready, colour = "ready", "ready", "#2a2"
	}
	page := strings.NewReplacer("TITLE", title, "READY", ready, "COLOUR", colour, "TEXT", html.EscapeString(text.String()))
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = page.WriteString(w, statusPage)
}
