package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

// shapes are files whose values have the wrong shape, with what is reported. FILE stands for the name.
var shapes = map[string]string{
	// The file as a whole.
	"- a\n":                "FILE:1: is a list; write keys: upstream, listen, loops, ",
	"just a text":          `FILE:1: is the single value "just a text"; write keys: upstream, `,
	"? [a, b]\n":           "FILE:1: a key is a list; write a name",
	"? {a: b}\n":           "FILE:1: a key is a section with keys; write a name",
	"'': 1\n":              "FILE:1: a key is empty; known keys: upstream, ",
	"1: 2\n":               "FILE:1: 1: unknown key; known keys: upstream, ",
	"~: 2\n":               "FILE:1: ~: unknown key; known keys: upstream, ",
	"loops: 1\nloops: 2\n": "FILE:2: loops: is here twice, first in line 1; remove one of them",
	// Sections.
	"timeouts: 5s\n":            `FILE:1: timeouts: is the single value "5s"; write keys: preface, idle, half_close`,
	"timeouts: [5s]\n":          "FILE:1: timeouts: is a list; write keys: preface, idle, half_close",
	"timeouts: {idle: {}}\n":    "FILE:1: timeouts.idle: is a section with keys; write a single value",
	"timeouts:\n  idle: [1h]\n": "FILE:2: timeouts.idle: is a list; write a single value",
	"timeouts: {idle: ~}\n":     "FILE:1: timeouts.idle: has no value; write one, or remove the key",
	"timeouts: {idle: true}\n":  `FILE:1: timeouts.idle: "true" is not a duration; `,
	"log: {level: true}\n":      "FILE:1: log.level: true is not a choice; use one of debug, info, warn, error",
	"eip: {pool: true}\n":       `FILE:1: eip.pool: true is no text; write it in quotes: "true"`,
	"eip: {required: 1}\n":      "",
	"eip: {required: maybe}\n":  `FILE:1: eip.required: "maybe" is neither true nor false; write true or false`,
	// Lists of values.
	"listen: ':8443'\n":           `FILE:1: listen: is the single value ":8443"; write a list: [":8443"]`,
	"listen: {a: b}\n":            "FILE:1: listen: is a section; put brackets around it: [{…}]",
	"listen:\n  a: b\n":           "FILE:1: listen: is a section with keys; write a list",
	"listen: ''\n":                `FILE:1: listen: is the single value ""; write a list`,
	"listen: [[':1']]\n":          "FILE:1: listen[0]: is a list; write a single value",
	"listen: [~]\n":               "FILE:1: listen[0]: has no value; write one, or remove the key",
	"listen:\n- ':1'\n- {a: b}\n": "FILE:3: listen[1]: is a section with keys; write a single value",
	// Lists of sections.
	"listeners: {address: ':1'}\n":                         "FILE:1: listeners: is a section; put brackets around it: [{…}]",
	"listeners:\n  address: ':1'\n":                        `FILE:1: listeners: is a section; put "- " before its first key`,
	"listeners: ':1'\n":                                    `FILE:1: listeners: is the single value ":1"; write listen: [":1"], or listeners: [{address: ":1"}]`,
	"listeners: [':1']\n":                                  `FILE:1: listeners[0]: is the single value ":1"; write keys: name, address, upstream, `,
	"listeners: [~]\n":                                     "FILE:1: listeners[0].address: is missing; every entry needs one",
	"listeners: [{}]\n":                                    "FILE:1: listeners[0].address: is missing; every entry needs one",
	"listeners: [{name: x}]\n":                             "FILE:1: listeners[0].address: is missing; every entry needs one",
	"listeners:\n- name: x\n":                              "FILE:2: listeners[0].address: is missing; every entry needs one",
	"listeners: [{address: ~}]\n":                          "FILE:1: listeners[0].address: has no value; write one, or remove the key",
	"listeners: [{address: ':1', routes: x}]\n":            `FILE:1: listeners[0].routes: is the single value "x"; write a list: ["x"]`,
	"listeners: [{address: ':1', routes: [{sni: [x]}]}]\n": "FILE:1: listeners[0].routes[0].upstream: is missing; every entry needs one",
	// Merges.
	"timeouts: {<<: 5}\n":             `FILE:1: timeouts: << merges the single value "5"; merge a section, or a list of sections`,
	"timeouts: {<<: {ide: 1h}}\n":     "FILE:1: timeouts.ide: unknown key; did you mean idle? known keys: preface, idle, half_close",
	"timeouts: {<<: [{idle: 1ms}]}\n": "FILE:1: timeouts.idle: 1ms is out of range; write a duration from 1s to 720h",
}

func TestShapesOfValues(t *testing.T) {
	for text, want := range shapes {
		path := write(t, text)
		_, said := try(t, "--upstream=a.example:443", "--config", path)
		if want == "" {
			require.Empty(t, said, text)
			continue
		}
		require.Contains(t, said, strings.ReplaceAll(want, "FILE", path), text)
		require.Equal(t, 1, strings.Count(said, "\n"), "one fault: %s", said)
	}
}

// A key of a section merges what others have, its own first, then the first of those that are merged.
func TestMergedKeys(t *testing.T) {
	for text, want := range map[string]string{
		"{preface: 1s, <<: {preface: 2s, idle: 3s}}":          "1s 3s 5m",
		"{<<: {preface: 2s, idle: 3s}, preface: 1s}":          "1s 3s 5m",
		"{<<: [{preface: 2s}, {preface: 3s, idle: 4s}]}":      "2s 4s 5m",
		"{<<: {<<: {half_close: 6s}, idle: 7s}}":              "5s 7s 6s",
		"{<<: [{<<: [{idle: 8s}, {idle: 9s}]}, {idle: 10s}]}": "5s 8s 5m",
		"{<<: {preface: 2s}, <<: {idle: 3s}}":                 "2s 3s 5m",
		"{<<: []}":                                            "5s 1h 5m",
		"{<<: {}}":                                            "5s 1h 5m",
		"&x {idle: 11s}\nkeepalive: {}\ndrain: {}":            "5s 11s 5m",
		"{<<: [1, {idle: 12s}]}":                              "5s 12s 5m",
		"{idle: &d 13s, half_close: *d}":                      "5s 13s 13s",
		"{idle: &d 13s, <<: {preface: *d}}":                   "13s 13s 5m",
	} {
		l, said := try(t, "--config", write(t, "upstream: a.example:443\ntimeouts: "+text+"\n"))
		require.Empty(t, said, text)
		c := l.Config.Timeouts
		require.Equal(t, want, formatDuration(c.Preface)+" "+formatDuration(c.Idle)+" "+formatDuration(c.HalfClose), text)
	}
}

// The lines are those of the values, also of values that an alias stands for.
func TestFaultsAreInTheLineOfTheKey(t *testing.T) {
	path := write(t, `upstream: a.example:443
x: &bad
  idle: 1ms
timeouts: *bad
drain:
  <<: &also
    timeout: -1s
log: {<<: *also}
`)
	_, said := try(t, "--config", path)
	for _, want := range []string{
		path + ":2: x: unknown key; ", path + ":3: timeouts.idle: 1ms is out of range; ", path + ":7: drain.timeout: -1s is negative; ", path + ":7: log.timeout: unknown key; ",
	} {
		require.Contains(t, said, want)
	}
	require.Equal(t, 4, strings.Count(said, "\n"), said)
}

// What has a fault is left out, and what is right beside it is used.
func TestWhatIsRightIsUsedBesideFaults(t *testing.T) {
	l, _ := try(t, "--config", write(t, `upstream: a.example:443
loops: many
timeouts: {idle: 1ms, preface: 1s}
dns: {servers: [10.0.0.1, x, 10.0.0.2]}
listeners: [{address: x}, {address: ':1', accept_proxy: on}, 5]
`))
	c := l.Config
	require.True(t, l.Faults.Bad())
	require.Equal(t, 0, c.Loops)
	require.Equal(t, "1s 1h", formatDuration(c.Timeouts.Preface)+" "+formatDuration(c.Timeouts.Idle))
	require.Len(t, c.DNS.Servers, 2)
	require.Len(t, c.Listeners, 3)
	require.False(t, c.Listeners[0].Address.IsValid())
	require.Equal(t, AcceptProxyOff, c.Listeners[1].AcceptProxy)
}

// The layer that viper gets has the texts of what a flag or a variable could set, and nothing of lists of sections.
func TestTheLayerOfTheFile(t *testing.T) {
	var c Config
	f := &file{report: newReport(), path: "c.yaml", keys: c.keys()}
	layer := map[string]any{}
	decoder, err := f.Decoder("yaml")
	require.NoError(t, err)
	require.NoError(t, decoder.Decode([]byte("loops: 0x\nwarm: 7\ndns: {servers: [10.0.0.1, x]}\nlisten: []\nupstreams: [{address: 'a.example:443'}]\ntimeouts: {idle: 2h}\nlog: ~\n"), layer))
	require.Equal(t, map[string]any{
		"warm": "7", "dns": map[string]any{"servers": []string{"10.0.0.1"}}, "listen": []string{}, "timeouts": map[string]any{"idle": "2h"}, "log": map[string]any{},
	}, layer)
	require.Len(t, f.faults, 2)
	require.Len(t, c.Upstreams, 1)
	require.Equal(t, origin{file: "c.yaml", line: 5}, f.origins["upstreams[0].address"])
}

func TestTargetsOfAliases(t *testing.T) {
	root, err := parseYAML([]byte("a: &a 1\nb: &b *a\n"))
	if err == nil { // not every version of the library takes an anchor on an alias
		require.Equal(t, "1", target(root.Content[3]).Value)
	}
	root, err = parseYAML([]byte("a: &a 1\nb: *a\n"))
	require.NoError(t, err)
	require.Equal(t, yaml.AliasNode, root.Content[3].Kind)
	require.Equal(t, "1", target(root.Content[3]).Value)
}

func TestPathsOfKeys(t *testing.T) {
	require.Equal(t, "log", join("", "log"))
	require.Equal(t, "log.level", join("log", "level"))
	for _, k := range leaves(new(Config).keys()) {
		require.True(t, strings.HasSuffix(k.path, k.name), k.path)
	}
	require.Equal(t, "connect.timeout", meant("timeout", new(Upstream).keys()))
	require.Equal(t, "upstream", meant("upstraem", new(Config).keys()))
	require.Empty(t, meant("nonsense", new(Config).keys()))
}
