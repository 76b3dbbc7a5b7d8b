package main

import (
	_ "embed"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"

	"github.com/hashicorp/terraform-plugin-go/tfprotov6"
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// attribute is one argument or result of a resource type. Type is in Terraform's own syntax; Nested is set instead of it for
// attributes that have attributes.
type attribute struct {
	Type      string
	Nested    *nested
	Required  bool
	Optional  bool
	Computed  bool
	Sensitive bool
	WriteOnly bool `json:"write_only"`
	ForceNew  bool `json:"force_new"`
	marks
}

type nested struct {
	Nesting    string
	Attributes map[string]attribute
}

// block is a resource type, or a block in one.
type block struct {
	Attributes map[string]attribute
	Blocks     map[string]block
	Nesting    string
	Min, Max   int64
	ForceNew   bool `json:"force_new"`
	marks
}

// marks are the releases from which on a thing is there, gone, or differs.
type marks struct {
	Since, Removed string
	RequiredSince  string `json:"required_since"`
	ReadOnlySince  string `json:"read_only_since"`
}

func (m marks) there(version string) bool {
	return (m.Since == "" || !older(version, m.Since)) && (m.Removed == "" || older(version, m.Removed))
}

// older compares two versions MAJOR.MINOR.PATCH.
func older(a, b string) bool {
	as, bs := strings.Split(a, "."), strings.Split(b, ".")
	for i := range min(len(as), len(bs)) {
		x, _ := strconv.Atoi(as[i]) // the files have nothing but numbers
		y, _ := strconv.Atoi(bs[i])
		if x != y {
			return x < y
		}
	}
	return false
}

type schemas struct {
	Resources   map[string]block
	DataSources map[string]block `json:"data_sources"`
}

// extra has resource types, and arguments of them, that the schema files lack.
//
//go:embed extra.json
var extra []byte

// load reads the schemas of one provider as they are at a version.
func load(file, version string) (schemas, error) {
	var s, more schemas
	text, err := os.ReadFile(file)
	if err != nil {
		return s, err
	}
	if err := errors.Join(json.Unmarshal(text, &s), json.Unmarshal(extra, &more)); err != nil {
		return s, fmt.Errorf("read %s: %w", file, err)
	}
	s.add(more)
	for _, types := range []map[string]block{s.Resources, s.DataSources} {
		for name, b := range types {
			types[name] = b.at(version)
		}
	}
	return s, nil
}

// add takes over the resource types and arguments that s lacks.
func (s *schemas) add(more schemas) {
	for name, b := range more.Resources {
		known, found := s.Resources[name]
		if !found {
			s.Resources[name] = b
			continue
		}
		for argument, a := range b.Attributes {
			if _, found := known.Attributes[argument]; !found {
				known.Attributes[argument] = a
			}
		}
	}
}

// at is the block without what the version lacks.
func (b block) at(version string) block {
	b.Attributes = attributesAt(b.Attributes, version)
	for name, inner := range b.Blocks {
		if inner.there(version) {
			b.Blocks[name] = inner.at(version)
		} else {
			delete(b.Blocks, name)
		}
	}
	return b
}

func attributesAt(attributes map[string]attribute, version string) map[string]attribute {
	kept := map[string]attribute{}
	for name, a := range attributes {
		if !a.there(version) {
			continue
		}
		if a.RequiredSince != "" && older(version, a.RequiredSince) {
			a.Required, a.Optional = false, true
		}
		if a.Nested != nil {
			a.Nested = &nested{a.Nested.Nesting, attributesAt(a.Nested.Attributes, version)}
		}
		kept[name] = a
	}
	return kept
}

var nestings = map[string]tfprotov6.SchemaNestedBlockNestingMode{
	"list": tfprotov6.SchemaNestedBlockNestingModeList, "set": tfprotov6.SchemaNestedBlockNestingModeSet, "single": tfprotov6.SchemaNestedBlockNestingModeSingle,
}

var objectNestings = map[string]tfprotov6.SchemaObjectNestingMode{
	"list": tfprotov6.SchemaObjectNestingModeList, "set": tfprotov6.SchemaObjectNestingModeSet,
	"map": tfprotov6.SchemaObjectNestingModeMap, "single": tfprotov6.SchemaObjectNestingModeSingle,
}

// protocol is the block as Terraform asks for it.
func (b block) protocol() (*tfprotov6.SchemaBlock, error) {
	attributes, err := protocolAttributes(b.Attributes)
	if err != nil {
		return nil, err
	}
	out := &tfprotov6.SchemaBlock{Attributes: attributes}
	for name, inner := range b.Blocks {
		content, err := inner.protocol()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out.BlockTypes = append(out.BlockTypes, &tfprotov6.SchemaNestedBlock{
			TypeName: name, Block: content, Nesting: nestings[inner.Nesting], MinItems: inner.Min, MaxItems: inner.Max,
		})
	}
	return out, nil
}

func protocolAttributes(attributes map[string]attribute) ([]*tfprotov6.SchemaAttribute, error) {
	var out []*tfprotov6.SchemaAttribute
	for name, a := range attributes {
		p := &tfprotov6.SchemaAttribute{Name: name, Required: a.Required, Optional: a.Optional, Computed: a.Computed, Sensitive: a.Sensitive, WriteOnly: a.WriteOnly}
		if a.Nested != nil {
			inner, err := protocolAttributes(a.Nested.Attributes)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			p.NestedType = &tfprotov6.SchemaObject{Attributes: inner, Nesting: objectNestings[a.Nested.Nesting]}
		} else {
			t, err := parseType(a.Type)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", name, err)
			}
			p.Type = t
		}
		out = append(out, p)
	}
	return out, nil
}

// parseType reads Terraform's type syntax, for example list(object({a=string, b=set(number)})).
func parseType(text string) (tftypes.Type, error) {
	t, rest, err := typePrefix(strings.ReplaceAll(text, " ", ""))
	if err == nil && rest != "" {
		err = fmt.Errorf("%q behind a type", rest)
	}
	return t, err
}

var primitives = map[string]tftypes.Type{"string": tftypes.String, "number": tftypes.Number, "bool": tftypes.Bool, "dynamic": tftypes.DynamicPseudoType, "any": tftypes.DynamicPseudoType}

func typePrefix(s string) (tftypes.Type, string, error) {
	for word, t := range primitives {
		if rest, ok := strings.CutPrefix(s, word); ok {
			return t, rest, nil
		}
	}
	if rest, ok := strings.CutPrefix(s, "object({"); ok {
		return objectPrefix(rest)
	}
	word, rest, _ := strings.Cut(s, "(")
	element, rest, err := typePrefix(rest)
	if err != nil {
		return nil, "", err
	}
	rest, closed := strings.CutPrefix(rest, ")")
	if !closed {
		return nil, "", fmt.Errorf("no ) in type %q", s)
	}
	switch word {
	case "list":
		return tftypes.List{ElementType: element}, rest, nil
	case "set":
		return tftypes.Set{ElementType: element}, rest, nil
	case "map":
		return tftypes.Map{ElementType: element}, rest, nil
	}
	return nil, "", fmt.Errorf("no type %q", s)
}

func objectPrefix(s string) (tftypes.Type, string, error) {
	fields := map[string]tftypes.Type{}
	for {
		if rest, ok := strings.CutPrefix(s, "})"); ok {
			return tftypes.Object{AttributeTypes: fields}, rest, nil
		}
		name, rest, found := strings.Cut(strings.TrimPrefix(s, ","), "=")
		if !found {
			return nil, "", fmt.Errorf("no = in object %q", s)
		}
		t, rest, err := typePrefix(rest)
		if err != nil {
			return nil, "", err
		}
		fields[name], s = t, rest
	}
}
