package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// parseYAML returns the root of the only document, or nil if there is none. An empty document at the end, as templates
// leave it, counts for nothing.
func parseYAML(text []byte) (*yaml.Node, error) {
	dec := yaml.NewDecoder(bytes.NewReader(withoutDirective(text)))
	var doc yaml.Node
	switch err := dec.Decode(&doc); {
	case errors.Is(err, io.EOF):
		return nil, nil
	case err != nil:
		return nil, err
	}
	for {
		var more yaml.Node
		switch err := dec.Decode(&more); {
		case errors.Is(err, io.EOF):
			return rootOf(&doc), nil
		case err != nil:
			return nil, err
		}
		if root := rootOf(&more); root != nil && !isNull(root) {
			return nil, fmt.Errorf("yaml: line %d: a second document begins; write one", more.Line)
		}
	}
}

// rootOf is what a document holds; nil if it is empty.
func rootOf(doc *yaml.Node) *yaml.Node {
	if doc.Kind != yaml.DocumentNode || len(doc.Content) == 0 {
		return nil
	}
	return doc.Content[0]
}

var directive = regexp.MustCompile(`\A%YAML 1\.\d+[ \t]*(#.*)?\r?\n`)

// withoutDirective makes a comment of the first line if it is %YAML 1.2, which the YAML library does not take, although
// all that a configuration needs means the same in both versions.
func withoutDirective(text []byte) []byte {
	if !directive.Match(text) {
		return text
	}
	return append([]byte("#"), text[1:]...)
}

var (
	yamlLine = regexp.MustCompile(`^line (\d+): `)
	// offByOne matches the complaints of the library's parser. Other than the scanner below it, it counts lines from 0
	// and does not add the 1.
	offByOne = regexp.MustCompile(`^did not find expected (<|',' or|key|'-' indicator|node content)`)
	// bareColon matches an unquoted address like :8443 within brackets or braces, where YAML cannot read it.
	bareColon = regexp.MustCompile(`([\[,]|: )\s*(:\d+)\s*[,\]}]`)
)

// syntaxError takes the line out of an error of the YAML library, and adds what may help.
func syntaxError(err error, content []byte) (line int, what string) {
	what = strings.TrimPrefix(err.Error(), "yaml: ")
	if m := yamlLine.FindStringSubmatch(what); m != nil {
		line, _ = strconv.Atoi(m[1])
		what = what[len(m[0]):]
	}
	if offByOne.MatchString(what) {
		line++
	}
	text := ""
	if lines := strings.Split(string(content), "\n"); line > 0 && line <= len(lines) {
		text = lines[line-1]
	}
	what = "is not valid YAML: " + what
	if strings.HasPrefix(strings.TrimLeft(text, " "), "\t") {
		what += " (indent with spaces, not with tabs)"
	}
	if m := bareColon.FindStringSubmatch(text); m != nil {
		what += " (an address that begins with a colon needs quotes: " + strconv.Quote(m[2]) + ")"
	}
	return line, what
}

// maxExpanded bounds the values that a file's aliases expand to. Values that a file writes out are bounded by its size.
const maxExpanded = 20_000

// expansion counts the values that are reached through aliases, up to maxExpanded and one more. An alias within what
// it stands for would have no end.
func expansion(n *yaml.Node, aliased bool, count int) int {
	if aliased {
		count++
	}
	if count > maxExpanded {
		return count
	}
	if n.Kind == yaml.AliasNode {
		return expansion(n.Alias, true, count)
	}
	for _, below := range n.Content {
		if count = expansion(below, aliased, count); count > maxExpanded {
			break
		}
	}
	return count
}

// target is what an alias stands for; any other node is itself.
func target(n *yaml.Node) *yaml.Node {
	for n.Kind == yaml.AliasNode {
		n = n.Alias
	}
	return n
}

// isNull reports whether nothing, or null, stands where a value is expected.
func isNull(n *yaml.Node) bool { return n.Kind == yaml.ScalarNode && n.ShortTag() == "!!null" }

// describe says what a node is, for a fault.
func describe(n *yaml.Node) string {
	switch n.Kind {
	case yaml.MappingNode:
		return "a section with keys"
	case yaml.SequenceNode:
		return "a list"
	}
	return fmt.Sprintf("the single value %q", n.Value)
}

// quoted is a text as YAML writes it, with quotes where it needs them.
func quoted(text string) string {
	out, err := yaml.Marshal(text)
	if err != nil {
		return strconv.Quote(text)
	}
	return strings.TrimSpace(string(out))
}
