package manual

import (
	"io"
	"strings"
)

// Key is one key of the configuration file, or one of its sections. Texts may have `backquotes`.
type Key struct {
	Path, Doc string   // the path is dotted, with [] for the entries of a list: listeners[].name
	Default   string   // empty: none
	Allowed   string   // what can be written
	Notes     []string // paragraphs of their own
	Flag      string   // without dashes; empty: none
	Variables []string // environment variables; empty: only a file can give it
	Section   bool     // its keys follow
	Required  bool     // every entry of its list needs it
	Restart   bool     // a new value takes an upgrade or a restart
}

// WriteFile writes l4fwd.yaml(5), every key of the configuration file.
func WriteFile(out io.Writer, keys []Key) error {
	p := newPage("l4fwd.yaml", "5", "configuration of l4fwd")
	p.section("Description")
	p.prose(aboutFile)
	p.section("Examples")
	p.literal(FileExample)
	p.section("Keys")
	for _, k := range keys {
		if k.Section {
			p.subsection(k.Path)
			p.prose(k.Doc)
			continue
		}
		p.term(bold(k.Path), k.summary())
		for _, note := range k.Notes {
			p.more(note)
		}
	}
	p.entries("Files", files)
	p.section("See also")
	p.prose("l4fwd(1), and /usr/share/doc/l4fwd/CONFIG.md.")
	return p.writeTo(out)
}

// summary is what a key does, what can be written, and where else it can be given.
func (k *Key) summary() string {
	text := []string{k.Doc}
	if k.Allowed != "" {
		text = append(text, "Allowed: "+k.Allowed+".")
	}
	switch {
	case k.Required:
		text = append(text, "Required.")
	case k.Default != "":
		text = append(text, "Default: `"+k.Default+"`.")
	}
	var also []string
	if k.Flag != "" {
		also = append(also, "`--"+k.Flag+"`")
	}
	for _, v := range k.Variables {
		also = append(also, "`"+v+"`")
	}
	if len(also) > 0 {
		text = append(text, "Also "+strings.Join(also, ", ")+".")
	}
	if k.Restart {
		text = append(text, "A new value takes an upgrade or a restart.")
	}
	return strings.Join(text, " ")
}
