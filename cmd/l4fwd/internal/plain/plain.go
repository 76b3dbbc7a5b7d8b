// Package plain makes texts of others safe to print. Names come from clients, and texts from resolvers, servers and files. None of
// them may move the cursor of an operator's terminal, change its title, or turn the order of what it shows around. Beside them it writes
// numbers with their nouns.
package plain

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Text returns a text with each character that does not print written as Go writes it, such as \x1b or \u202e, line breaks and
// tabs included.
func Text(s string) string {
	if strings.IndexFunc(s, unprintable) < 0 && utf8.ValidString(s) {
		return s
	}
	var b strings.Builder
	for _, r := range s {
		if unprintable(r) || r == utf8.RuneError {
			quoted := strconv.QuoteRuneToASCII(r)
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteRune(r)
		}
	}
	return b.String()
}

// unprintable reports whether a terminal would do something with r other than show it.
func unprintable(r rune) bool { return !unicode.IsPrint(r) }

// Lines is Text for a text of several lines.
func Lines(s string) string {
	lines := strings.Split(s, "\n")
	for i := range lines {
		lines[i] = Text(lines[i])
	}
	return strings.Join(lines, "\n")
}

// Counted returns a number with its noun, whose plural ends in s: "1 loop", "2 loops".
func Counted(n int, noun string) string {
	if n != 1 {
		noun += "s"
	}
	return fmt.Sprintf("%d %s", n, noun)
}

// JSON returns JSON with the same meaning, in which a terminal finds nothing to act on either: the encoder escapes the
// control characters of ASCII but DEL, and none beyond ASCII.
func JSON(b []byte) []byte {
	var out []byte // nil: nothing was escaped yet
	kept := 0      // of b, up to here, is in out
	for i := 0; i < len(b); {
		if b[i] < 0x7f {
			i++
			continue
		}
		r, n := utf8.DecodeRune(b[i:])
		if unprintable(r) {
			out = append(out, b[kept:i]...)
			for _, unit := range utf16.AppendRune(nil, r) {
				out = fmt.Appendf(out, `\u%04x`, unit)
			}
			kept = i + n
		}
		i += n
	}
	if kept == 0 {
		return b
	}
	return append(out, b[kept:]...)
}
