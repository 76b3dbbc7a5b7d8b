package config

import (
	"bytes"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Bounds of a configuration file: far above any real one, and low enough that a wrong path or a hostile file costs
// nothing. Nodes are counted as aliases are followed, which bounds files that expand.
const (
	maxFile  = 1 << 20 // bytes
	maxNodes = 20_000
)

// file is a configuration file as far as it could be understood.
type file struct {
	path    string
	values  map[string]any    // only what is right: a value with a fault is left out
	origins map[string]origin // of every key seen, by path with indices
	faults  Faults
	broken  bool // it could not be read as YAML at all
	state   FileState

	nodes int // followed so far
}

// readFile reads and checks a file against the schema, and reports every fault in it. A file that cannot be read or is
// no YAML is one fault.
func readFile(path string) *file {
	f := &file{path: path, values: map[string]any{}, origins: map[string]origin{}}
	text, err := readBounded(path)
	if err != nil {
		f.complain(0, "", fault("%s", "", err))
		f.broken = true
		return f
	}
	f.state = FileState{There: true, Sum: sha256.Sum256(text)}
	root, err := parseYAML(text)
	if err != nil {
		line, what := syntaxError(err, text)
		f.complain(line, "", fault("%s", "", what))
		f.broken = true
		return f
	}
	if root != nil {
		f.values = f.section(root, schema, "")
	}
	if f.nodes > maxNodes {
		f.faults, f.broken = nil, true
		f.complain(0, "", fault("the file expands to more than %d values", "use fewer aliases (*name)", maxNodes))
	}
	return f
}

func readBounded(path string) ([]byte, error) {
	r, err := os.Open(path)
	if err != nil {
		var pe *os.PathError
		if errors.As(err, &pe) {
			return nil, fmt.Errorf("cannot be read: %w", pe.Err)
		}
		return nil, err
	}
	defer r.Close()
	text, err := io.ReadAll(io.LimitReader(r, maxFile+1))
	switch {
	case err != nil:
		return nil, fmt.Errorf("cannot be read: %w", errors.Unwrap(err))
	case len(text) > maxFile:
		return nil, errors.New("is larger than 1 MiB, so it is no configuration")
	}
	return text, nil
}

// parseYAML returns the root of the only document, or nil if there is none.
func parseYAML(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(text))
	var doc, more yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	switch err := dec.Decode(&more); {
	case err == nil:
		return nil, fmt.Errorf("yaml: line %d: a second document begins; write one", more.Line)
	case !errors.Is(err, io.EOF):
		return nil, err
	}
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil, nil
	}
	return doc.Content[0], nil
}

var (
	yamlLine = regexp.MustCompile(`^line (\d+): `)
	// offByOne matches what the parser, other than the scanner below it, complains of: it counts lines from 0 and does
	// not add the 1.
	offByOne = regexp.MustCompile(`^did not find expected (<|',' or|key|'-' indicator|node content)`)
)

// syntaxError takes the line out of an error of the YAML library.
func syntaxError(err error, content []byte) (line int, what string) {
	what = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = what[len(m[0]):]
	}
	if offByOne.MatchString(what) {
		line++
	}
	lines := bytes.Split(content, []byte("\n"))
	if line > 0 && line <= len(lines) && bytes.HasPrefix(bytes.TrimLeft(lines[line-1], " "), []byte("\t")) {
		what += " (indent with spaces, not with tabs)"
	}
	return line, "is not valid YAML: " + what
}

func (f *file) complain(line int, key string, err error) {
	var fl *Fault
	if !errors.As(err, &fl) {
		fl = &Fault{What: err.Error()}
	}
	fl.Where, fl.Key = origin{file: f.path, line: line}, key
	f.faults = append(f.faults, fl)
}

// follow counts the node and resolves an alias. It returns nil once too many nodes were followed.
func (f *file) follow(n *yaml.Node) *yaml.Node {
	f.nodes++
	if f.nodes > maxNodes {
		return nil
	}
	if n.Kind == yaml.AliasNode {
		return f.follow(n.Alias)
	}
	return n
}

// section reads a mapping with the keys given; path is that of the section, or empty for the whole file.
func (f *file) section(n *yaml.Node, keys []*key, path string) map[string]any {
	values := map[string]any{}
	line := n.Line
	if n = f.follow(n); n == nil || isNull(n) {
		return values
	}
	if n.Kind != yaml.MappingNode {
		f.broken = f.broken || path == ""
		f.complain(line, path, fault("is %s", "write keys: "+strings.Join(names(keys), ", "), describe(n)))
		return values
	}
	prefix := ""
	if path != "" {
		prefix = path + "."
	}
	for _, p := range f.pairs(n, path) {
		k := find(keys, p.name)
		at := prefix + p.name
		switch {
		case k != nil:
			f.origins[at] = origin{file: f.path, line: p.line}
			if v, ok := f.value(p.value, k, at, p.line); ok {
				values[p.name] = v
			}
		default:
			f.unknown(p.line, at, p.name, keys)
		}
	}
	return values
}

func (f *file) unknown(line int, at, name string, keys []*key) {
	allowed := "known keys: " + strings.Join(names(keys), ", ")
	if near := Nearest(name, names(keys)); near != "" {
		allowed = "did you mean " + near + "? " + allowed
	}
	what := "unknown key"
	if name == "" {
		what = "a key is empty"
	}
	f.complain(line, at, fault("%s", allowed, what))
}

// value reads what stands behind a key. It reports whether it is usable.
func (f *file) value(n *yaml.Node, k *key, at string, line int) (any, bool) {
	switch {
	case k.section():
		return f.section(n, k.keys, at), true
	case k.sections(), k.list():
		return f.sequence(n, k, at, line)
	}
	return f.scalar(n, k, at, line)
}

func (f *file) sequence(n *yaml.Node, k *key, at string, line int) (any, bool) {
	if n = f.follow(n); n == nil || isNull(n) {
		return nil, false
	}
	if n.Kind != yaml.SequenceNode {
		f.complain(line, at, noList(n, k))
		return nil, false
	}
	values := []any{}
	for i, item := range n.Content {
		path := fmt.Sprintf("%s[%d]", at, i)
		f.origins[path] = origin{file: f.path, line: item.Line}
		if k.list() {
			if v, ok := f.scalar(item, k, path, item.Line); ok {
				values = append(values, v)
			}
			continue
		}
		values = append(values, f.element(item, k.keys, path))
	}
	return values, true
}

// noList says what is there instead of a list, and how to write it as one. What it suggests is valid YAML.
func noList(n *yaml.Node, k *key) error {
	quoted := strconv.Quote(n.Value)
	short := map[string]string{"upstreams": "upstream: " + strings.TrimSpace(plain(n.Value)), "listeners": "listen: [" + quoted + "]"}[k.path]
	switch {
	case n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0:
		return fault("is a section", "put brackets around it: [{…}]")
	case n.Kind == yaml.MappingNode && k.sections():
		return fault("is a section", `put "- " before its first key`)
	case n.Kind == yaml.MappingNode || n.Value == "":
		return fault("is %s", "write a list", describe(n))
	case short != "":
		return fault("is %s", "write "+short+", or "+k.name+": [{address: "+quoted+"}]", describe(n))
	}
	return fault("is %s", "write a list: ["+quoted+"]", describe(n))
}

// plain is a text as YAML writes it, with quotes where it needs them.
func plain(text string) string {
	out, err := yaml.Marshal(text)
	if err != nil {
		return strconv.Quote(text)
	}
	return string(out)
}

// element reads one section of a list. What it leaves out gets its default here, since viper knows no lists.
func (f *file) element(n *yaml.Node, keys []*key, path string) map[string]any {
	values := f.section(n, keys, path)
	for _, k := range keys {
		at := path + "." + k.name
		if _, seen := f.origins[at]; k.required && !seen && (n.Kind != yaml.ScalarNode || isNull(n)) {
			f.complain(n.Line, at, fault("is missing", "every entry needs one"))
		}
	}
	return withDefaults(values, keys)
}

// withDefaults adds the defaults of the keys that values does not have.
func withDefaults(values map[string]any, keys []*key) map[string]any {
	for _, k := range keys {
		v, has := values[k.name]
		switch {
		case k.section():
			below, _ := v.(map[string]any)
			if below == nil {
				below = map[string]any{}
			}
			values[k.name] = withDefaults(below, k.keys)
		case !has && k.hasDef:
			values[k.name] = k.def
		}
	}
	return values
}

// scalar reads a single value.
func (f *file) scalar(n *yaml.Node, k *key, at string, line int) (any, bool) {
	if n = f.follow(n); n == nil {
		return nil, false
	}
	var err error
	var v any
	switch tag := n.ShortTag(); {
	case n.Kind != yaml.ScalarNode:
		err = fault("is %s", "write a single value", describe(n))
	case tag == "!!null":
		err = fault("has no value", "write one, or remove the key")
	case tag == "!!bool" && len(k.allowed) > 0 && k.textual():
		err = fault("%s is not a choice", "use one of "+k.choices(), n.Value)
	case tag == "!!bool" && k.textual():
		err = fault("%s is no text", `write it in quotes: "`+n.Value+`"`, n.Value)
	default:
		v, err = k.parse(n.Value)
	}
	if err != nil {
		f.complain(line, at, err)
		return nil, false
	}
	return v, true
}

func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section with keys"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("the single value %q", n.Value)
}
