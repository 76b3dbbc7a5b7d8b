package haproxy

import (
	"slices"
	"strings"
)

// perSource takes a limit of the connections of one client, which l4fwd has as limits.per_source.
func (im *importer) perSource(p *proxy, r *rule, words []string) bool {
	if r.verb != refuse || len(words) == 0 {
		return false
	}
	var tests []*test
	expression := words
	if len(words) == 1 {
		if tests = p.acls[words[0]]; len(tests) != 1 {
			return false
		}
		expression = tests[0].at.words[2:]
	} else if words[0] == "{" && words[len(words)-1] == "}" {
		expression = words[1 : len(words)-1]
	}
	if len(expression) != 3 {
		return false
	}
	fetch, _, _ := strings.Cut(expression[0], "(")
	if !slices.Contains([]string{"src_conn_cur", "sc_conn_cur", "sc0_conn_cur", "sc1_conn_cur", "sc2_conn_cur"}, fetch) {
		return false
	}
	most, ok := parseRange(expression[2], expression[1])
	if !ok || most.low < 1 || expression[1] != "gt" && expression[1] != "ge" {
		return false
	}
	p.perSource = append(p.perSource, limitLine{r.at, max(most.low-1, 1)})
	return true
}

// limitLine is a number and the line that it is from.
type limitLine struct {
	at line
	n  int
}

// perSourceLimits carries limits of the connections of one client, of which l4fwd has one.
func (im *importer) perSourceLimits(p *proxy) {
	for _, l := range p.perSource {
		if im.out.perSource != 0 && im.out.perSource != l.n {
			im.changed(l.at, l.at.text(), "l4fwd has one limits.per_source for all listeners, the smallest")
		} else {
			im.note(l.at, l.at.text(), "limits.per_source holds for each listener")
		}
		if im.out.perSource == 0 || l.n < im.out.perSource {
			im.out.perSource = l.n
		}
	}
}
