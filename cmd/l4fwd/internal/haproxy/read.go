package haproxy

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
)

// maxDepth bounds nested .if blocks.
const maxDepth = 64

// block is one level of .if.
type block struct {
	at      int
	on      bool // lines count
	taken   bool // an earlier branch was taken, or the block as a whole does not count
	hadElse bool
}

// read cuts the text into lines and files them in their sections.
func (im *importer) read() error {
	if i := bytes.IndexByte(im.Text, 0); i >= 0 {
		return fmt.Errorf("%s:%d: a NUL byte: this is no text", im.File, 1+bytes.Count(im.Text[:i], []byte("\n")))
	}
	r := &reading{importer: im, section: newSection("", "", line{file: im.File})}
	n := 0
	for raw := range strings.Lines(string(im.Text)) {
		n++
		if err := r.line(n, strings.TrimSuffix(raw, "\n")); err != nil {
			return fmt.Errorf("%s:%d: %w", im.File, n, err)
		}
	}
	if open := len(r.blocks); open > 0 {
		return fmt.Errorf("%s:%d: .if has no .endif", im.File, r.blocks[open-1].at)
	}
	return nil
}

// reading is where the reader of a file is: in which section and in which blocks.
type reading struct {
	*importer
	section *section
	blocks  []block // the innermost last
}

// line takes line n. A line of a block that does not count is passed over, even one that is malformed.
func (r *reading) line(n int, raw string) error {
	active := len(r.blocks) == 0 || r.blocks[len(r.blocks)-1].on
	words, unset, err := split(raw, func(name string) (string, bool) { return r.variable(name, n, r.section) })
	switch {
	case err != nil && !active:
		return nil
	case err != nil || len(words) == 0:
		return err
	}
	at := line{r.File, n, words}
	switch {
	case strings.HasPrefix(words[0], "."):
		r.blocks, err = r.directive(at, r.blocks)
	case active:
		r.tellUnset(at, unset)
		r.section, err = r.file(at, r.section)
	}
	return err
}

// variable is the value of an environment variable at a line, or of one of HAProxy's own.
func (im *importer) variable(name string, n int, sec *section) (string, bool) {
	switch name {
	case ".FILE":
		return im.File, true
	case ".LINE":
		return strconv.Itoa(n), true
	case ".SECTION":
		return sec.title(), true
	}
	if v, set := im.env[name]; set {
		if v == nil {
			return "", false
		}
		return *v, true
	}
	if im.kept != nil && !slices.Contains(im.kept, name) {
		return "", false
	}
	return im.Lookup(name)
}

// tellUnset reports variables that have no value here: HAProxy's service may set them.
func (im *importer) tellUnset(at line, unset []string) {
	for _, name := range unset {
		im.changed(at, "${"+name+"}", "it is not set here and became empty: import again with the environment of HAProxy's service")
	}
}

// directive takes a line that begins with a dot.
func (im *importer) directive(at line, blocks []block) ([]block, error) {
	top := len(blocks) - 1
	active := top < 0 || blocks[top].on
	switch word := at.words[0]; word {
	case ".if":
		if len(blocks) == maxDepth {
			return nil, fmt.Errorf("more than %d nested .if", maxDepth)
		}
		on := false
		if active {
			var err error
			if on, err = im.condition(at); err != nil {
				return nil, err
			}
		}
		return append(blocks, block{at: at.n, on: on, taken: on || !active}), nil
	case ".elif", ".else":
		if top < 0 || blocks[top].hadElse {
			return nil, fmt.Errorf("%s without .if", word)
		}
		return blocks, im.branch(at, &blocks[top])
	case ".endif":
		if top < 0 {
			return nil, fmt.Errorf("%s without .if", word)
		}
		return blocks[:top], nil
	case ".diag", ".notice", ".warning":
		return blocks, nil
	case ".alert":
		if active {
			return nil, fmt.Errorf("HAProxy would refuse the file here: %s", brief(at.words[1:]))
		}
		return blocks, nil
	default:
		return nil, fmt.Errorf("unknown directive %s", printable(word))
	}
}

// branch takes .elif or .else.
func (im *importer) branch(at line, b *block) error {
	b.hadElse = at.words[0] == ".else"
	b.on = false
	if b.taken {
		return nil
	}
	on := true
	if !b.hadElse {
		var err error
		if on, err = im.condition(at); err != nil {
			return err
		}
	}
	b.on, b.taken = on, on
	return nil
}

// sectionNames are the words that begin a section. Those without a name of their own are in unnamed.
var (
	sectionNames = []string{"global", "defaults", "frontend", "backend", "listen", "resolvers", "peers", "userlist", "mailers",
		"cache", "program", "ring",
		"http-errors", "fcgi-app", "log-forward", "log-profile", "crt-store", "traces", "namespace_list", "acme", "healthcheck"}
	nameless = []string{"global", "defaults", "traces", "namespace_list", "crt-store"}
)

// file puts a line where it belongs, and returns the section that the next one belongs to.
func (im *importer) file(at line, sec *section) (*section, error) {
	kind := at.words[0]
	if !slices.Contains(sectionNames, kind) {
		if sec.kind == "" {
			return nil, fmt.Errorf("%s stands before any section", printable(kind))
		}
		if sec.kind == "global" {
			im.environment(at)
		}
		sec.lines = append(sec.lines, at)
		return sec, nil
	}
	words := at.words[1:]
	name := ""
	if len(words) > 0 && words[0] != "from" {
		name, words = words[0], words[1:]
	}
	if name == "" && !slices.Contains(nameless, kind) {
		return nil, fmt.Errorf("%s needs a name", kind)
	}
	if slices.Contains([]string{"frontend", "backend", "listen"}, kind) && !properName(name) {
		return nil, fmt.Errorf("%s %s: a name has letters, digits and - _ . : only, at most 200 of them", kind, printable(brief([]string{name})))
	}
	next := newSection(kind, name, at)
	if len(words) >= 2 && words[0] == "from" {
		next.from = words[1]
	} else if len(words) > 0 && (kind == "frontend" || kind == "listen") { // as before HAProxy 1.5
		next.lines = append(next.lines, line{at.file, at.n, append([]string{"bind"}, words...)})
	}
	return next, im.begin(next)
}

// properName reports whether HAProxy takes the name of a section or server, and l4fwd that of an upstream made of it.
func properName(name string) bool {
	for i := range len(name) {
		if !isNameByte(name[i]) && !strings.ContainsRune("-.:", rune(name[i])) {
			return false
		}
	}
	return name != "" && len(name) <= 200
}

// keepOnly unsets every variable but those that are named.
func (im *importer) keepOnly(names []string) {
	maps.DeleteFunc(im.env, func(name string, _ *string) bool { return !slices.Contains(names, name) })
	if im.kept != nil {
		names = slices.DeleteFunc(slices.Clone(names), func(name string) bool { return !slices.Contains(im.kept, name) })
	}
	im.kept = append([]string{}, names...)
}

// environment takes the directives of global that change variables for what follows.
func (im *importer) environment(at line) {
	if at.words[0] == "resetenv" {
		im.keepOnly(at.words[1:])
	}
	if len(at.words) < 2 {
		return
	}
	value := strings.Join(at.words[2:], " ")
	switch at.words[0] {
	case "setenv":
		im.env[at.words[1]] = &value
	case "presetenv":
		if _, set := im.variable(at.words[1], at.n, newSection("global", "", at)); !set {
			im.env[at.words[1]] = &value
		}
	case "unsetenv":
		for _, name := range at.words[1:] {
			im.env[name] = nil
		}
	}
}
