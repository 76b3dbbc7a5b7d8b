package config

import (
	"bytes"

	"go.yaml.in/yaml/v3"
)

// Render writes the configuration as a file with every key, which loads to the same configuration.
func Render(c Config) ([]byte, error) { return encode(renderSection(c.keys(), nil)) }

// encode writes a node as YAML.
func encode(root *yaml.Node) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(root); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

// renderSection writes the keys; shorthands are left out, since the entries they stand for are written. comment, unless
// nil, is what to write above a key.
func renderSection(keys []*key, comment func(*key) string) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range keys {
		if k.short {
			continue
		}
		name := textNode(k.name)
		if comment != nil {
			name.HeadComment = comment(k)
		}
		n.Content = append(n.Content, name, renderValue(k, comment))
	}
	return n
}

// renderValue writes what follows a key.
func renderValue(k *key, comment func(*key) string) *yaml.Node {
	if k.isSection() {
		return renderSection(k.keys, comment)
	}
	if k.isSections() {
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range k.entries.size() {
			n.Content = append(n.Content, renderSection(place(k.entries.entry(i), k.path+"[].", k.restart), comment))
		}
		return n
	}
	texts := k.field.texts()
	if !k.many {
		return scalarNode(texts[0], k)
	}
	n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
	for _, text := range texts {
		n.Content = append(n.Content, scalarNode(text, k))
	}
	return n
}

// scalarNode writes a value; one that is a text gets quotes where YAML would read something else.
func scalarNode(text string, k *key) *yaml.Node {
	if k.yamlTag != "" {
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: k.yamlTag, Value: text}
	}
	return textNode(text)
}

// textNode is a text, with quotes where YAML would read something else.
func textNode(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}
