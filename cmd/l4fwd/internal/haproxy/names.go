package haproxy

import (
	"regexp"
	"slices"
	"strings"

	"github.com/l4fwd/l4fwd/proxy/preface"
)

// stranger is a label that no configuration has: it stands for all others.
const stranger = "x-l4fwd-any-other"

// nameTest reads a test on the host name of the ClientHello.
func (t *test) nameTest(c criterion, f aclFlags, values []pattern) *test {
	for _, conv := range c.converters {
		switch conv {
		case "lower":
			t.lower = true
		default:
			return t.cannot("l4fwd compares the name as it is, without " + printable(conv))
		}
	}
	t.subject, t.method, t.patterns = sni, f.method, values
	switch t.method {
	case "":
		t.method = "str"
	case "str", "end", "dom", "beg", "sub", "dir", "found":
	case "reg":
		return t.regular()
	case "len":
		return t.numberTest(sni, values)
	default:
		return t.cannot("l4fwd does not know the method " + printable(t.method))
	}
	for i, p := range t.patterns {
		if p.fold {
			t.patterns[i].text = strings.ToLower(p.text)
		}
	}
	if t.method == "str" {
		t.index()
	}
	return t
}

// index puts exact names where a look-up finds them.
func (t *test) index() {
	t.exact, t.folded = map[string]bool{}, map[string]bool{}
	for _, p := range t.patterns {
		if p.fold {
			t.folded[strings.ToLower(p.text)] = true
		} else {
			t.exact[p.text] = true
		}
	}
}

// Regular expressions that say no more than a name or a suffix.
var (
	literalName = regexp.MustCompile(`^\^?((?:[A-Za-z0-9_-]|\\[.-])+)\$$`)
	suffixName  = regexp.MustCompile(`^(?:\^\.[*+])?((?:\\\.(?:[A-Za-z0-9_-]|\\-)+)+)\$$`)
	oneLabel    = regexp.MustCompile(`^\^\[\^\\?\.\][*+]((?:\\\.(?:[A-Za-z0-9_-]|\\-)+)+)\$$`)
)

// regular turns simple regular expressions into exact names and suffixes. Others are tried on the names that are listed.
func (t *test) regular() *test {
	if len(t.patterns) == 1 && t.simple(&t.patterns[0]) {
		return t
	}
	for i, p := range t.patterns {
		text := p.text
		if p.fold {
			text = "(?i)" + text
		}
		re, err := regexp.Compile(text)
		if err != nil {
			return t.cannot("l4fwd cannot read the regular expression")
		}
		t.patterns[i].re = re
	}
	return t
}

// simple replaces the only pattern, if it stands for a name or a suffix, by these and the method that compares them.
func (t *test) simple(p *pattern) bool {
	for _, form := range []struct {
		method string
		re     *regexp.Regexp
	}{{"str", literalName}, {"end", suffixName}, {"label", oneLabel}} {
		m := form.re.FindStringSubmatch(p.text)
		if m == nil || form.method == "str" && !strings.HasPrefix(p.text, "^") {
			continue
		}
		t.method, p.text = form.method, strings.ReplaceAll(m[1], `\`, "")
		if p.fold {
			p.text = strings.ToLower(p.text)
		}
		if t.method == "str" {
			t.index()
		}
		return true
	}
	return false
}

// matchesName reports whether the name matches. name is in lower case, as all clients send it.
func (t *test) matchesName(name string) bool {
	switch t.method {
	case "found":
		return true
	case "str":
		return t.exact[name] || t.folded[strings.ToLower(name)]
	case "len":
		return t.hasInt(len(name))
	}
	return slices.ContainsFunc(t.patterns, func(p pattern) bool { return p.matches(t.method, name) })
}

// HAProxy ignores these at both ends of a pattern of -m dom and -m dir.
const (
	domDelimiters = "./:?"
	dirDelimiters = "/?"
)

// matches reports whether one pattern matches the name by a method.
func (p pattern) matches(method, name string) bool {
	text := p.text
	switch method {
	case "reg":
		return p.re.MatchString(name)
	case "end":
		return strings.HasSuffix(name, text)
	case "label":
		label, ok := strings.CutSuffix(name, text)
		return ok && label != "" && !strings.Contains(label, ".")
	case "beg":
		return strings.HasPrefix(name, text)
	case "sub":
		return strings.Contains(name, text)
	case "dom":
		text = strings.Trim(text, domDelimiters)
		return strings.Contains("."+name+".", "."+text+".")
	case "dir":
		return strings.Trim(text, dirDelimiters) == name
	}
	return false
}

// kind is one kind of client by what its first bytes say.
type kind struct {
	tls     bool
	name    string // "": a ClientHello without a name, or none at all
	pattern string // what a route writes for it; "": nothing can
	what    string // how a remark calls such clients
}

// kindsOf lists every kind of client that the tests tell apart, exact names first.
func kindsOf(tests []*test) []kind {
	l := kindList{seen: map[string]bool{}}
	for _, t := range tests {
		if t.subject == sni {
			for _, p := range t.patterns {
				l.tellApart(t.method, p.text)
			}
		}
	}
	return slices.Concat(l.exact, l.below, []kind{
		{true, stranger + ".invalid", "", "other names"},
		{true, "", "", "clients that send no name"},
		{false, "", "", "clients that speak no TLS"},
	})
}

// kindList collects kinds of clients, each once.
type kindList struct {
	exact, below []kind
	seen         map[string]bool
}

// tellApart adds the kinds that a pattern of a method tells apart: its own name, and names below a suffix.
func (l *kindList) tellApart(method, pattern string) {
	switch method {
	case "str":
		l.name(pattern)
	case "dir":
		l.name(strings.Trim(pattern, dirDelimiters))
	case "end", "dom", "label":
		if method == "dom" {
			pattern = strings.Trim(pattern, domDelimiters)
		}
		suffix := strings.ToLower(strings.Trim(pattern, "."))
		if !strings.HasPrefix(pattern, ".") || method == "dom" {
			l.name(suffix)
		}
		for _, k := range around(suffix) {
			l.add(&l.below, k)
		}
	}
}

// name adds an exact name, if a route can have it.
func (l *kindList) name(name string) {
	name = strings.ToLower(strings.TrimSuffix(name, "."))
	if preface.CheckPattern(name) == "" && !strings.HasPrefix(name, "*") {
		l.add(&l.exact, kind{true, name, name, name})
	}
}

// add appends a kind that is not there yet to one of the two lists.
func (l *kindList) add(to *[]kind, k kind) {
	if key := k.name + "|" + k.pattern; !l.seen[key] {
		l.seen[key] = true
		*to = append(*to, k)
	}
}

// around are the kinds of names that a test on the end of a name may tell apart.
func around(suffix string) []kind {
	wild := "*." + suffix
	if preface.CheckPattern(wild) != "" {
		return nil
	}
	return []kind{
		{true, stranger + "." + suffix, wild, wild},
		{true, stranger + "." + stranger + "." + suffix, "", "names more than one label below " + suffix},
		{true, stranger + suffix, "", "names that end in " + suffix + " without a dot before it"},
		{true, suffix + "." + stranger, "", "names that have " + suffix + " elsewhere than at their end"},
	}
}

// loose reports whether the test matches names that kindsOf cannot list.
func (t *test) loose() bool {
	return t.subject == sni && slices.Contains([]string{"beg", "sub", "reg", "len"}, t.method)
}
