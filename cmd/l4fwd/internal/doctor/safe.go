package doctor

import (
	"regexp"
	"strings"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
)

// longest is how much of a text that others wrote goes into a report, in characters.
const longest = 600

// clean makes a step safe to print. Names in certificates, aliases, headers and error texts are written by whoever answers, and must
// neither move the cursor of a terminal nor fill its screen.
func (s *Step) clean() {
	for _, text := range []*string{&s.Target, &s.Subject, &s.Evidence, &s.Fault, &s.Because} {
		*text = printable(*text, longest)
	}
	lines := strings.Split(s.Meaning, "\n") // only the doctor's own texts have several
	for i := range lines {
		lines[i] = printable(lines[i], longest)
	}
	s.Meaning = strings.Join(lines, "\n")
	for i := range s.Commands {
		s.Commands[i] = printable(s.Commands[i], 4*longest)
	}
}

// oneLine has spaces for the ends of lines and tabs.
var oneLine = strings.NewReplacer("\n", " ", "\t", " ")

// printable is a text in one line that a terminal shows as it is, cut if it is too long.
func printable(text string, most int) string {
	n := 0
	for i := range text {
		if n++; n > most {
			text = text[:i] + "…"
			break
		}
	}
	return plain.Text(oneLine.Replace(text))
}

// plainWord needs no quotes in a shell.
var plainWord = regexp.MustCompile(`^[A-Za-z0-9_./:=@%+,-]+$`)

// word is a text as one argument of a shell: an operator pastes the commands of a report, and a resolver or a metadata service may have
// written a part of them.
func word(text string) string {
	if plainWord.MatchString(text) {
		return text
	}
	return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'"
}

// Word is text as one word of a shell command.
func Word(text string) string { return word(text) }
