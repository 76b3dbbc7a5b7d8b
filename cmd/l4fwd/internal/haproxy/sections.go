package haproxy

import (
	"fmt"
	"slices"
	"strings"
)

// section is one section of the file.
type section struct {
	kind, name string
	from       string // the defaults it names
	at         line
	lines      []line
	base       *section // the defaults it inherits from; nil: none
}

// newSection returns a section without lines; at is its first.
func newSection(kind, name string, at line) *section { return &section{kind: kind, name: name, at: at} }

// title is the name, or the kind of a section without one.
func (s *section) title() string {
	if s.name != "" {
		return s.name
	}
	return s.kind
}

// proxy is a frontend, backend or listen with what it inherits.
type proxy struct {
	*section
	front, back bool
	lines       []line             // in order: inherited ones first
	last        map[string]line    // the line in force of each directive that is set once, by its name such as "timeout client"
	off         map[string]bool    // options that the last line turned off
	acls        map[string][]*test // by name: any of them
	rules       ruleSet
	expectProxy []line      // tcp-request connection expect-proxy
	perSource   []limitLine // limits of the connections of one client
	serverList  []*server   // nil: not read yet
	used        bool        // a listener leads to it
	skip        bool        // it was left out as a whole
}

// begin takes the beginning of a section.
func (im *importer) begin(s *section) error {
	switch s.kind {
	case "global":
		if im.global == nil {
			im.global = s
			return nil
		}
		s.base, im.global = im.global, s
	case "defaults":
		return im.inherit(s)
	case "frontend", "backend", "listen":
		if err := im.inherit(s); err != nil {
			return err
		}
		p := &proxy{section: s, front: s.kind != "backend", back: s.kind != "frontend", acls: map[string][]*test{}}
		im.proxies = append(im.proxies, p)
		if p.back {
			if old := im.byName[s.name]; old != nil {
				return fmt.Errorf("%s %s: line %d has the same name", s.kind, printable(s.name), old.at.n)
			}
			im.byName[s.name] = p
		}
	case "resolvers":
		im.resolvers[s.name] = s
	default:
		im.foreign(s)
	}
	return nil
}

// inherit finds the defaults of a section: those it names, else the last ones before it. Other defaults inherit only by name.
func (im *importer) inherit(s *section) error {
	switch {
	case s.from != "":
		if s.base = im.named[s.from]; s.base == nil {
			return fmt.Errorf("there are no defaults %q before this line", s.from)
		}
	case s.kind != "defaults":
		s.base = im.defaults
	}
	if s.kind == "defaults" {
		im.defaults = s
		if s.name != "" {
			im.named[s.name] = s
		}
	}
	return nil
}

// foreign remarks on a section that has no counterpart as a whole.
func (im *importer) foreign(s *section) {
	why := map[string]string{
		"peers":       "l4fwd has no stick tables to share",
		"userlist":    "l4fwd reads no passwords: they are for HTTP",
		"mailers":     "alerts are made from /metrics",
		"cache":       "there is no HTTP cache",
		"program":     "start the program by its own unit",
		"ring":        "l4fwd writes its log to standard error",
		"http-errors": "l4fwd writes no HTTP answers",
		"traces":      "use log.level: debug",
		"log-profile": "l4fwd has one format of log lines",
		"crt-store":   "TLS passes through untouched",
		"acme":        "TLS passes through untouched",
		"healthcheck": "the checks of l4fwd are tcp, tls and https",
	}[s.kind]
	switch s.kind {
	case "log-forward", "fcgi-app", "namespace_list":
		im.dropped(s.at, s.at.text(), "l4fwd has nothing of this kind")
	default:
		im.harmless(s.at, s.at.text(), why)
	}
}

// repeated are the directives of which a section has several that count together. Any other line replaces an earlier one.
var repeated = []string{"bind", "server", "server-template", "acl", "tcp-request", "tcp-response", "use_backend", "use-server",
	"log", "stick", "filter", "http-request",
	"http-response", "http-after-response", "stats", "capture", "default-server", "http-check", "tcp-check", "redirect", "errorfile",
	"errorloc", "http-error"}

// ownOnly are the directives that anonymous defaults do not pass on.
var ownOnly = []string{"bind", "server", "server-template", "use_backend", "use-server", "description", "id", "stick", "filter"}

// settle puts together what a proxy inherits and what it says itself.
func (p *proxy) settle() {
	p.last, p.off = map[string]line{}, map[string]bool{}
	p.lines = slices.Concat(inherited(p.base), p.section.lines)
	for _, l := range p.lines {
		words := l.words
		negated := (words[0] == "no" || words[0] == "default") && len(words) > 1
		if negated {
			words = words[1:]
		}
		if words[0] == "enabled" {
			words, negated = []string{"disabled"}, true // the later one of both is in force
		}
		if slices.Contains(repeated, words[0]) {
			if negated {
				p.off[words[0]] = true
			}
			continue
		}
		key := settingOf(words)
		p.last[key] = line{l.file, l.n, words}
		p.off[key] = negated
	}
}

// inherited are the lines of defaults, those that they inherit first.
func inherited(s *section) []line {
	var all []line
	for depth := 0; s != nil && depth < maxDepth; depth++ {
		own := slices.DeleteFunc(slices.Clone(s.lines), func(l line) bool { return slices.Contains(ownOnly, l.words[0]) })
		all = slices.Concat(own, all)
		s = s.base
	}
	return all
}

// settingOf names what a line sets: most directives by one word, some by two.
func settingOf(words []string) string {
	two := []string{"option", "timeout", "rate-limit", "email-alert", "compression", "monitor", "persist", "external-check", "declare",
		"unique-id-format"}
	if len(words) > 1 && slices.Contains(two, words[0]) {
		return words[0] + " " + words[1]
	}
	return words[0]
}

// setting is the line in force of a directive such as "timeout client". ok is false if there is none or it was turned off.
func (p *proxy) setting(key string) (line, bool) {
	l, ok := p.last[key]
	return l, ok && !p.off[key]
}

// has reports whether an option is in force.
func (p *proxy) has(key string) bool {
	_, ok := p.setting(key)
	return ok
}

// argument is a word of the line in force of a directive; "" if there is none.
func (p *proxy) argument(key string) (string, line) {
	l, ok := p.setting(key)
	n := 1 + strings.Count(key, " ")
	if !ok || len(l.words) <= n {
		return "", l
	}
	return l.words[n], l
}

// mode is tcp, http or another; HAProxy's own default is tcp.
func (p *proxy) mode() string {
	if m, _ := p.argument("mode"); m != "" {
		return m
	}
	return "tcp"
}

// named returns the lines that begin with a directive.
func (p *proxy) each(directive string) []line {
	var all []line
	for _, l := range p.lines {
		if l.words[0] == directive {
			all = append(all, l)
		}
	}
	return all
}
