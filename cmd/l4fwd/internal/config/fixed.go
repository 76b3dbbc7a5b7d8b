package config

import (
	"reflect"
	"slices"
	"strings"
)

// fixedKeys take effect at a start only. What is below a section is part of it.
var fixedKeys = []string{"loops", "engine", "reload", "dns", "eip", "lifecycle", "health", "admin", "log.format"}

func isFixed(path string) bool {
	return slices.ContainsFunc(fixedKeys, func(k string) bool { return path == k || strings.HasPrefix(path, k+".") })
}

// KeepFixed gives next the values of used for keys that cannot change, and returns those that did.
func KeepFixed(next, used *Config) (kept []string) {
	walk(reflect.ValueOf(next).Elem(), reflect.ValueOf(used).Elem(), schema, func(k *key, n, u reflect.Value) {
		if isFixed(k.path) && differ(n, u) {
			n.Set(u)
			kept = append(kept, k.path)
		}
	})
	return kept
}

// Changed returns the keys that differ; a list counts as one.
func Changed(a, b *Config) []string {
	changed := []string{} // an empty list rather than none in the log
	walk(reflect.ValueOf(a).Elem(), reflect.ValueOf(b).Elem(), schema, func(k *key, x, y reflect.Value) {
		if differ(x, y) {
			changed = append(changed, k.path)
		}
	})
	return changed
}

func differ(a, b reflect.Value) bool { return !reflect.DeepEqual(a.Interface(), b.Interface()) }

// walk calls f for each key that is no section, with its values in a and b.
func walk(a, b reflect.Value, keys []*key, f func(k *key, x, y reflect.Value)) {
	for _, k := range keys {
		x, y := a.Field(k.index), b.Field(k.index)
		if k.section() {
			walk(x, y, k.keys, f)
		} else {
			f(k, x, y)
		}
	}
}
