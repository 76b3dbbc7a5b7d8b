package logging

import (
	"fmt"
	"maps"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"

	"go.uber.org/zap/buffer"
	"go.uber.org/zap/zapcore"
)

// console writes lines for people: time, level, message, then key=value in the order of the fields. Fields without a value are
// left out. What a peer chose, such as a host name, cannot write control characters to the terminal: such values are quoted.
type console struct {
	*zapcore.MapObjectEncoder // the fields of Logger.With
	colour                    bool
}

var consoleBuffers = buffer.NewPool()

// Escape sequences of the terminal, see console_codes(4).
const (
	plain, dim             = "\x1b[0m", "\x1b[2m"
	red, yellow, cyan, off = "\x1b[31m", "\x1b[33m", "\x1b[36m", ""
)

// newConsole returns an encoder of lines for people, with colours or without.
func newConsole(colour bool) *console {
	return &console{zapcore.NewMapObjectEncoder(), colour}
}

// Clone is part of zapcore.Encoder.
func (c *console) Clone() zapcore.Encoder {
	clone := newConsole(c.colour)
	maps.Copy(clone.Fields, c.Fields)
	return clone
}

// EncodeEntry is part of zapcore.Encoder. The caller frees the line.
func (c *console) EncodeEntry(e zapcore.Entry, fields []zapcore.Field) (*buffer.Buffer, error) {
	line := consoleBuffers.Get()
	level := colourOf(e.Level)
	c.paint(line, dim, e.Time.Format(timeLayout))
	c.paint(line, level, fmt.Sprintf("  %-5s", e.Level.CapitalString()))
	line.AppendString("  ")
	c.paint(line, level, printable(e.Message))
	gap := "  "
	for _, key := range slices.Sorted(maps.Keys(c.Fields)) {
		gap = c.field(line, gap, key, c.Fields[key])
	}
	one := zapcore.NewMapObjectEncoder()
	for _, f := range fields {
		clear(one.Fields)
		f.AddTo(one)
		for _, key := range slices.Sorted(maps.Keys(one.Fields)) { // one; an error may add a second
			gap = c.field(line, gap, key, one.Fields[key])
		}
	}
	line.AppendByte('\n')
	return line, nil
}

// field adds a field after gap, and returns the gap before the next one.
func (c *console) field(line *buffer.Buffer, gap, key string, value any) string {
	text := valueText(value)
	if text == "" {
		return gap
	}
	line.AppendString(gap)
	c.paint(line, dim, key+"=")
	line.AppendString(text)
	return " "
}

// paint adds a text in a colour, if lines have any.
func (c *console) paint(line *buffer.Buffer, colour, text string) {
	if !c.colour || colour == off {
		line.AppendString(text)
		return
	}
	line.AppendString(colour + text + plain)
}

// colourOf is the colour of a level. Most lines are of level info, so that one has none.
func colourOf(l zapcore.Level) string {
	switch {
	case l >= zapcore.ErrorLevel:
		return red
	case l == zapcore.WarnLevel:
		return yellow
	case l == zapcore.DebugLevel:
		return cyan
	}
	return off
}

// valueText is a value as it follows the key; empty if there is nothing to say.
func valueText(value any) string {
	switch v := value.(type) {
	case nil:
		return ""
	case string:
		return quotedIfNeeded(v)
	case time.Time:
		if v.IsZero() {
			return ""
		}
		return v.Format(timeLayout)
	case []any:
		texts := make([]string, 0, len(v))
		for _, item := range v {
			texts = append(texts, quotedIfNeeded(fmt.Sprint(item)))
		}
		return strings.Join(texts, ",")
	}
	return quotedIfNeeded(fmt.Sprint(value))
}

// quotedIfNeeded is a text in quotes if it could be misread without.
func quotedIfNeeded(text string) string {
	odd := func(r rune) bool { return r == '"' || r == '=' || unicode.IsSpace(r) || !unicode.IsPrint(r) }
	if strings.IndexFunc(text, odd) < 0 {
		return text
	}
	return strconv.Quote(text)
}

// printable is a text that writes letters and spaces only.
func printable(text string) string {
	if strings.IndexFunc(text, func(r rune) bool { return !unicode.IsPrint(r) }) < 0 {
		return text
	}
	return strconv.Quote(text)
}
