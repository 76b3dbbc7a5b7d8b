package config

import (
	"bytes"
	"maps"
	"os"
	"strings"

	"github.com/spf13/pflag"
	"github.com/spf13/viper"
)

// Loaded is a configuration and everything that was found about it.
type Loaded struct {
	Config Config // may be used only if Faults is not Bad
	Faults Faults
	Path   string    // of the file; empty: none was named
	File   FileState // what it held
	Broken bool      // the file could not be read as YAML at all

	DefaultListener bool // the only listener is there because none was configured
	AdminNamed      bool // admin.address is that of a flag or a variable, whatever is in the file
}

// Load reads flags, environment and file, in this order of precedence, and validates the result. All faults are found
// at once. flags may lack the flags of some or all keys.
func Load(flags *pflag.FlagSet) *Loaded {
	l := &Loaded{Path: configPath(flags)}
	r := newReport()
	keys := l.Config.keys()
	setDefaults(keys)
	f := &file{report: r, path: l.Path, keys: keys}
	v := viper.NewWithOptions(viper.WithDecoderRegistry(f))
	l.readFile(v, f)
	inFile := maps.Clone(r.origins)
	s := sources{v, r, flags}
	for _, k := range settable(keys) {
		s.bind(k)
	}
	s.unusable(keys)
	for _, k := range settable(keys) {
		s.settle(k)
	}
	l.AdminNamed = r.origins["admin.address"].name != ""
	if l.Broken = f.broken; !l.Broken {
		m := merger{r, &l.Config, inFile}
		l.DefaultListener = m.merge()
		if l.Config.Reload == ReloadWatch && l.Path == "" {
			r.warn("reload", "there is no file to watch", "name one with --config")
		}
		validate(&l.Config, r, l.Path)
	}
	l.Faults = r.all()
	return l
}

// configPath is the file to read: --config, else L4FWD_CONFIG, else none. There is no default path, so that command line
// and environment show all that a daemon uses.
func configPath(flags *pflag.FlagSet) string {
	if f := flags.Lookup(configFlag); f != nil && f.Changed {
		return f.Value.String()
	}
	return getenv(variable(configFlag))
}

// readFile has viper read the file, if one is named.
func (l *Loaded) readFile(v *viper.Viper, f *file) {
	if l.Path == "" {
		return
	}
	text, err := readBounded(l.Path)
	if err != nil {
		f.broke(0, err)
		return
	}
	l.File = stateOf(text)
	v.SetConfigType("yaml")
	if err := v.ReadConfig(bytes.NewReader(text)); err != nil {
		f.broke(0, err) // the decoder has no errors
	}
}

// getenv is an environment variable without the space around it: secret stores leave a final newline.
func getenv(name string) string { return strings.TrimSpace(os.Getenv(name)) }

// CheckText finds what is wrong with the text of a file by itself, without flags and environment. name stands for the file.
func CheckText(name string, text []byte) Faults {
	var c Config
	r := newReport()
	keys := c.keys()
	setDefaults(keys)
	f := &file{report: r, path: name, keys: keys}
	if len(text) > maxFile {
		f.broke(0, fault("is larger than 1 MiB", "divide it"))
	} else {
		_ = f.Decode(text, map[string]any{}) // its faults are in r
	}
	if !f.broken {
		m := merger{r, &c, maps.Clone(r.origins)}
		m.merge()
		validate(&c, r, name)
	}
	return r.all()
}
