package config

import "go.yaml.in/yaml/v3"

// item is one key of a mapping with its value.
type item struct {
	name  string
	line  int
	value *yaml.Node
}

// mapping lists a mapping's keys, its own first, then those that it merges from others (<<). A key that is there twice is
// a fault; a merged one gives way to the mapping's own.
func (f *file) mapping(n *yaml.Node, path string) []item {
	var all, merged []item
	seen := map[string]int{}
	for i := 0; i+1 < len(n.Content); i += 2 {
		k, v := n.Content[i], n.Content[i+1]
		switch line, twice := seen[k.Value]; {
		case k.ShortTag() == "!!merge":
			merged = append(merged, f.merge(v, path)...)
		case k.Kind != yaml.ScalarNode:
			f.complain(k.Line, path, fault("a key is %s", "write a name", describe(k)))
		case twice:
			f.complain(k.Line, join(path, k.Value), fault("is here twice, first in line %d", "remove one of them", line))
		default:
			seen[k.Value] = k.Line
			all = append(all, item{k.Value, k.Line, v})
		}
	}
	for _, p := range merged {
		if _, own := seen[p.name]; !own {
			seen[p.name] = p.line
			all = append(all, p)
		}
	}
	return all
}

// merge lists the keys of the mapping, or of the mappings, that << names.
func (f *file) merge(n *yaml.Node, path string) []item {
	line := n.Line
	switch n = target(n); n.Kind {
	case yaml.MappingNode:
		return f.mapping(n, path)
	case yaml.SequenceNode:
		var all []item
		for _, one := range n.Content {
			if one = target(one); one.Kind == yaml.MappingNode {
				all = append(all, f.mapping(one, path)...)
			}
		}
		return all
	}
	f.complain(line, path, fault("<< merges %s", "merge a section, or a list of sections", describe(n)))
	return nil
}

// join is the path of a key below another; path is empty at the top.
func join(path, name string) string {
	if path == "" {
		return name
	}
	return path + "." + name
}
