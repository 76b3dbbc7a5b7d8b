package top

import (
	"fmt"
	"strings"
	"time"
)

// column is a column of the connections. On a terminal of less than from columns it is left out.
type column struct {
	name  string
	width int
	right bool
	from  int
	text  func(c *Conn) string
}

// allColumns in their order. Those with from 0 fit into 80.
var allColumns = []column{
	{"ID", 12, true, 0, func(c *Conn) string { return fmt.Sprint(c.ID) }},
	{"CLIENT", 21, false, 0, func(c *Conn) string { return c.Client }},
	{"STATE", 10, false, 0, func(c *Conn) string { return strings.Replace(c.State, "half_closed_", "half_", 1) }},
	{"STALLS", 8, false, 0, func(c *Conn) string { return dash(c.Stalls) }},
	{"AGE", 6, true, 0, func(c *Conn) string { return span(c.Age) }},
	{"IDLE", 6, true, 90, func(c *Conn) string { return span(c.Idle) }},
	{"UP/s", 8, true, 0, func(c *Conn) string { return size(c.RateUp) }},
	{"DOWN/s", 8, true, 0, func(c *Conn) string { return size(c.RateDown) }},
	{"UPSTREAM", 12, false, 105, func(c *Conn) string { return dash(c.Upstream) }},
	{"UPSTREAM ADDRESS", 21, false, 130, func(c *Conn) string { return dash(c.Address) }},
	{"SNI", 40, false, 150, func(c *Conn) string { return dash(c.SNI) }},
}

// columns are those for a width.
func columns(width int) (cols []column) {
	for _, col := range allColumns {
		if width >= col.from {
			cols = append(cols, col)
		}
	}
	return cols
}

// heading is the line above the rows.
func heading(cols []column) string {
	return line(cols, func(c column) string { return c.name })
}

// row is a connection.
func row(cols []column, c *Conn) string {
	return line(cols, func(col column) string { return col.text(c) })
}

// line puts cells side by side.
func line(cols []column, text func(column) string) string {
	cells := make([]string, len(cols))
	for i, col := range cols {
		if cells[i] = cell(text(col), col.width); col.right {
			cells[i] = fmt.Sprintf("%*s", col.width, strings.TrimRight(cells[i], " "))
		}
	}
	return strings.Join(cells, " ")
}

// cell is a text of exactly that width; one that is cut ends in a tilde.
func cell(text string, width int) string {
	text = plain(text)
	if len(text) > width {
		text = text[:width-1] + "~"
	}
	return fmt.Sprintf("%-*s", width, text)
}

// dash stands for an empty text.
func dash(text string) string {
	if text == "" {
		return "-"
	}
	return text
}

// span is a time in at most six characters: 12s, 3m20s, 4h05m, 12d3h.
func span(d time.Duration) string {
	s := int(max(d, 0).Seconds())
	switch {
	case s < 60:
		return fmt.Sprintf("%ds", s)
	case s < 3600:
		return fmt.Sprintf("%dm%02ds", s/60, s%60)
	case s < 86400:
		return fmt.Sprintf("%dh%02dm", s/3600, s%3600/60)
	case s < 100*86400:
		return fmt.Sprintf("%dd%dh", s/86400, s%86400/3600)
	}
	return fmt.Sprintf("%dd", s/86400)
}

// size is a number of bytes in at most eight characters.
func size(n float64) string {
	if n < 999.5 {
		return fmt.Sprintf("%.0f B", n)
	}
	for _, unit := range []string{"kB", "MB", "GB"} {
		if n /= 1000; n < 999.5 {
			return fmt.Sprintf("%.3g %s", n, unit)
		}
	}
	return fmt.Sprintf("%.3g TB", n/1000)
}
