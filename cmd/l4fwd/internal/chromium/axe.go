package chromium

import (
	"bytes"
	"compress/gzip"
	_ "embed"
	"io"
	"strconv"
)

// axe-core, which finds faults of accessibility: see testdata/README.md.
//
//go:embed testdata/axe.min.js.gz
var axe []byte

// Violation is a fault of accessibility.
type Violation struct {
	ID, Impact, Help string
	Nodes            []struct {
		HTML           string
		FailureSummary string
	}
}

// Axe returns the faults of accessibility, as it is now, of the part of the page that a selector matches. What is hidden is not looked at.
func (p *Page) Axe(selector string) (all []Violation) {
	p.t.Helper()
	zipped, err := gzip.NewReader(bytes.NewReader(axe))
	p.must(err)
	source, err := io.ReadAll(zipped)
	p.must(err)
	var loaded bool
	if p.Eval("'axe' in window", &loaded); !loaded {
		p.Eval(string(source)+";true", nil)
	}
	p.Eval("axe.run("+strconv.Quote(selector)+", {resultTypes: ['violations']}).then(r => r.violations.map(v => ({ID: v.id, Impact: v.impact, Help: v.help, Nodes: v.nodes.map(n => ({HTML: n.html, FailureSummary: n.failureSummary}))})))", &all)
	return all
}
