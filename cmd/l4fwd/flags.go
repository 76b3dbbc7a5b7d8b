package main

import (
	"fmt"
	"strings"

	"github.com/spf13/pflag"
)

// textFlag is the flag of a key. It takes any text: what is wrong with it is said together with all other faults.
type textFlag struct {
	key    *key
	values []string
	times  int // how often it was given
}

func (f *textFlag) String() string {
	if f.values == nil && f.key != nil {
		return f.key.def
	}
	return strings.Join(f.values, ",")
}

// Set keeps the last value, or all of them for a list.
func (f *textFlag) Set(text string) error {
	if !f.key.list() {
		f.values = nil
	}
	f.values = append(f.values, text)
	f.times++
	return nil
}

// Type is how --help writes the value.
func (f *textFlag) Type() string { return f.key.arg }

const configFlag = "config"

// addConfigFlag adds --config, which every verb has.
func addConfigFlag(fs *pflag.FlagSet) {
	fs.String(configFlag, "", "The configuration `FILE`, YAML; see docs/CONFIG.md. None is read unless it is named here or in L4FWD_CONFIG.")
}

// addKeyFlags adds the flags of the keys given by their flag names, or of all keys that have one.
func addKeyFlags(fs *pflag.FlagSet, only ...string) {
	for _, k := range settable(schema) {
		if k.flag == "" || len(only) > 0 && !contains(only, k.flag) {
			continue
		}
		doc := k.doc
		if k.list() {
			doc += " May be repeated."
		}
		if have := k.choices(); have != "" {
			doc += " One of " + have + "."
		}
		fs.Var(&textFlag{key: k}, k.flag, doc)
	}
}

// addOutputFlag adds --output; checkOutput says whether its value is a choice.
func addOutputFlag(fs *pflag.FlagSet, output *string) {
	fs.StringVarP(output, "output", "o", "text", "How to print it: `FORMAT` text or json.")
}

func checkOutput(output string) error {
	if output != "text" && output != "json" {
		return usage(fmt.Errorf("flag --output: %q is not a choice; use one of text, json", output))
	}
	return nil
}

func contains(all []string, s string) bool {
	for _, a := range all {
		if a == s {
			return true
		}
	}
	return false
}
