// Package manual makes the manual pages and the shell completion from the definitions of the verbs, their flags and the
// keys of the file. Nothing in it is written by hand that a verb or a key says itself.
package manual

import (
	"io"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
)

// exitStatus is the line of the root's help below which its table of exit statuses begins.
const exitStatus = "\n\nExit status:\n"

// WriteCommand writes l4fwd(1): every visible verb below root with its flags and examples. The page has no date and no
// version, so that it changes only with what it describes.
func WriteCommand(out io.Writer, root *cobra.Command) error {
	about, statuses, _ := strings.Cut(root.Long, exitStatus)
	p := newPage(root.Name(), "1", lowerFirst(root.Short))
	p.section("Synopsis")
	for i, cmd := range verbs(root) {
		if i > 0 {
			p.breakLine()
		}
		p.command(cmd.UseLine())
	}
	p.section("Description")
	p.prose(about)
	p.section("Verbs")
	serve, _, _ := root.Find([]string{"serve"})
	for _, cmd := range verbs(root) {
		p.verb(cmd, serve)
	}
	p.section("Exit status")
	p.literal(statuses)
	p.entries("Environment", environment)
	p.entries("Files", files)
	p.entries("Signals", signals)
	p.section("Examples")
	p.literal(root.Example)
	p.section("See also")
	p.prose("l4fwd.yaml(5), systemctl(1), and the documents in /usr/share/doc/l4fwd.")
	return p.writeTo(out)
}

// verbs are the visible verbs below root that do something, in the order of the help; a verb of verbs gives its own.
func verbs(root *cobra.Command) (all []*cobra.Command) {
	for _, cmd := range root.Commands() {
		switch {
		case cmd.Hidden || cmd.Name() == "help":
		case cmd.HasSubCommands():
			all = append(all, verbs(cmd)...)
		default:
			all = append(all, cmd)
		}
	}
	return all
}

// verb writes what a verb does and takes. The flags of serve are written once, at serve.
func (p *page) verb(cmd, serve *cobra.Command) {
	p.subsection(cmd.CommandPath())
	p.prose(cmd.Short + ".")
	p.prose(cmd.Long)
	p.flags(cmd, serve)
	if cmd.Example != "" {
		p.prose("Examples:")
		p.literal(cmd.Example)
	}
}

// flags writes the flags of a verb.
func (p *page) flags(cmd, serve *cobra.Command) {
	known := map[string]bool{"help": true}
	if cmd != serve && hasAll(cmd.Flags(), serve.Flags()) {
		p.prose("It takes the flags of l4fwd serve" + map[bool]string{true: ", and:", false: "."}[hasMore(cmd.Flags(), serve.Flags())])
		serve.Flags().VisitAll(func(f *pflag.Flag) { known[f.Name] = true })
	}
	cmd.Flags().VisitAll(func(f *pflag.Flag) {
		if !known[f.Name] && !f.Hidden {
			p.flag(f)
		}
	})
}

// hasAll reports whether a set has every flag of another.
func hasAll(set, of *pflag.FlagSet) bool {
	all := true
	of.VisitAll(func(f *pflag.Flag) { all = all && set.Lookup(f.Name) != nil })
	return all
}

// hasMore reports whether a set has a flag that another lacks.
func hasMore(set, of *pflag.FlagSet) (more bool) {
	set.VisitAll(func(f *pflag.Flag) { more = more || f.Name != "help" && of.Lookup(f.Name) == nil })
	return more
}

// flag writes one flag: how it is given, what it does, its default.
func (p *page) flag(f *pflag.Flag) {
	arg, usage := pflag.UnquoteUsage(f)
	term := bold("--" + f.Name)
	if f.Shorthand != "" {
		term = bold("-"+f.Shorthand) + ", " + term
	}
	if arg != "" {
		term += " " + italic(arg)
	}
	if f.DefValue != "" && f.DefValue != "false" && f.DefValue != "[]" {
		usage += " Default: `" + f.DefValue + "`."
	}
	p.term(term, usage)
}

// lowerFirst is a text with its first letter in lower case, as the line of a page's name has it.
func lowerFirst(text string) string {
	first, n := utf8.DecodeRuneInString(text)
	return string(unicode.ToLower(first)) + text[n:]
}
