package main

import (
	"github.com/hashicorp/terraform-plugin-go/tftypes"
)

// fields is the content of an object; nil where it is null or not known.
func fields(v tftypes.Value) map[string]tftypes.Value {
	var m map[string]tftypes.Value
	if !v.IsKnown() || v.IsNull() || v.As(&m) != nil {
		return nil
	}
	return m
}

// elements is the content of a list or set.
func elements(v tftypes.Value) []tftypes.Value {
	var l []tftypes.Value
	if !v.IsKnown() || v.IsNull() || v.As(&l) != nil {
		return nil
	}
	return l
}

// fill goes over what a block computes and the configuration leaves out, and puts with(name, type) there.
func (b block) fill(v tftypes.Value, with func(name string, t tftypes.Type) tftypes.Value, missing func(tftypes.Value) bool) tftypes.Value {
	m := fields(v)
	if m == nil {
		return v
	}
	for name, a := range b.Attributes {
		if a.WriteOnly { // for the provider's eyes alone
			m[name] = tftypes.NewValue(m[name].Type(), nil)
		} else if a.Computed && missing(m[name]) {
			m[name] = with(name, m[name].Type())
		} else if a.Nested != nil && a.Nested.Nesting == "single" {
			m[name] = block{Attributes: a.Nested.Attributes}.fill(m[name], with, missing)
		}
	}
	for name, inner := range b.Blocks {
		if inner.Nesting == "single" {
			m[name] = inner.fill(m[name], with, missing)
			continue
		}
		list := elements(m[name])
		if list == nil {
			continue
		}
		for i := range list {
			list[i] = inner.fill(list[i], with, missing)
		}
		m[name] = tftypes.NewValue(m[name].Type(), list)
	}
	return tftypes.NewValue(v.Type(), m)
}

// replaces lists the arguments whose change makes the resource anew.
func (b block) replaces(prior, planned tftypes.Value, at *tftypes.AttributePath) []*tftypes.AttributePath {
	before, after := fields(prior), fields(planned)
	if before == nil || after == nil {
		return nil
	}
	var paths []*tftypes.AttributePath
	for name, a := range b.Attributes {
		here := at.WithAttributeName(name)
		switch {
		case before[name].Equal(after[name]):
		case a.ForceNew:
			paths = append(paths, here)
		case a.Nested != nil && a.Nested.Nesting == "single":
			paths = append(paths, block{Attributes: a.Nested.Attributes}.replaces(before[name], after[name], here)...)
		}
	}
	for name, inner := range b.Blocks {
		if !before[name].Equal(after[name]) {
			paths = append(paths, inner.replacesElements(before[name], after[name], at.WithAttributeName(name))...)
		}
	}
	return paths
}

// replacesElements is replaces for the blocks of one name. A block that is added or taken away counts as all its arguments changed;
// force_new of a block itself is about that alone, as in the SDK that providers are written with.
func (b block) replacesElements(prior, planned tftypes.Value, at *tftypes.AttributePath) []*tftypes.AttributePath {
	if b.Nesting == "single" {
		return b.replaces(prior, planned, at)
	}
	before, after := elements(prior), elements(planned)
	if (b.ForceNew || b.forces()) && (b.Nesting == "set" || len(before) != len(after)) {
		return []*tftypes.AttributePath{at}
	}
	var paths []*tftypes.AttributePath
	for i := range min(len(before), len(after)) {
		paths = append(paths, b.replaces(before[i], after[i], at.WithElementKeyInt(i))...)
	}
	return paths
}

// forces reports whether a change of anything in the block replaces the resource.
func (b block) forces() bool {
	for _, a := range b.Attributes {
		if a.ForceNew {
			return true
		}
	}
	for _, inner := range b.Blocks {
		if inner.ForceNew || inner.forces() {
			return true
		}
	}
	return false
}
