package haproxy

import (
	"errors"
	"fmt"
	"strconv"
	"strings"
	"unicode"
)

// line is one line of the file that is not empty.
type line struct {
	file  string
	n     int // from 1
	words []string
}

// text is the line with one space between words, cut if it is long.
func (l line) text() string { return brief(l.words) }

// brief joins words and cuts what is too long for a remark.
func brief(words []string) string {
	var b strings.Builder
	for i, w := range words {
		if i > 0 {
			b.WriteByte(' ')
		}
		if b.Len()+len(w) > 160 {
			b.WriteString("…")
			break
		}
		b.WriteString(w)
	}
	return b.String()
}

// printable replaces what a terminal would act on.
func printable(s string) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return '?'
		}
		return r
	}, s)
}

// scanner cuts a line into words as HAProxy's parse_line does.
type scanner struct {
	in       string
	i        int
	word     []byte
	inWord   bool
	squote   bool
	dquote   bool
	words    []string
	variable func(name string) (string, bool)
	unset    []string // variables that are not set and have no default
}

// split cuts a line into words. variable looks up an environment variable. unset are those that have no value.
func split(in string, variable func(string) (string, bool)) (words, unset []string, err error) {
	s := &scanner{in: in, variable: variable}
	for s.i < len(s.in) {
		if done, err := s.step(); done || err != nil {
			if err != nil {
				return nil, nil, err
			}
			break
		}
	}
	if s.squote || s.dquote {
		return nil, nil, errors.New("a quote is not closed")
	}
	s.end()
	return s.words, s.unset, nil
}

// step takes the next character. done: the rest is a comment.
func (s *scanner) step() (done bool, err error) {
	c := s.in[s.i]
	quoted := s.squote || s.dquote
	switch {
	case c == '"' && !s.squote:
		s.dquote, s.inWord = !s.dquote, true
	case c == '\'' && !s.dquote:
		s.squote, s.inWord = !s.squote, true
	case c == '\\' && !s.squote:
		return false, s.escape()
	case c == '#' && !quoted:
		return true, nil
	case isSpace(c) && !quoted:
		s.end()
	case c == '$' && s.dquote:
		return false, s.expand()
	default:
		s.put(c)
	}
	s.i++
	return false, nil
}

// isSpace reports whether HAProxy separates words at c.
func isSpace(c byte) bool { return c == ' ' || c >= '\t' && c <= '\r' }

// put adds a character to the word.
func (s *scanner) put(c byte) { s.word, s.inWord = append(s.word, c), true }

// end ends the word, if there is one.
func (s *scanner) end() {
	if s.inWord {
		s.words = append(s.words, string(s.word))
	}
	s.word, s.inWord = s.word[:0], false
}

// escapes are the characters that mean another one, or lose their meaning, after a backslash.
var escapes = map[byte]byte{
	' ': ' ', '\\': '\\', '#': '#', '\'': '\'', '"': '"', '$': '$', '\t': '\t', 'n': '\n', 'r': '\r', 't': '\t',
}

// escape takes a backslash and what follows. A backslash before any other character stands for itself, which regular
// expressions rely on.
func (s *scanner) escape() error {
	if s.i+1 == len(s.in) {
		s.put('\\')
		s.i++
		return nil
	}
	c := s.in[s.i+1]
	s.i += 2
	if c == 'x' {
		return s.escapeHex()
	}
	if meant, ok := escapes[c]; ok {
		s.put(meant)
		return nil
	}
	s.put('\\')
	s.put(c)
	return nil
}

// escapeHex takes the two digits after \x.
func (s *scanner) escapeHex() error {
	if s.i+2 > len(s.in) {
		return errors.New(`\x needs two hexadecimal digits`)
	}
	digits := s.in[s.i : s.i+2]
	b, err := strconv.ParseUint(digits, 16, 8)
	if err != nil {
		return fmt.Errorf(`\x%s is not hexadecimal`, digits)
	}
	s.put(byte(b))
	s.i += 2
	return nil
}

// expand takes $NAME, ${NAME}, ${NAME-default} or ${NAME[*]}, which are known inside double quotes only.
func (s *scanner) expand() error {
	s.i++
	braced := strings.HasPrefix(s.in[s.i:], "{")
	if braced {
		s.i++
	}
	begin := s.i
	for s.i < len(s.in) && (isNameByte(s.in[s.i]) || s.i == begin && s.in[s.i] == '.') {
		s.i++
	}
	name := s.in[begin:s.i]
	if name == "" || name[0] >= '0' && name[0] <= '9' {
		return errors.New(`a $ in double quotes begins no name: write \$`)
	}
	list, fallback, hasDefault := false, "", false
	if braced {
		var err error
		if list, fallback, hasDefault, err = s.closeBrace(name); err != nil {
			return err
		}
	}
	value, ok := s.variable(name)
	if !ok {
		if value = fallback; !hasDefault {
			s.unset = append(s.unset, name)
		}
	}
	s.insert(value, list)
	return nil
}

// closeBrace takes what stands between a name in braces and the closing brace.
func (s *scanner) closeBrace(name string) (list bool, fallback string, hasDefault bool, err error) {
	inner, _, closed := strings.Cut(s.in[s.i:], "}")
	if !closed {
		return false, "", false, fmt.Errorf("the brace of ${%s is not closed", name)
	}
	s.i += len(inner) + 1
	inner, list = strings.CutPrefix(inner, "[*]")
	fallback, hasDefault = strings.CutPrefix(inner, "-")
	if !hasDefault && inner != "" {
		return list, "", false, fmt.Errorf("after ${%s comes %q, where } or -default belongs", name, inner)
	}
	return list, fallback, hasDefault, nil
}

// insert adds the value of a variable; with list each part between spaces becomes a word.
func (s *scanner) insert(value string, list bool) {
	for i := range len(value) {
		if list && isSpace(value[i]) {
			s.end()
			continue
		}
		s.put(value[i])
	}
}

// isNameByte reports whether c may stand in the name of an environment variable.
func isNameByte(c byte) bool {
	return c == '_' || c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
}
