package admin

import (
	"io"
	"strings"
	"unicode/utf8"
)

// table is lines of cells that are aligned by column, the heading first.
type table struct {
	rows   [][]string
	shrink []int // columns that may be cut to fit, by index: names and addresses
}

// row adds a line. Cells that are missing at its end are empty. A line of one cell more than the heading has is impossible.
func (t *table) row(cells ...string) { t.rows = append(t.rows, cells) }

// gap is how many spaces are between two columns, and minCut the fewest letters that a cell is cut to.
const (
	gap    = 2
	minCut = 8
)

// write writes the table, at most width columns wide if the cells that may be cut allow it; 0: as wide as it takes.
func (t *table) write(out io.Writer, width int) {
	widths := t.widths(width)
	for _, row := range t.rows {
		var line strings.Builder
		for i, cell := range row {
			if len(row) > 1 { // a line of one cell runs across the columns
				cell = cutMiddle(cell, widths[i])
			}
			line.WriteString(cell + strings.Repeat(" ", max(0, widths[i]-utf8.RuneCountInString(cell)+gap)))
		}
		_, _ = io.WriteString(out, strings.TrimRight(line.String(), " ")+"\n") // out is a buffer
	}
}

// widths returns the width of each column.
func (t *table) widths(width int) []int {
	widths := make([]int, len(t.rows[0]))
	total := -gap
	for _, row := range t.rows {
		for i, cell := range row {
			if len(row) > 1 {
				widths[i] = max(widths[i], utf8.RuneCountInString(cell))
			}
		}
	}
	for _, w := range widths {
		total += w + gap
	}
	for ; width > 0 && total > width; total-- {
		widest := -1
		for _, i := range t.shrink {
			if widths[i] > minCut && (widest < 0 || widths[i] > widths[widest]) {
				widest = i
			}
		}
		if widest < 0 {
			break
		}
		widths[widest]--
	}
	return widths
}

// cutMiddle leaves out the middle of a text that is longer than width letters: dais24-a…om:443. Both ends tell names apart. The
// spaces at its beginning stay.
func cutMiddle(text string, width int) string {
	if width < 1 || utf8.RuneCountInString(text) <= width {
		return text
	}
	letters := []rune(text)
	indent := len(text) - len(strings.TrimLeft(text, " "))
	kept := max(width-1-indent, 0)
	head := indent + (kept+1)/2
	return string(letters[:min(head, len(letters))]) + "…" + string(letters[len(letters)-kept/2:])
}

// wrap breaks the lines of a text that are longer than width letters at spaces. What follows of a line is indented by two
// more than the line; a word that does not fit into a line is cut in its middle.
func wrap(text string, width int) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		if utf8.RuneCountInString(line) <= width {
			out.WriteString(line + "\n")
			continue
		}
		wrapLine(&out, line, width)
	}
	return out.String()
}

// wrapLine writes one line that is too long.
func wrapLine(out *strings.Builder, line string, width int) {
	indent := strings.Repeat(" ", len(line)-len(strings.TrimLeft(line, " ")))
	at := 0 // letters in the line that is being written
	for i, word := range strings.Fields(line) {
		word = cutMiddle(word, width-len(indent)-2)
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
			out.WriteString(indent)
			at = len(indent)
		case at+1+n > width:
			out.WriteString("\n" + indent + "  ")
			at = len(indent) + 2
		default:
			out.WriteString(" ")
			at++
		}
		out.WriteString(word)
		at += n
	}
	out.WriteString("\n")
}
