package config

import (
	"cmp"
	"fmt"
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"

	"github.com/go-viper/mapstructure/v2"
	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Loaded is a configuration and everything that was found about it. Config may be used only if Faults is not Bad.
type Loaded struct {
	Config Config
	Faults Faults
	Path   string    // of the file; empty: none was named
	File   FileState // what it held
	Broken bool      // the file could not be read as YAML at all

	DefaultListener bool // the only listener is there because none was configured

	origins map[string]origin // where each value came from, by key with indices; a default has none
	spelled map[string]string // the key as it was written, where a shorthand stood for it
}

// Load reads flags, environment and file, in this order of precedence, and validates the result. All faults are found
// at once. flags may lack the flags of some or all keys.
func Load(flags *pflag.FlagSet) *Loaded {
	l := &Loaded{origins: map[string]origin{}, spelled: map[string]string{}, Path: configPath(flags)}
	v := viper.New()
	read := &file{}
	if l.Path != "" {
		read = readFile(l.Path)
		l.Faults, l.Broken, l.File = append(l.Faults, read.faults...), read.broken, read.state
		for at, where := range read.origins {
			l.origins[at] = where
		}
		_ = v.MergeConfigMap(read.values) // of a map it cannot fail
	}
	for _, k := range settable(schema) {
		if k.hasDef {
			v.SetDefault(k.path, k.def)
		}
		l.bindVariables(v, k)
		l.bindFlag(v, k, flags)
	}
	l.unusable()
	if err := v.Unmarshal(&l.Config, decoder); err != nil {
		l.add(origin{}, "", fault("%s", "", err)) // a gap in our own checks: never silent
	}
	if !l.Broken {
		l.combine(read)
		if l.Config.Reload == ReloadWatch && l.Path == "" {
			l.warn(l.origins["reload"], "reload", "there is no file to watch", "name one with --config")
		}
		l.validate()
	}
	return l
}

// configPath is the file to read: --config, else L4FWD_CONFIG, else none. There is no default path, so that what a
// daemon does can be told from its command line and environment.
func configPath(flags *pflag.FlagSet) string {
	if f := flags.Lookup(configFlag); f != nil && f.Changed {
		return f.Value.String()
	}
	return os.Getenv(variable(configFlag))
}

func decoder(c *mapstructure.DecoderConfig) {
	c.TagName = "key"
	c.DecodeHook = func(from, to reflect.Type, v any) (any, error) {
		text, ok := v.(string)
		switch {
		case !ok:
		case to == reflect.TypeFor[Duration]():
			return parseDuration(text)
		case to == reflect.TypeFor[[]string]():
			return split(text), nil
		}
		return v, nil
	}
}

func (l *Loaded) add(where origin, key string, err error) {
	f, ok := err.(*Fault)
	if !ok {
		f = &Fault{What: err.Error()}
	}
	f.Where, f.Key = where, l.spelling(key)
	l.Faults = append(l.Faults, f)
}

// spelling is the key as it was written.
func (l *Loaded) spelling(key string) string { return cmp.Or(l.spelled[key], key) }

func (l *Loaded) warn(where origin, key, what, allowed string) {
	l.Faults = append(l.Faults, &Fault{Where: where, Key: key, What: what, Allowed: allowed, Warning: true})
}

// bindVariables lets the key's variables set it. One with a fault is reported and not bound; an empty one counts as not
// set, since templates of containers leave such behind.
func (l *Loaded) bindVariables(v *viper.Viper, k *key) {
	first := "" // the variable that set it
	for _, name := range k.variables() {
		text := os.Getenv(name)
		if text == "" {
			continue
		}
		where := origin{name: name}
		if first != "" {
			l.warn(where, "", "ignored: "+first+" sets the same and wins", "unset one of the two")
			continue
		}
		if l.check(k, text, where) {
			_ = v.BindEnv(k.path, name)
			l.origins[k.path] = where
			first = name
		}
	}
}

// bindFlag lets the key's flag set it, if it was given.
func (l *Loaded) bindFlag(v *viper.Viper, k *key, flags *pflag.FlagSet) {
	if k.flag == "" {
		return
	}
	f := flags.Lookup(k.flag)
	if f == nil || !f.Changed {
		return
	}
	where := origin{name: "flag --" + k.flag}
	if k.list() && len(split(f.Value.String())) == 0 {
		l.add(where, k.path, fault("names no address", "write "+k.arg+", or leave the flag away"))
		return
	}
	if t, ok := f.Value.(*textFlag); ok && t.repeated() {
		instead := "write it once"
		switch k.path {
		case "upstream":
			instead = "write several under upstreams in a file"
		case "eip.pool":
			instead = "write it once; allocation ids have commas between"
		}
		l.add(origin{name: repeatedName(k.flag)}, k.path, fault("%s", instead, repeatedValues(t.values)))
		return
	}
	if l.check(k, f.Value.String(), where) {
		_ = v.BindPFlag(k.path, f)
		l.origins[k.path] = where
	}
}

// check reports whether text is a value for the key, and adds the faults if not.
func (l *Loaded) check(k *key, text string, where origin) bool {
	parts := []string{text}
	if k.list() {
		parts = split(text)
	}
	ok := true
	for _, part := range parts {
		if _, err := k.parse(part); err != nil {
			l.add(where, k.path, err)
			ok = false
		}
	}
	return ok
}

// unusable reports the variables that set nothing.
func (l *Loaded) unusable() {
	known := map[string]bool{variable(configFlag): true}
	for _, k := range settable(schema) {
		for _, name := range k.variables() {
			known[name] = true
		}
	}
	environ := os.Environ()
	slices.Sort(environ)
	var injected []string
	for _, entry := range environ {
		name, text, _ := strings.Cut(entry, "=")
		switch {
		case !strings.HasPrefix(name, variablePrefix) || known[name] || text == "":
		case kubernetes.MatchString(name):
			injected = append(injected, name)
		default:
			l.unknownVariable(name, known)
		}
	}
	if len(injected) > 0 {
		l.warn(origin{name: strings.Join(injected, ", ")}, "", "no setting, ignored",
			"Kubernetes sets such for a service of that name; enableServiceLinks: false in the pod's spec stops it")
	}
}

// kubernetes matches the variables a pod gets for each service of its namespace, such as L4FWD_PORT_443_TCP_ADDR.
var kubernetes = regexp.MustCompile(`^L4FWD_(.*_)?(SERVICE_HOST|SERVICE_PORT(_.+)?|PORT|PORT_\d+_(TCP|UDP|SCTP)(_(PROTO|PORT|ADDR))?)$`)

func (l *Loaded) unknownVariable(name string, known map[string]bool) {
	if k := find(schema, strings.ToLower(strings.TrimPrefix(name, variablePrefix))); k != nil && k.sections() {
		l.add(origin{name: name}, k.path, fault("a variable cannot set it", "write it into the file"))
		return
	}
	candidates := make([]string, 0, len(known))
	for k := range known {
		candidates = append(candidates, k)
	}
	slices.Sort(candidates)
	allowed := "docs/CONFIG.md lists the variables"
	if near := Nearest(name, candidates); near != "" {
		allowed = "did you mean " + near + "?"
	}
	l.warn(origin{name: name}, "", "no setting, ignored", allowed)
}

// combine turns the shorthands upstream and listen into entries of upstreams and listeners, and names what has no name.
func (l *Loaded) combine(read *file) {
	l.combineUpstream(read)
	l.combineListen(read)
	if len(l.Config.DNS.Servers) == 0 {
		l.Config.DNS.Servers = nil // an empty list is none
	}
	for i := range l.Config.Upstreams {
		u := &l.Config.Upstreams[i]
		if host, _, err := ParseHostPort(u.Address); err == nil {
			u.Name = cmp.Or(u.Name, host)
		}
		if len(u.Backups) == 0 {
			u.Backups = nil
		}
		if len(u.SourceAddresses) == 0 {
			u.SourceAddresses = nil
		}
	}
	for i := range l.Config.Listeners {
		in := &l.Config.Listeners[i]
		in.Name = cmp.Or(in.Name, in.Address)
		in.tidy(l.Config.Upstreams)
	}
}

// combineUpstream applies upstream. In one file it excludes upstreams; from a flag or a variable it replaces the address
// of a single entry, and cannot choose between several.
func (l *Loaded) combineUpstream(read *file) {
	address, where := l.Config.Upstream, l.origins["upstream"]
	entries := len(l.Config.Upstreams)
	both := seen(read, "upstream") && seen(read, "upstreams")
	switch {
	case both:
		l.add(read.origins["upstream"], "upstream", fault("stands beside upstreams", "write one of the two"))
	case address == "":
	case entries > 1:
		l.add(where, "upstream", fault("the file has %d upstreams, and one address cannot stand for them", "change the file", entries))
	case entries == 1:
		l.Config.Upstreams[0].Address = address
		l.origins["upstreams[0].address"] = where
	default:
		l.Config.Upstreams = []Upstream{newUpstream(address)}
		l.origins["upstreams[0].address"], l.spelled["upstreams[0].address"] = where, "upstream"
	}
	l.Config.Upstream = ""
	l.combineWarm()
}

// combineWarm applies warm to the only upstream.
func (l *Loaded) combineWarm() {
	where, set := l.origins["warm"]
	switch entries := len(l.Config.Upstreams); {
	case !set:
	case entries > 1:
		l.add(where, "warm", fault("the file has %d upstreams, and this cannot choose between them", "write warm.connections below the one you mean", entries))
	case entries == 1:
		l.Config.Upstreams[0].Warm.Connections = l.Config.Warm
		l.origins["upstreams[0].warm.connections"], l.spelled["upstreams[0].warm.connections"] = where, "warm"
	}
	l.Config.Warm = 0
}

// combineListen applies listen, in the same way; from a flag or a variable it replaces the addresses of as many entries.
func (l *Loaded) combineListen(read *file) {
	addresses, where := l.Config.Listen, l.origins["listen"]
	entries := len(l.Config.Listeners)
	both := seen(read, "listen") && seen(read, "listeners")
	switch {
	case both:
		l.add(read.origins["listen"], "listen", fault("stands beside listeners", "write one of the two"))
	case len(addresses) > 0 && entries > 0 && len(addresses) != entries:
		l.add(where, "listen", fault("%d addresses for the %d listeners of the file", "give as many, or change the file", len(addresses), entries))
	case len(addresses) > 0:
		if entries == 0 {
			l.Config.Listeners = slices.Repeat([]Listener{newListener("")}, len(addresses))
		}
		for i, a := range addresses {
			l.Config.Listeners[i].Address = a
			at := fmt.Sprintf("listeners[%d].address", i)
			l.origins[at], l.spelled[at] = where, fmt.Sprintf("listen[%d]", i)
		}
	case entries == 0 && !seen(read, "listen") && !seen(read, "listeners"):
		l.Config.Listeners = []Listener{newListener(defaultListen)}
		l.DefaultListener = true
		l.spelled["listeners[0].address"] = "listen"
	}
	l.Config.Listen = nil
}

// defaultListen is where l4fwd accepts unless told otherwise.
const defaultListen = ":443"

func seen(read *file, key string) bool {
	_, ok := read.origins[key]
	return ok
}

// newUpstream is the entry that upstream is short for.
func newUpstream(address string) Upstream {
	u := Upstream{}
	_ = decode(withDefaults(map[string]any{}, find(schema, "upstreams").keys), &u) // our own defaults: a test reads them
	u.Address = address
	return u
}

// newListener is the entry that an address of listen is short for.
func newListener(address string) Listener {
	in := Listener{}
	_ = decode(withDefaults(map[string]any{}, find(schema, "listeners").keys), &in)
	in.Address = address
	return in
}

func decode(from, to any) error {
	c := &mapstructure.DecoderConfig{Result: to, WeaklyTypedInput: true}
	decoder(c)
	d, err := mapstructure.NewDecoder(c)
	if err != nil {
		return err
	}
	return d.Decode(from)
}
