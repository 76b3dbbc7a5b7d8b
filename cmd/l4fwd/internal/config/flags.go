package config

import (
	"slices"
	"strconv"
	"strings"

	"github.com/spf13/pflag"
)

// textFlag is the flag of a key. It takes any text: faults in it are reported together with all others.
type textFlag struct {
	key    *key
	values []string // every one that was given
}

// String is the value for --help: the default, or what was given.
func (f *textFlag) String() string {
	switch {
	case f.key == nil:
		return ""
	case f.values == nil:
		return f.key.def
	}
	return strings.Join(f.values, ",")
}

// Set keeps every value.
func (f *textFlag) Set(text string) error {
	f.values = append(f.values, text)
	return nil
}

// repeated reports whether a flag of one value was given more than once.
func (f *textFlag) repeated() bool { return !f.key.many && len(f.values) > 1 }

// Type is how --help writes the value.
func (f *textFlag) Type() string { return f.key.arg }

// onceFlag is any other flag. A second value is an error, where it would silently win.
type onceFlag struct {
	pflag.Value
	name   string
	values []string
}

// Set takes the first value only.
func (f *onceFlag) Set(text string) error {
	if f.values = append(f.values, text); len(f.values) > 1 {
		return &RepeatedFlag{f.name, f.values}
	}
	return f.Value.Set(text)
}

// GiveOnce makes a second value of a flag an error, for every flag of the set that is not a list, and not one of a
// key: these are checked by Load.
func GiveOnce(fs *pflag.FlagSet) {
	fs.VisitAll(func(f *pflag.Flag) {
		_, ofKey := f.Value.(*textFlag)
		if _, many := f.Value.(pflag.SliceValue); !ofKey && !many {
			f.Value = &onceFlag{Value: f.Value, name: f.Name}
		}
	})
}

// RepeatedFlag is the error of a flag that takes one value and was given several.
type RepeatedFlag struct {
	name   string
	values []string
}

// Error names the flag and its values.
func (e *RepeatedFlag) Error() string {
	return repeatedName(e.name) + ": " + repeatedValues(e.values) + "; write it once"
}

// repeatedName is the place of a fault: a flag that was given twice.
func repeatedName(flag string) string { return "flag --" + flag + " is given twice" }

// repeatedValues lists the values of such a flag.
func repeatedValues(values []string) string {
	quoted := make([]string, len(values))
	for i, v := range values {
		quoted[i] = strconv.Quote(v)
	}
	return strings.Join(quoted, ", ")
}

const configFlag = "config"

// ChoicesAnnotation is the annotation of a flag of a key that lists its choices, if it has any.
const ChoicesAnnotation = "l4fwd_choices"

// AddFileFlag adds --config, which every verb has.
func AddFileFlag(fs *pflag.FlagSet) {
	fs.String(configFlag, "", "The configuration `FILE`, YAML; see docs/CONFIG.md. None is read unless it is named here or in L4FWD_CONFIG.")
}

// AddFlags adds the flags of the keys given by their flag names, or of all keys that have one.
func AddFlags(fs *pflag.FlagSet, only ...string) {
	for _, k := range settable(new(Config).keys()) {
		if k.flag == "" || len(only) > 0 && !slices.Contains(only, k.flag) {
			continue
		}
		doc := strings.ReplaceAll(k.doc, "`", "")
		if k.many {
			doc += " May be repeated."
		}
		if len(k.choices) > 0 {
			doc += " One of " + listChoices(k.choices) + "."
		}
		fs.VarPF(&textFlag{key: k}, k.flag, "", doc).Annotations = map[string][]string{ChoicesAnnotation: k.choices}
	}
}
