package config

import (
	"reflect"
	"strings"
)

// field is what a key sets: a field of Config, seen through texts.
type field interface {
	check(text string) error // what is wrong with a text; a *Fault without a place
	set(text string) error   // reads a text into the field; a list gets one more element
	texts() []string         // as a file has it; one text unless the field is a list
	clear()                  // empties a list
	equal(other field) bool
	take(from field) // copies the value
}

// single is the field of a key with one value.
type single[T any] struct {
	at     *T
	parse  func(string) (T, error)
	format func(T) string
}

func (f single[T]) check(text string) error {
	_, err := f.parse(text)
	return err
}

func (f single[T]) set(text string) error {
	v, err := f.parse(text)
	if err != nil {
		return err
	}
	*f.at = v
	return nil
}

func (f single[T]) texts() []string    { return []string{f.format(*f.at)} }
func (f single[T]) clear()             {}
func (f single[T]) take(from field)    { *f.at = *from.(single[T]).at }
func (f single[T]) equal(o field) bool { return reflect.DeepEqual(*f.at, *o.(single[T]).at) }

// list is the field of a key with a list of values. An empty one is nil.
type list[T any] struct {
	at     *[]T
	parse  func(string) (T, error)
	format func(T) string
}

func (f list[T]) check(text string) error {
	_, err := f.parse(text)
	return err
}

func (f list[T]) set(text string) error {
	v, err := f.parse(text)
	if err != nil {
		return err
	}
	*f.at = append(*f.at, v)
	return nil
}

func (f list[T]) texts() []string {
	texts := make([]string, len(*f.at))
	for i, v := range *f.at {
		texts[i] = f.format(v)
	}
	return texts
}

func (f list[T]) clear()             { *f.at = nil }
func (f list[T]) take(from field)    { *f.at = *from.(list[T]).at }
func (f list[T]) equal(o field) bool { return reflect.DeepEqual(*f.at, *o.(list[T]).at) }

// entries is the field of a key with a list of sections, such as upstreams. Its entries are read by their own keys.
type entries[T any] struct {
	at   *[]T
	keys func(*T) []*key
}

// grow appends an entry with the defaults of its keys, and returns these keys.
func (f entries[T]) grow() []*key {
	*f.at = append(*f.at, *new(T))
	keys := f.entry(len(*f.at) - 1)
	setDefaults(keys)
	return keys
}

func (f entries[T]) size() int          { return len(*f.at) }
func (f entries[T]) entry(i int) []*key { return f.keys(&(*f.at)[i]) }
func (f entries[T]) sample() []*key     { return f.keys(new(T)) }

func (f entries[T]) check(text string) error { return fault("%q is no section", "write keys", text) }
func (f entries[T]) set(text string) error   { return f.check(text) }
func (f entries[T]) texts() []string         { return nil }
func (f entries[T]) clear()                  { *f.at = nil }
func (f entries[T]) take(from field)         { *f.at = *from.(entries[T]).at }
func (f entries[T]) equal(o field) bool      { return reflect.DeepEqual(*f.at, *o.(entries[T]).at) }

// growing is an entries of any type.
type growing interface {
	grow() []*key
	size() int
	entry(i int) []*key
	sample() []*key
}

// asText is the format of values that are texts.
func asText[T ~string](v T) string { return string(v) }

// joined writes a list as flags and variables do.
func joined(texts []string) string { return strings.Join(texts, ",") }
