package config

import (
	"encoding/json"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// choiceOfSources is a random choice of sources for each key that is in no list, with a value from each.
type choiceOfSources struct {
	file      map[string]any
	variables map[string]string
	args      []string
	want      map[string]string // by path: what wins
}

// chooseSources is the slow, obvious way: a list of (source, value) for each key, of which the last one wins.
func chooseSources(r *rand.Rand) choiceOfSources {
	c := choiceOfSources{map[string]any{"upstreams": []any{map[string]any{"address": "a.example:443"}}}, map[string]string{}, nil, map[string]string{}}
	good := goodValues()
	for _, k := range settable(new(Config).keys()) {
		if k.short {
			continue
		}
		values := good[k.path]
		pick := func() string { return values[r.IntN(len(values))] }
		c.want[k.path] = defaultOf(k.path)
		if r.IntN(2) == 0 {
			text := pick()
			put(c.file, strings.Split(k.path, "."), text, k.many)
			c.want[k.path] = text
		}
		if names := k.variables(); r.IntN(3) == 0 {
			text := pick()
			c.variables[names[r.IntN(len(names))]] = text
			if text != "" { // an empty one is not set
				c.want[k.path] = text
			}
		}
		if k.flag != "" && r.IntN(3) == 0 {
			text := pick()
			c.args = append(c.args, "--"+k.flag+"="+text)
			c.want[k.path] = text
		}
	}
	return c
}

// defaultOf is the default of a key by the table of the interface.
func defaultOf(path string) string {
	for _, c := range keyCases {
		if c.path == path {
			return c.def
		}
	}
	return ""
}

// put sets a value in nested sections.
func put(file map[string]any, path []string, text string, many bool) {
	if len(path) > 1 {
		if file[path[0]] == nil {
			file[path[0]] = map[string]any{}
		}
		put(file[path[0]].(map[string]any), path[1:], text, many)
		return
	}
	if many {
		file[path[0]] = []string{text}
		return
	}
	file[path[0]] = text
}

// Whatever sources the keys are set by, each has the value of the source that wins.
func TestAnyMixOfSources(t *testing.T) {
	r := rand.New(rand.NewPCG(7, 8))
	for range 60 {
		c := chooseSources(r)
		text, err := json.Marshal(c.file)
		require.NoError(t, err)
		for name, value := range c.variables {
			t.Setenv(name, value)
		}
		l, said := try(t, append([]string{"--config", write(t, string(text))}, c.args...)...)
		for name := range c.variables {
			t.Setenv(name, "")
		}
		require.False(t, l.Faults.Bad(), "%s\n%s %v %v", said, text, c.variables, c.args)
		for path, want := range c.want {
			require.Equal(t, want, strings.Join(effective(t, &l.Config, path), ","), "%s: %s %v %v", path, text, c.variables, c.args)
		}
	}
}
