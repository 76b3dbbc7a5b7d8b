package config

import (
	"reflect"
	"strings"
)

// key is one field of Config as its tags describe it.
type key struct {
	name     string // as in the file
	path     string // dotted, with [] for the elements of a list: listeners[].name
	typ      reflect.Type
	index    int // of the field in its struct
	kind     string
	def      string
	hasDef   bool
	required bool
	allowed  []string
	min, max string
	flag     string
	arg      string
	doc      string
	keys     []*key // below a section or in each element of a list of sections
}

// schema is every key, in the order of Config.
var schema = keysOf(reflect.TypeFor[Config](), "")

func keysOf(t reflect.Type, prefix string) []*key {
	keys := make([]*key, t.NumField())
	for i := range keys {
		f := t.Field(i)
		def, hasDef := f.Tag.Lookup("default")
		k := &key{
			name: f.Tag.Get("key"), path: prefix + f.Tag.Get("key"), typ: f.Type, index: i,
			kind: f.Tag.Get("kind"), def: def, hasDef: hasDef, required: f.Tag.Get("required") == "true",
			min: f.Tag.Get("min"), max: f.Tag.Get("max"),
			flag: f.Tag.Get("flag"), arg: f.Tag.Get("arg"), doc: f.Tag.Get("doc"),
		}
		if allowed, ok := f.Tag.Lookup("allowed"); ok {
			k.allowed = strings.Split(allowed, "|")
		}
		switch {
		case k.section():
			k.keys = keysOf(f.Type, k.path+".")
		case k.sections():
			k.keys = keysOf(f.Type.Elem(), k.path+"[].")
		}
		keys[i] = k
	}
	return keys
}

// section reports whether the key holds keys of its own.
func (k *key) section() bool { return k.typ.Kind() == reflect.Struct }

// sections reports whether the key is a list of sections, which only a file can give.
func (k *key) sections() bool {
	return k.typ.Kind() == reflect.Slice && k.typ.Elem().Kind() == reflect.Struct
}

// list reports whether the key is a list of texts.
func (k *key) list() bool {
	return k.typ.Kind() == reflect.Slice && k.typ.Elem().Kind() == reflect.String
}

// textual reports whether the value is a text, or a list of texts, rather than a number, a duration or a truth.
func (k *key) textual() bool { return k.typ.Kind() == reflect.String || k.list() }

// settable returns the keys that a flag or a variable can set: all but the lists of sections and what is in them.
func settable(keys []*key) []*key {
	var all []*key
	for _, k := range keys {
		switch {
		case k.section():
			all = append(all, settable(k.keys)...)
		case !k.sections():
			all = append(all, k)
		}
	}
	return all
}

// variables are the environment variables of the key, the first one first. A flag that is not named like its key has a
// variable of its own: health.address is L4FWD_HEALTH_ADDRESS and, as --health, L4FWD_HEALTH.
func (k *key) variables() []string {
	names := []string{variable(k.path)}
	if k.flag != "" && variable(k.flag) != names[0] {
		names = append(names, variable(k.flag))
	}
	return names
}

const variablePrefix = "L4FWD_"

func variable(key string) string {
	return variablePrefix + strings.ToUpper(strings.NewReplacer(".", "_", "-", "_").Replace(key))
}

func find(keys []*key, name string) *key {
	for _, k := range keys {
		if k.name == name {
			return k
		}
	}
	return nil
}

func names(keys []*key) []string {
	all := make([]string, len(keys))
	for i, k := range keys {
		all[i] = k.name
	}
	return all
}
