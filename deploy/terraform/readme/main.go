// Command readme writes the README.md of Terraform modules: what is in header.md of the module, then its requirements, inputs and outputs
// as its files declare them. It reads what `terraform fmt` has laid out, and nothing else.
//
//	readme DIR...
package main

import (
	"fmt"
	"log"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

func main() {
	log.SetFlags(0)
	log.SetPrefix("readme: ")
	for _, dir := range os.Args[1:] {
		text, err := readme(dir)
		if err == nil {
			err = os.WriteFile(filepath.Join(dir, "README.md"), []byte(text), 0o644) //nolint:gosec // a document
		}
		if err != nil {
			log.Fatal(err)
		}
	}
}

// block is a top-level block: variable "name" { … }.
type block struct {
	kind, name string
	lines      []string // what is between the braces
}

// readme is the text for one module.
func readme(dir string) (string, error) {
	header, err := os.ReadFile(filepath.Join(dir, "header.md"))
	if err != nil {
		return "", err
	}
	blocks, err := parse(dir)
	if err != nil {
		return "", err
	}
	var b strings.Builder
	b.WriteString("<!-- make docs writes this file from header.md and the module's files -->\n\n" + string(header) + "\n## Requirements\n\n| | version |\n|---|---|\n")
	for _, bl := range blocks {
		if bl.kind == "terraform" {
			requirements(&b, bl.lines)
		}
	}
	b.WriteString("\n## Inputs\n\n| name | type | default | description |\n|---|---|---|---|\n")
	for _, bl := range blocks {
		if bl.kind == "variable" {
			fmt.Fprintf(&b, "| `%s` | `%s` | %s | %s |\n", bl.name, cell(kindOf(bl)), value(bl), cell(description(bl)))
		}
	}
	b.WriteString("\n## Outputs\n\n| name | description |\n|---|---|\n")
	for _, bl := range blocks {
		if bl.kind == "output" {
			fmt.Fprintf(&b, "| `%s` | %s |\n", bl.name, cell(description(bl)))
		}
	}
	return b.String(), nil
}

var head = regexp.MustCompile(`^(variable|output|terraform)(?: "([^"]+)")? \{$`)

// parse returns the blocks of all files, sorted by name; a variable or output without a description is an error.
func parse(dir string) ([]block, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.tf"))
	if err != nil {
		return nil, err
	}
	var blocks []block
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			return nil, err
		}
		var open *block
		for line := range strings.Lines(string(text)) {
			line = strings.TrimSuffix(line, "\n")
			switch m := head.FindStringSubmatch(line); {
			case open == nil && m != nil:
				open = &block{kind: m[1], name: m[2]}
			case open != nil && line == "}":
				blocks = append(blocks, *open)
				open = nil
			case open != nil:
				open.lines = append(open.lines, line)
			}
		}
	}
	for _, bl := range blocks {
		if bl.kind != "terraform" && description(bl) == "" {
			return nil, fmt.Errorf("%s: %s %q has no description", dir, bl.kind, bl.name)
		}
	}
	slices.SortFunc(blocks, func(a, b block) int { return strings.Compare(a.name, b.name) })
	return blocks, nil
}

// argument returns what is given to an argument of the block, over as many lines as it takes; empty if it is not there.
func argument(bl block, name string) string {
	start := regexp.MustCompile(`^  ` + name + ` += (.*)$`)
	for i, line := range bl.lines {
		m := start.FindStringSubmatch(line)
		if m == nil {
			continue
		}
		parts := []string{m[1]}
		for _, next := range bl.lines[i+1:] {
			if !strings.HasPrefix(next, "    ") && !closes(next) {
				break
			}
			parts = append(parts, next)
			if closes(next) {
				break
			}
		}
		return strings.Join(parts, "\n")
	}
	return ""
}

// closes reports whether a line ends a value of several lines.
func closes(line string) bool {
	return line == "  EOT" || regexp.MustCompile(`^  [\])}]+$`).MatchString(line)
}

func description(bl block) string {
	text := argument(bl, "description")
	if text, heredoc := strings.CutPrefix(text, "<<-EOT\n"); heredoc {
		return strings.Join(strings.Fields(strings.TrimSuffix(text, "EOT")), " ")
	}
	return strings.NewReplacer(`\"`, `"`, `\\`, `\`).Replace(strings.Trim(text, `"`))
}

// kindOf is the type on one line.
func kindOf(bl block) string {
	kind := strings.Join(strings.Fields(strings.Join(uncommented(argument(bl, "type")), ", ")), " ")
	kind = strings.NewReplacer("({, ", "({ ", ", }", " }", ", ,", ",").Replace(kind)
	return kind
}

func uncommented(text string) []string {
	var lines []string
	for line := range strings.Lines(text) {
		line, _, _ = strings.Cut(strings.TrimSpace(line), " #")
		if line != "" {
			lines = append(lines, line)
		}
	}
	return lines
}

// value is the default, or that there is none.
func value(bl block) string {
	text := argument(bl, "default")
	if text == "" {
		return "required"
	}
	return "`" + cell(strings.Join(strings.Fields(text), " ")) + "`"
}

var required = regexp.MustCompile(`^(?:    )?(?:  )?(\w+) = \{$|^\s+version += "([^"]+)"|^  required_version = "([^"]+)"`)

// requirements writes the rows for Terraform and the providers.
func requirements(b *strings.Builder, lines []string) {
	provider := ""
	for _, line := range lines {
		switch m := required.FindStringSubmatch(line); {
		case m == nil:
		case m[3] != "":
			fmt.Fprintf(b, "| Terraform | %s |\n", cell(m[3]))
		case m[2] != "":
			fmt.Fprintf(b, "| provider %s | %s |\n", provider, cell(m[2]))
		default:
			provider = m[1]
		}
	}
}

// cell makes text fit a table.
func cell(text string) string { return strings.ReplaceAll(text, "|", `\|`) }
