package haproxy

import (
	"fmt"
	"slices"
	"strings"
)

// term is an ACL of a condition: any of its tests, or none of them.
type term struct {
	negated bool
	tests   []*test
}

// condition is a disjunction of conjunctions, as HAProxy writes them. The zero value always holds.
type condition struct {
	any    [][]term
	unless bool
}

// verb is what a rule does.
type verb int

const (
	accept verb = iota
	refuse
	route // to rule.to
)

// rule is one line that lets a client in, refuses it or sends it somewhere.
type rule struct {
	at    line
	verb  verb
	to    string // a backend, or with use-server a server
	when  condition
	layer string // connection, session, content, use_backend or use-server
	off   bool   // it cannot be carried, and that was reported
	fact  string // what it depends on that l4fwd cannot judge
}

// ruleSet are the rules of a proxy in the order in which HAProxy tries them.
type ruleSet struct{ connection, session, content, backends, servers []*rule }

// all returns the rules of every layer, in the order in which HAProxy tries the layers.
func (s *ruleSet) all() []*rule {
	return slices.Concat(s.connection, s.session, s.content, s.backends, s.servers)
}

// add files a rule of tcp-request in its layer. It reports false if HAProxy has no such layer.
func (s *ruleSet) add(r *rule) bool {
	switch r.layer {
	case "connection":
		s.connection = append(s.connection, r)
	case "session":
		s.session = append(s.session, r)
	case "content":
		s.content = append(s.content, r)
	default:
		return false
	}
	return true
}

// readRules reads the ACLs and rules of a proxy.
func (im *importer) readRules(p *proxy) error {
	for _, l := range p.each("acl") {
		if len(l.words) < 3 {
			return fmt.Errorf("%s:%d: acl needs a name and an expression", l.file, l.n)
		}
		p.acls[l.words[1]] = append(p.acls[l.words[1]], im.newTest(l, l.words[2:]))
	}
	for _, l := range p.lines {
		var err error
		switch l.words[0] {
		case "tcp-request":
			err = im.tcpRequest(p, l)
		case "use_backend":
			err = im.useBackend(p, l)
		case "use-server":
			err = im.useServer(p, l)
		}
		if err != nil {
			return fmt.Errorf("%s:%d: %w", l.file, l.n, err)
		}
	}
	return nil
}

// splitCondition cuts a line at if or unless.
func splitCondition(words []string) (before, condition []string, unless bool) {
	for i, w := range words {
		if w == "if" || w == "unless" {
			return words[:i], words[i+1:], w == "unless"
		}
	}
	return words, nil, false
}

// readCondition reads what follows if or unless.
func (im *importer) readCondition(p *proxy, at line, words []string, unless bool) (condition, error) {
	c := condition{unless: unless}
	if words == nil {
		return c, nil
	}
	var all []term
	for i := 0; i < len(words); i++ {
		if words[i] == "or" || words[i] == "||" {
			c.any, all = append(c.any, all), nil
			continue
		}
		t, last, err := im.readTerm(p, at, words, i)
		if err != nil {
			return c, err
		}
		all, i = append(all, t), last
	}
	c.any = append(c.any, all)
	if slices.ContainsFunc(c.any, func(and []term) bool { return len(and) == 0 }) {
		return c, fmt.Errorf("a part of the condition is empty: %s", brief(words))
	}
	return c, nil
}

// readTerm reads the term that begins with word i of a condition: an ACL or an expression in braces, negated or not. last is the
// place of its last word.
func (im *importer) readTerm(p *proxy, at line, words []string, i int) (t term, last int, err error) {
	w := words[i]
	for strings.HasPrefix(w, "!") {
		t.negated, w = !t.negated, w[1:]
	}
	if w == "" && i+1 < len(words) {
		i++
		w = words[i]
	}
	if w == "{" {
		end := slices.Index(words[i:], "}")
		if end < 2 {
			return t, i, fmt.Errorf("%s: { has no expression or no }", brief(words))
		}
		t.tests = []*test{im.newTest(at, words[i+1:i+end])}
		return t, i + end, nil
	}
	if t.tests = p.acls[w]; t.tests == nil {
		expression, ok := builtin[w]
		if !ok {
			return t, i, fmt.Errorf("there is no ACL %q", w)
		}
		t.tests = []*test{im.newTest(at, expression)}
	}
	return t, i, nil
}

// tests returns all tests of a condition.
func (c condition) tests() []*test {
	var all []*test
	for _, and := range c.any {
		for _, t := range and {
			all = append(all, t.tests...)
		}
	}
	return all
}

// looksAt reports whether the condition depends on the subject.
func (c condition) looksAt(s subject) bool {
	return slices.ContainsFunc(c.tests(), func(t *test) bool { return t.subject == s })
}

// tcpRequest reads tcp-request.
func (im *importer) tcpRequest(p *proxy, l line) error {
	if len(l.words) < 3 {
		return fmt.Errorf("%s needs an action", brief(l.words))
	}
	layer := l.words[1]
	if layer == "inspect-delay" {
		return nil // with the timeouts
	}
	action, words, unless := splitCondition(l.words[2:])
	if len(action) == 0 {
		return fmt.Errorf("%s needs an action", brief(l.words))
	}
	r := &rule{at: l, layer: layer}
	switch action[0] {
	case "accept":
		r.verb = accept
	case "reject", "silent-drop":
		r.verb = refuse
	default:
		im.otherAction(p, l, action)
		return nil
	}
	if !unless && im.perSource(p, r, words) {
		return nil
	}
	var err error
	if r.when, err = im.readCondition(p, l, words, unless); err != nil {
		return err
	}
	if !p.rules.add(r) {
		im.dropped(l, l.text(), "l4fwd does not know this directive")
	}
	return nil
}

// otherAction remarks on an action that neither accepts nor rejects.
func (im *importer) otherAction(p *proxy, l line, action []string) {
	name, _, _ := strings.Cut(action[0], "(")
	switch {
	case name == "expect-proxy":
		p.expectProxy = append(p.expectProxy, l)
	case strings.HasPrefix(name, "track-sc") || strings.HasPrefix(name, "sc-") || name == "capture" || name == "set-log-level" ||
		name == "set-var" || name == "unset-var" || name == "set-var-fmt" || name == "set-nice" || name == "set-mark" || name == "set-tos" ||
		strings.HasPrefix(name, "set-fc-") || strings.HasPrefix(name, "set-bc-") || strings.HasPrefix(name, "set-priority"):
		im.harmless(l, l.text(), "l4fwd keeps no such state of a connection; a rule that uses it is reported by itself")
	default:
		im.dropped(l, l.text(), "l4fwd has no such action")
	}
}

// useServer reads use-server.
func (im *importer) useServer(p *proxy, l line) error {
	before, words, unless := splitCondition(l.words)
	if len(before) != 2 {
		return fmt.Errorf("%s: name one server, then if or unless", brief(l.words))
	}
	named := func(s line) bool { return s.words[0] == "server" && len(s.words) > 1 && s.words[1] == before[1] }
	slot := func(s line) bool {
		return s.words[0] == "server-template" && len(s.words) > 1 && strings.HasPrefix(before[1], s.words[1])
	}
	switch {
	case strings.Contains(before[1], "%["):
		im.dropped(l, l.text(), "l4fwd does not make the name of a server of what a client sends")
		return nil
	case slices.ContainsFunc(p.lines, named):
	case slices.ContainsFunc(p.lines, slot):
		im.dropped(l, l.text(), "l4fwd uses every address of a template alike: there are no slots")
		return nil
	default:
		return fmt.Errorf("%s: there is no server %q", brief(l.words), before[1])
	}
	when, err := im.readCondition(p, l, words, unless)
	p.rules.servers = append(p.rules.servers, &rule{at: l, verb: route, to: before[1], when: when, layer: "use-server"})
	return err
}

// useBackend reads use_backend.
func (im *importer) useBackend(p *proxy, l line) error {
	before, words, unless := splitCondition(l.words)
	if len(before) != 2 {
		return fmt.Errorf("%s: name one backend, then if or unless", brief(l.words))
	}
	when, err := im.readCondition(p, l, words, unless)
	if err != nil {
		return err
	}
	to := before[1]
	if !strings.Contains(to, "%[") {
		p.rules.backends = append(p.rules.backends, &rule{at: l, verb: route, to: to, when: when, layer: "use_backend"})
		return nil
	}
	rules, fault := im.byTable(l, to, when)
	if fault != "" {
		im.dropped(l, l.text(), fault)
	}
	p.rules.backends = append(p.rules.backends, rules...)
	return nil
}
