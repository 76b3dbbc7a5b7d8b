package config

import (
	"os"
	"regexp"
	"slices"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// sources are what gives a key its value: flag, variable, file, default. Viper knows which of them wins.
type sources struct {
	v *viper.Viper
	*report
	flags *pflag.FlagSet
}

// bind lets default, variables and flag of a key set it, where the file does not already.
func (s sources) bind(k *key) {
	if k.hasDef {
		s.v.SetDefault(k.path, k.def)
	}
	s.bindVariables(k)
	s.bindFlag(k)
}

// settle sets the key's field to the value of the source that wins. All values were checked where they were read.
func (s sources) settle(k *key) {
	var texts []string
	switch won := s.v.Get(k.path).(type) {
	case string:
		texts = []string{won}
		if s.origins[k.path].file == "" { // a variable, which viper reads as it is
			texts[0] = strings.TrimSpace(won)
		}
		if k.many {
			texts = split(won)
		}
	case []string: // a list of the file
		texts = won
	default:
		return // no source has it
	}
	k.field.clear()
	for _, text := range texts {
		if err := k.field.set(text); err != nil {
			s.add(k.path, err) // never seen: it would mean that the two readings differ
		}
	}
}

// bindVariables lets the key's variables set it. One with a fault is reported and not bound. An empty one counts as not
// set, since templates of containers leave such behind.
func (s sources) bindVariables(k *key) {
	first := "" // the variable that sets it
	for _, name := range k.variables() {
		text := getenv(name)
		if text == "" {
			continue
		}
		where := origin{name: name}
		if first != "" {
			s.warnAt(where, "", "ignored: "+first+" sets the same and wins", "unset one of the two")
			continue
		}
		if s.check(k, text, where) {
			_ = s.v.BindEnv(k.path, name) // fails without a key only
			s.origins[k.path] = where
			first = name
		}
	}
}

// bindFlag lets the key's flag set it, if it was given.
func (s sources) bindFlag(k *key) {
	f := s.flagOf(k)
	if f == nil {
		return
	}
	where := origin{name: "flag --" + k.flag}
	if k.many && len(split(f.Value.String())) == 0 {
		s.addAt(where, k.path, fault("names no address", "write "+k.arg+", or leave the flag away"))
		return
	}
	if t, ok := f.Value.(*textFlag); ok && t.repeated() {
		s.addAt(origin{name: repeatedName(k.flag)}, k.path, fault("%s", insteadOfTwo(k), repeatedValues(t.values)))
		return
	}
	if s.check(k, f.Value.String(), where) {
		_ = s.v.BindPFlag(k.path, f) // fails without a flag only
		s.origins[k.path] = where
	}
}

// flagOf is the key's flag; nil if it has none or it was not given.
func (s sources) flagOf(k *key) *pflag.Flag {
	if k.flag == "" {
		return nil
	}
	if f := s.flags.Lookup(k.flag); f != nil && f.Changed {
		return f
	}
	return nil
}

// insteadOfTwo says what to do instead of giving a flag twice.
func insteadOfTwo(k *key) string {
	switch k.path {
	case "upstream":
		return "write several under upstreams in a file"
	case "eip.pool":
		return "write it once; allocation ids have commas between"
	}
	return "write it once"
}

// check reports whether text is a value for the key, and adds the faults if not.
func (s sources) check(k *key, text string, where origin) bool {
	parts := []string{text}
	if k.many {
		parts = split(text)
	}
	ok := true
	for _, part := range parts {
		if err := k.field.check(part); err != nil {
			s.addAt(where, k.path, err)
			ok = false
		}
	}
	return ok
}

// unusable warns of each environment variable that begins with L4FWD_ and sets no key. Those that Kubernetes sets for a service
// share one warning.
func (s sources) unusable(keys []*key) {
	known := []string{variable(configFlag)}
	for _, k := range settable(keys) {
		known = append(known, k.variables()...)
	}
	slices.Sort(known)
	environ := os.Environ()
	slices.Sort(environ)
	var injected []string
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		_, isKnown := slices.BinarySearch(known, name)
		switch {
		case !strings.HasPrefix(name, variablePrefix) || isKnown || strings.TrimSpace(text) == "":
		case kubernetes.MatchString(name):
			injected = append(injected, name)
		default:
			s.unknownVariable(name, keys, known)
		}
	}
	if len(injected) > 0 {
		s.warnAt(origin{name: strings.Join(injected, ", ")}, "", "no setting, ignored",
			"Kubernetes sets such for a service of that name; enableServiceLinks: false in the pod's spec stops it")
	}
}

// kubernetes matches the variables a pod gets for each service of its namespace, such as L4FWD_PORT_443_TCP_ADDR.
var kubernetes = regexp.MustCompile(`^L4FWD_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

// unknownVariable warns that no key reads the variable, and suggests the nearest name. It is an error instead if the variable is
// named like a list of the file, such as listeners, which no variable can set.
func (s sources) unknownVariable(name string, keys []*key, known []string) {
	if k := find(keys, strings.ToLower(strings.TrimPrefix(name, variablePrefix))); k != nil && k.isSections() {
		s.addAt(origin{name: name}, k.path, fault("a variable cannot set it", "write it into the file"))
		return
	}
	allowed := "docs/CONFIG.md lists the variables"
	if near := Nearest(name, known); near != "" {
		allowed = "did you mean " + near + "?"
	}
	s.warnAt(origin{name: name}, "", "no setting, ignored", allowed)
}
