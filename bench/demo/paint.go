package main

import (
	"fmt"
	"io"
	"os"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/l4fwd/l4fwd/bench/standin"
)

// paint is the demo's way to print: numbered steps, fields under them, colour on a terminal only.
type paint struct {
	w      io.Writer
	colour bool
	steps  int
}

// newPaint prints to f. See no-color.org for NO_COLOR.
func newPaint(f *os.File) *paint {
	info, err := f.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0
	return &paint{w: f, colour: terminal && os.Getenv("NO_COLOR") == "" && os.Getenv("TERM") != "dumb"}
}

// ansi wraps s in a Select Graphic Rendition.
func (p *paint) ansi(code, s string) string {
	if !p.colour {
		return s
	}
	return "\x1b[" + code + "m" + s + "\x1b[0m"
}

func (p *paint) bold(s string) string  { return p.ansi("1", s) }
func (p *paint) dim(s string) string   { return p.ansi("2", s) }
func (p *paint) red(s string) string   { return p.ansi("1;31", s) }
func (p *paint) green(s string) string { return p.ansi("32", s) }
func (p *paint) cyan(s string) string  { return p.ansi("36", s) }

// title is the first line.
func (p *paint) title(s string) { fmt.Fprintf(p.w, "%s\n\n", p.bold(s)) }

// step starts the next numbered step.
func (p *paint) step(format string, args ...any) {
	p.steps++
	fmt.Fprintf(p.w, "%s %s\n", p.green(strconv.Itoa(p.steps)), p.bold(fmt.Sprintf(format, args...)))
}

// field prints a name and a value under a step.
func (p *paint) field(name, value string) {
	fmt.Fprintf(p.w, "    %s %s\n", p.dim(fmt.Sprintf("%-13s", name)), value)
}

// accessLine prints one field a line, leaving out what is empty.
func (p *paint) accessLine(a accessLine) {
	for _, name := range a.fields() {
		if v := a.text(name); v != "" {
			p.field(name, v)
		}
	}
}

// connection prints an access line as one line.
func (p *paint) connection(a accessLine) {
	fmt.Fprintf(p.w, "    %s %s → %s  %s  ↑ %s B  ↓ %s B  %s ms\n", p.dim("connection"), a.text("client"),
		a.text("upstream_addr"), p.cyan(a.text("reason")), a.text("bytes_up"), a.text("bytes_down"), a.text("duration_ms"))
}

// moves prints each series with its value before and after.
func (p *paint) moves(moves []move) {
	for _, m := range moves {
		before := "–"
		if !m.fresh {
			before = number(m.before)
		}
		fmt.Fprintf(p.w, "    %s  %s → %s\n", m.series, p.dim(before), p.cyan(number(m.after)))
	}
}

// invitation prints the addresses and what to paste.
func (p *paint) invitation(s *stack) {
	p.field("clients", s.listen)
	p.field("health", "http://"+s.health+"/readyz?verbose  http://"+s.health+"/metrics")
	p.field("admin", "http://"+s.admin+"/")
	p.field("stand-in", s.origin.Addr().String()+", key "+standin.DefaultKey)
	fmt.Fprintf(p.w, "\n    %s\n%s\n\n    %s\n%s\n\n", p.dim("# 200, token by token"), s.curlStream(),
		p.dim("# 401: the path works, the key is missing"), s.curl401())
}

// log prints the end of l4fwd's log.
func (p *paint) log(lines []string) {
	if len(lines) == 0 {
		return
	}
	fmt.Fprintf(p.w, "\n%s\n", p.dim("l4fwd's log:"))
	for _, line := range lines {
		fmt.Fprintf(p.w, "  %s\n", strings.TrimRight(line, "\r\n"))
	}
}

// proseWidth is where running text is wrapped, in columns, the indent not counted.
const proseWidth = 92

// prose is running text that comes bit by bit.
type prose struct {
	p      *paint
	column int
	begun  bool
}

// prose starts running text under a step.
func (p *paint) prose() *prose { return &prose{p: p} }

// write prints a token, on a new line if it starts a word that may not fit.
func (t *prose) write(token string) {
	if !t.begun || t.column+utf8.RuneCountInString(token) > proseWidth && strings.HasPrefix(token, " ") {
		if t.begun {
			fmt.Fprintln(t.p.w)
		}
		fmt.Fprint(t.p.w, "    ", t.p.dim("│"), " ")
		token, t.column, t.begun = strings.TrimPrefix(token, " "), 0, true
	}
	t.column += utf8.RuneCountInString(token)
	fmt.Fprint(t.p.w, t.p.cyan(token))
}

// end ends the last line. Ending twice ends once.
func (t *prose) end() {
	if t.begun {
		fmt.Fprintln(t.p.w)
		t.begun = false
	}
}

// number prints a metric's value: counts as integers, times with three significant digits.
func number(v float64) string {
	if v == float64(int64(v)) {
		return strconv.FormatInt(int64(v), 10)
	}
	return strconv.FormatFloat(v, 'g', 3, 64)
}

// short rounds a duration to what a person reads.
func short(d time.Duration) string {
	if d < time.Second {
		return d.Round(time.Millisecond / 10).String()
	}
	return d.Round(10 * time.Millisecond).String()
}
