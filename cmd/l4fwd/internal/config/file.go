package config

import (
	"fmt"
	"strconv"
	"strings"

	"github.com/spf13/viper"
	"go.yaml.in/yaml/v3"
)

// file reads a YAML file into the fields of its keys and reports every fault in it. To viper it is the decoder of the
// file, and what it passes on is the layer below variables and flags.
type file struct {
	*report
	path   string
	keys   []*key
	broken bool // it could not be read as YAML at all
}

// Decoder is part of viper.DecoderRegistry: there is one format.
func (f *file) Decoder(string) (viper.Decoder, error) { return f, nil }

// Decode sets the fields of the keys that the text has, and puts the texts of those that a variable or a flag may set
// into layer, by name. Faults are reported; what has one is left out. The error is always nil.
func (f *file) Decode(text []byte, layer map[string]any) error {
	root := f.parse(text)
	if f.broken || root == nil {
		return nil
	}
	f.section(root, f.keys, "", layer)
	return nil
}

// parse returns the root of the file, or nil if it is empty or broken.
func (f *file) parse(text []byte) *yaml.Node {
	if line, err := notUTF8(text); err != nil {
		return f.broke(line, err)
	}
	root, err := parseYAML(text)
	if err != nil {
		line, what := syntaxError(err, text)
		return f.broke(line, fault("%s", "", what))
	}
	if root != nil && expansion(root, false, 0) > maxExpanded {
		return f.broke(0, fault("the file expands to more than %d values", "use fewer aliases (*name)", maxExpanded))
	}
	return root
}

// broke reports that nothing of the file can be used.
func (f *file) broke(line int, err error) *yaml.Node {
	f.broken = true
	f.complain(line, "", err)
	return nil
}

// complain reports a fault in a line of the file; line 0 is the file as a whole.
func (f *file) complain(line int, key string, err error) {
	f.addAt(origin{file: f.path, line: line}, key, err)
}

// section reads a mapping with the keys given; path is that of the section, or empty for the whole file. A nil layer
// takes nothing.
func (f *file) section(n *yaml.Node, keys []*key, path string, layer map[string]any) {
	line := n.Line
	n = target(n)
	switch {
	case isNull(n):
		return
	case n.Kind != yaml.MappingNode:
		f.broken = f.broken || path == ""
		f.complain(line, path, fault("is %s", "write keys: "+strings.Join(names(keys), ", "), describe(n)))
		return
	}
	for _, p := range f.mapping(n, path) {
		at := join(path, p.name)
		k := find(keys, p.name)
		if k == nil {
			f.unknown(p.line, at, p.name, keys)
			continue
		}
		f.origins[at] = origin{file: f.path, line: p.line}
		if v := f.value(p.value, k, at, p.line, layer != nil); v != nil && layer != nil {
			layer[p.name] = v
		}
	}
}

// unknown reports a key that there is not, and one that may be meant.
func (f *file) unknown(line int, at, name string, keys []*key) {
	allowed := "known keys: " + strings.Join(names(keys), ", ")
	if near := meant(name, keys); near != "" {
		allowed = "did you mean " + near + "? " + allowed
	}
	what := "unknown key"
	if name == "" {
		what = "a key is empty"
	}
	f.complain(line, at, fault("%s", allowed, what))
}

// meant is the key that name probably means: one of a similar name, or one of this name a section below.
func meant(name string, keys []*key) string {
	if near := Nearest(name, names(keys)); near != "" {
		return near
	}
	for _, k := range keys {
		if k.isSection() && find(k.keys, name) != nil {
			return k.name + "." + name
		}
	}
	return ""
}

// value reads what follows a key. It returns the part of the layer, nil if the value cannot be used or is a list of
// sections.
func (f *file) value(n *yaml.Node, k *key, at string, line int, layered bool) any {
	switch {
	case k.isSections():
		f.entries(n, k, at, line)
	case k.many:
		if texts := f.list(n, k, at, line); texts != nil {
			return texts
		}
	case !k.isSection():
		if text, ok := f.scalar(n, k, at, line); ok {
			return text
		}
	case layered:
		below := map[string]any{}
		f.section(n, k.keys, at, below)
		return below
	default:
		f.section(n, k.keys, at, nil)
	}
	return nil
}

// list reads a list of single values, and returns those that are right; nil if it is no list.
func (f *file) list(n *yaml.Node, k *key, at string, line int) []string {
	k.field.clear()
	texts := []string{}
	n = f.sequence(n, k, at, line)
	if n == nil {
		return nil
	}
	for i, item := range n.Content {
		path := fmt.Sprintf("%s[%d]", at, i)
		f.origins[path] = origin{file: f.path, line: item.Line}
		if text, ok := f.scalar(item, k, path, item.Line); ok {
			texts = append(texts, text)
		}
	}
	return texts
}

// entries reads a list of sections.
func (f *file) entries(n *yaml.Node, k *key, at string, line int) {
	if n = f.sequence(n, k, at, line); n == nil {
		return
	}
	for i, item := range n.Content {
		if f.full() {
			return
		}
		path := fmt.Sprintf("%s[%d]", at, i)
		f.origins[path] = origin{file: f.path, line: item.Line}
		keys := k.entries.grow()
		f.section(item, keys, path, nil)
		f.missing(item, keys, path)
	}
}

// missing reports the keys that every entry needs and this one does not have.
func (f *file) missing(n *yaml.Node, keys []*key, path string) {
	line := n.Line
	if n = target(n); n.Kind == yaml.ScalarNode && !isNull(n) {
		return // reported as no section at all
	}
	for _, k := range keys {
		if at := path + "." + k.name; k.required && !f.given(at) {
			f.complain(line, at, fault("is missing", "every entry needs one"))
		}
	}
}

// sequence is the list that follows a key; nil if there is none.
func (f *file) sequence(n *yaml.Node, k *key, at string, line int) *yaml.Node {
	n = target(n)
	switch {
	case isNull(n):
		return nil
	case n.Kind != yaml.SequenceNode:
		f.complain(line, at, noList(n, k))
		return nil
	}
	return n
}

// noList says what is there instead of a list, and how to write it as one. What it suggests is valid YAML.
func noList(n *yaml.Node, k *key) error {
	inQuotes := strconv.Quote(n.Value)
	short := map[string]string{"upstreams": "upstream: " + quoted(n.Value), "listeners": "listen: [" + inQuotes + "]"}[k.path]
	switch {
	case n.Kind == yaml.MappingNode && n.Style&yaml.FlowStyle != 0:
		return fault("is a section", "put brackets around it: [{…}]")
	case n.Kind == yaml.MappingNode && k.isSections():
		return fault("is a section", `put "- " before its first key`)
	case n.Kind == yaml.MappingNode || n.Value == "":
		return fault("is %s", "write a list", describe(n))
	case short != "":
		return fault("is %s", "write "+short+", or "+k.name+": [{address: "+inQuotes+"}]", describe(n))
	}
	return fault("is %s", "write a list: ["+inQuotes+"]", describe(n))
}

// scalar reads a single value into the key's field. It returns its text if it is right.
func (f *file) scalar(n *yaml.Node, k *key, at string, line int) (string, bool) {
	n = target(n)
	var err error
	switch tag := n.ShortTag(); {
	case n.Kind != yaml.ScalarNode:
		err = fault("is %s", "write a single value", describe(n))
	case tag == "!!null":
		err = fault("has no value", "write one, or remove the key")
	case tag == "!!bool" && len(k.choices) > 0:
		err = fault("%s is not a choice", "use one of "+listChoices(k.choices), n.Value)
	case tag == "!!bool" && k.texts:
		err = fault("%s is no text", `write it in quotes: "`+n.Value+`"`, n.Value)
	default:
		err = k.field.set(n.Value)
	}
	if err != nil {
		f.complain(line, at, err)
		return "", false
	}
	return n.Value, true
}
