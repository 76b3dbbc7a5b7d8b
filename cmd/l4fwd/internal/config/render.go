package config

import (
	"bytes"
	"reflect"
	"strconv"

	"go.yaml.in/yaml/v3"
)

// render writes the configuration as a file, with every key, which loads to the same configuration.
func Render(cfg Config) ([]byte, error) {
	var b bytes.Buffer
	enc := yaml.NewEncoder(&b)
	enc.SetIndent(2)
	if err := enc.Encode(renderSection(reflect.ValueOf(cfg), schema)); err != nil {
		return nil, err
	}
	if err := enc.Close(); err != nil {
		return nil, err
	}
	return b.Bytes(), nil
}

func renderSection(v reflect.Value, keys []*key) *yaml.Node {
	n := &yaml.Node{Kind: yaml.MappingNode}
	for _, k := range keys {
		if shorthand(k) {
			continue
		}
		n.Content = append(n.Content, text(k.name), renderValue(v.Field(k.index), k))
	}
	return n
}

// shorthand reports whether the key only stands for entries of another, which are written instead.
func shorthand(k *key) bool { return k.path == "upstream" || k.path == "listen" || k.path == "warm" }

func renderValue(v reflect.Value, k *key) *yaml.Node {
	switch {
	case k.section():
		return renderSection(v, k.keys)
	case k.sections():
		n := &yaml.Node{Kind: yaml.SequenceNode}
		for i := range v.Len() {
			n.Content = append(n.Content, renderSection(v.Index(i), k.keys))
		}
		return n
	case k.list():
		n := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for i := range v.Len() {
			n.Content = append(n.Content, text(v.Index(i).String()))
		}
		return n
	}
	switch value := v.Interface().(type) {
	case Duration:
		return text(value.String())
	case int:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!int", Value: strconv.Itoa(value)}
	case bool:
		return &yaml.Node{Kind: yaml.ScalarNode, Tag: "!!bool", Value: strconv.FormatBool(value)}
	}
	return text(v.String())
}

func text(s string) *yaml.Node {
	n := &yaml.Node{}
	n.SetString(s)
	return n
}
