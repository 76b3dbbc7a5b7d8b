package doctor

import (
	"fmt"
	"io"
	"strings"
	"time"
)

// colours of the states on a terminal, as SGR sequences.
var colours = map[State]string{OK: "\x1b[32m", Warning: "\x1b[33m", Failed: "\x1b[31m", Skipped: "\x1b[2m"}

const noColour = "\x1b[0m"

// WriteText writes the report for people: the verdict, then a line a step, with what follows from it below. colour is for a
// terminal.
func (r Report) WriteText(w io.Writer, colour bool) error {
	paint := func(s State, text string) string {
		if !colour {
			return text
		}
		return colours[s] + text + noColour
	}
	var b strings.Builder
	state := OK
	if !r.OK {
		state = Failed
	}
	fmt.Fprintf(&b, "%s\n\n", paint(state, r.Verdict))
	width := r.titleWidth()
	for _, s := range r.Steps {
		title := s.title()
		fmt.Fprintf(&b, "%s  %s%s  %s  %s\n", paint(s.State, fmt.Sprintf("%-7s", s.State)), title, strings.Repeat(" ", max(0, width-len(title))), s.took(), s.text())
		s.writeAdvice(&b)
	}
	_, err := io.WriteString(w, b.String())
	return err
}

// widest bounds the column of titles: a long name pushes only its own line out.
const widest = 44

// titleWidth returns the width of the column of titles.
func (r Report) titleWidth() int {
	width := 0
	for _, s := range r.Steps {
		if n := len(s.title()); n <= widest {
			width = max(width, n)
		}
	}
	return width
}

// title names the step.
func (s Step) title() string {
	words := []string{s.Kind.words()}
	switch {
	case s.Subject != "" && s.Kind == Name:
		words = append(words, s.Target, "at", s.Subject)
	case s.Subject != "":
		words = append(words, s.Subject)
	case s.Target != "":
		words = append(words, s.Target)
	}
	return strings.Join(words, " ")
}

// text is what was seen, or why nothing was.
func (s Step) text() string {
	if s.State == Skipped {
		return "skipped because " + s.Because
	}
	return s.Evidence
}

// took is how long the step took, in a column of 8.
func (s Step) took() string {
	if s.Took == 0 {
		return strings.Repeat(" ", 8)
	}
	d := time.Duration(s.Took * float64(time.Millisecond))
	if d >= time.Second {
		return fmt.Sprintf("%6.1f s", d.Seconds())
	}
	return fmt.Sprintf("%5d ms", d.Milliseconds())
}

// writeAdvice writes what a failure or a warning means and what mends it.
func (s Step) writeAdvice(b *strings.Builder) {
	const indent = "         "
	if s.State != Failed && s.State != Warning {
		return
	}
	for line := range strings.Lines(s.Meaning) {
		fmt.Fprintf(b, "%smeans: %s\n", indent, strings.TrimSpace(line))
	}
	for _, c := range s.Commands {
		fmt.Fprintf(b, "%smend:  %s\n", indent, c)
	}
}
