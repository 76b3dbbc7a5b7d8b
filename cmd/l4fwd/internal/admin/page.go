package admin

import (
	"bytes"
	"html/template"
	"net/http"
)

// statusPage shows the text of `l4fwd status` in a browser. It has no script, and loads nothing from elsewhere.
var statusPage = template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<meta charset="utf-8">
<meta http-equiv="refresh" content="5">
<meta name="viewport" content="width=device-width">
<title>l4fwd: {{if .Ready}}ready{{else}}NOT READY{{end}}</title>
<style>
body { font: 15px/1.5 ui-monospace, monospace; margin: 2em; color: #222; background: #fff }
h1 { font-size: 1.2em; border-left: .4em solid {{if .Ready}}#2a2{{else}}#c22{{end}}; padding-left: .5em }
pre { white-space: pre-wrap }
@media (prefers-color-scheme: dark) { body { color: #ddd; background: #111 } a { color: #8bf } }
</style>
<h1>{{if .Ready}}ready{{else}}not ready{{end}}</h1>
<pre>{{.Text}}</pre>
<p><a href="/api/v1/status">JSON</a> · <a href="/debug/pprof/">pprof</a></p>
</html>
`))

// page serves the status page.
func (h handlers) page(w http.ResponseWriter, _ *http.Request) {
	s := h.State()
	var text, body bytes.Buffer
	WriteText(&text, s)
	err := statusPage.Execute(&body, struct {
		Ready bool
		Text  string
	}{s.Ready, text.String()})
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	_, _ = w.Write(body.Bytes())
}
