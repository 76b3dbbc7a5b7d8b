package config

import (
	"fmt"
	"strconv"
	"strings"
	"time"
)

// key is one key of the file. It is defined once, in the keys method of the struct that has its field; flags, variables,
// defaults, the output of check and docs/CONFIG.md are all made from it.
type key struct {
	name string   // in the file
	path string   // dotted, with [] for the entries of a list: listeners[].name
	def  string   // its value where no source gives one
	doc  string   // what it does, in at most maxDoc characters, for --help and the table of docs/CONFIG.md
	more []string // paragraphs for docs/CONFIG.md alone

	allowed  string   // what can be written, for docs/CONFIG.md
	choices  []string // where there are a few
	texts    bool     // its values are texts: true or false without quotes is a mistake
	hasDef   bool
	required bool // every entry of the list needs it
	restart  bool // a new value takes an upgrade or a restart: a reload keeps the old one
	short    bool // it only stands for entries of another key, which check prints instead
	many     bool // a list of values
	yamlTag  string

	flag string // its flag
	arg  string // how --help writes the flag's value

	field   field   // nil for a section, and for a list of sections
	entries entries // nil unless it is a list of sections
	keys    []*key  // of a section, or of an entry of a list
}

// section is a key that holds keys of its own.
func section(name string, keys []*key) *key { return &key{name: name, keys: keys} }

// sections is a key that holds a list of sections. Only a file can give it.
func sections[T any](name string, at *[]T, keys func(*T) []*key, doc string) *key {
	return &key{name: name, entries: entriesOf[T]{bound[[]T]{at}, keys}, keys: keys(new(T)), doc: doc, allowed: "list, see below"}
}

// value is a key with one value that is written as text.
func value[T any](name string, at *T, parse func(string) (T, error), format func(T) string, doc string) *key {
	return &key{name: name, field: single[T]{bound[T]{at}, parse, format}, doc: doc, texts: true, allowed: "text"}
}

// values is a key with a list of values that are written as texts.
func values[T any](name string, at *[]T, parse func(string) (T, error), format func(T) string, doc string) *key {
	return &key{name: name, field: list[T]{bound[[]T]{at}, parse, format}, doc: doc, texts: true, many: true, allowed: "list"}
}

// choice is a key with one of a few values.
func choice[T ~string](name string, at *T, def T, doc string, all ...T) *key {
	k := value(name, at, parseChoice(all), asText[T], doc).or(string(def))
	k.choices = textsOf(all)
	k.allowed = "`" + strings.ReplaceAll(listChoices(k.choices), ", ", "`, `") + "`"
	return k
}

// duration is a key with a time from low to high.
func duration(name string, at *time.Duration, def, low, high, doc string) *key {
	parse := func(text string) (time.Duration, error) { return durationIn(text, low, high) }
	k := value(name, at, parse, formatDuration, doc).or(def)
	k.texts, k.allowed = false, "`"+low+"` to `"+high+"`"
	return k
}

// number is a key with a whole number from low to high.
func number(name string, at *int, def, low, high int, doc string) *key {
	parse := func(text string) (int, error) { return numberIn(text, low, high) }
	k := value(name, at, parse, strconv.Itoa, doc).or(strconv.Itoa(def))
	k.texts, k.yamlTag, k.allowed = false, "!!int", fmt.Sprintf("`%d` to `%d`", low, high)
	return k
}

// size is a key with a number of bytes.
func size(name string, at *int64, def, doc string) *key {
	k := value(name, at, parseSize, formatSize, doc).or(def)
	k.texts, k.allowed = false, "`0` to `1TiB`"
	return k
}

// truth is a key that is true or false.
func truth(name string, at *bool, def bool, doc string) *key {
	k := value(name, at, parseBool, strconv.FormatBool, doc).or(strconv.FormatBool(def))
	k.texts, k.yamlTag, k.allowed = false, "!!bool", "`true`, `false`"
	return k
}

// or gives the key a default.
func (k *key) or(def string) *key { k.def, k.hasDef = def, true; return k }

// withFlag gives the key a flag; arg is how --help writes its value.
func (k *key) withFlag(flag, arg string) *key { k.flag, k.arg = flag, arg; return k }

// note adds a paragraph to docs/CONFIG.md.
func (k *key) note(text string) *key { k.more = append(k.more, text); return k }

// mandatory has every entry need the key.
func (k *key) mandatory() *key { k.required = true; return k }

// shorthand marks a key that stands for entries of another.
func (k *key) shorthand() *key { k.short = true; return k }

// fixed marks a key, or a section, whose new value takes an upgrade or a restart.
func (k *key) fixed() *key { k.restart = true; return k }

// isSection reports whether the key holds keys of its own.
func (k *key) isSection() bool { return k.field == nil && k.entries == nil }

// isSections reports whether the key holds a list of sections.
func (k *key) isSections() bool { return k.entries != nil }

// slot is where the key's value is; nil for a section.
func (k *key) slot() slot {
	switch {
	case k.entries != nil:
		return k.entries
	case k.field != nil:
		return k.field
	}
	return nil
}

// place gives the keys below prefix their paths, and passes on what holds for a section.
func place(keys []*key, prefix string, restart bool) []*key {
	for _, k := range keys {
		k.path, k.restart = prefix+k.name, k.restart || restart
		below := k.path + "."
		if k.isSections() {
			below = k.path + "[]."
		}
		place(k.keys, below, k.restart)
	}
	return keys
}

// setDefaults gives every value its default.
func setDefaults(keys []*key) {
	for _, k := range keys {
		if k.hasDef {
			_ = k.field.set(k.def) // a test sets them all
		}
		if k.isSection() {
			setDefaults(k.keys)
		}
	}
}

// settable returns the keys that a flag or a variable can set: all but the lists of sections and what is in them.
func settable(keys []*key) []*key {
	var all []*key
	for _, k := range keys {
		switch {
		case k.isSection():
			all = append(all, settable(k.keys)...)
		case !k.isSections():
			all = append(all, k)
		}
	}
	return all
}

// inParallel calls f for each key that is no section, with the same key of other keys.
func inParallel(a, b []*key, f func(a, b *key)) {
	for i, k := range a {
		if k.isSection() {
			inParallel(k.keys, b[i].keys, f)
		} else {
			f(k, b[i])
		}
	}
}

// find returns the key of that name, or nil.
func find(keys []*key, name string) *key {
	for _, k := range keys {
		if k.name == name {
			return k
		}
	}
	return nil
}

// names are the names of the keys.
func names(keys []*key) []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.name
	}
	return all
}

const variablePrefix = "L4FWD_"

// variable is the environment variable of a key or of a flag.
func variable(name string) string {
	return variablePrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(name))
}

// variables are the environment variables of the key, the first one first. A flag that is not named like its key has a
// variable of its own: health.address is L4FWD_HEALTH_ADDRESS and, as --health, L4FWD_HEALTH.
func (k *key) variables() []string {
	all := []string{variable(k.path)}
	if k.flag != "" && variable(k.flag) != all[0] {
		all = append(all, variable(k.flag))
	}
	return all
}
