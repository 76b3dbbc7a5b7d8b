package config

import "reflect"

// slot is a field of Config of any type.
type slot interface {
	value() any            // what the field holds
	take(from slot)        // copies the value of a slot of the same type
	equal(other slot) bool // reports whether a slot of the same type holds the same
}

// field is a slot that is seen through texts: what a key with a value, or with a list of values, sets.
type field interface {
	slot
	check(text string) error // what is wrong with a text; a *Fault without a place
	set(text string) error   // reads a text into the field; a list gets one more element
	texts() []string         // as a file has it; one text unless the field is a list
	clear()                  // empties a list
}

// entries is a slot with a list of sections, such as upstreams. An entry is read by keys of its own.
type entries interface {
	slot
	grow() []*key       // appends an entry with the defaults of its keys, and returns these keys
	size() int          // how many entries there are
	entry(i int) []*key // the keys of one, bound to it
}

// bound is a slot that is a variable of type V.
type bound[V any] struct{ at *V }

// value is part of slot.
func (b bound[V]) value() any { return *b.at }

// take is part of slot.
func (b bound[V]) take(from slot) { *b.at = from.value().(V) }

// equal is part of slot.
func (b bound[V]) equal(other slot) bool { return reflect.DeepEqual(*b.at, other.value()) }

// single is the field of a key with one value.
type single[T any] struct {
	bound[T]
	parse  func(string) (T, error)
	format func(T) string
}

// check is part of field.
func (f single[T]) check(text string) error {
	_, err := f.parse(text)
	return err
}

// set is part of field. A text with a fault leaves the value as it is.
func (f single[T]) set(text string) error {
	v, err := f.parse(text)
	if err == nil {
		*f.at = v
	}
	return err
}

// texts is part of field.
func (f single[T]) texts() []string { return []string{f.format(*f.at)} }

// clear is part of field.
func (f single[T]) clear() {}

// list is the field of a key with a list of values. An empty one is nil.
type list[T any] struct {
	bound[[]T]
	parse  func(string) (T, error)
	format func(T) string
}

// check is part of field.
func (f list[T]) check(text string) error {
	_, err := f.parse(text)
	return err
}

// set is part of field. A text with a fault adds nothing.
func (f list[T]) set(text string) error {
	v, err := f.parse(text)
	if err == nil {
		*f.at = append(*f.at, v)
	}
	return err
}

// texts is part of field.
func (f list[T]) texts() []string {
	texts := make([]string, len(*f.at))
	for i, v := range *f.at {
		texts[i] = f.format(v)
	}
	return texts
}

// clear is part of field.
func (f list[T]) clear() { *f.at = nil }

// entriesOf is a list of sections of type T. An empty one is nil.
type entriesOf[T any] struct {
	bound[[]T]
	keys func(*T) []*key
}

// grow is part of entries.
func (e entriesOf[T]) grow() []*key {
	*e.at = append(*e.at, *new(T))
	keys := e.entry(e.size() - 1)
	setDefaults(keys)
	return keys
}

// size is part of entries.
func (e entriesOf[T]) size() int { return len(*e.at) }

// entry is part of entries. The keys are bound to the entry until the next one is added.
func (e entriesOf[T]) entry(i int) []*key { return e.keys(&(*e.at)[i]) }

// asText is the format of values that are texts.
func asText[T ~string](v T) string { return string(v) }
