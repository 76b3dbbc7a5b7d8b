package admin

import (
	"fmt"
	"io"
	"strings"
	"unicode/utf8"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/plain"
	"github.com/l4fwd/l4fwd/proxy"
)

// column is a column of the connections. Where the terminal is too narrow, those with the highest drop go first; 0: never.
type column struct {
	name string
	drop int
	text func(c *Conn) string
}

var connColumns = []column{
	{"ID", 0, func(c *Conn) string { return fmt.Sprint(c.ID) }},
	{"CLIENT", 0, func(c *Conn) string { return c.Client.String() }},
	{"UPSTREAM", 4, func(c *Conn) string { return orDash(c.Upstream) }},
	{"UPSTREAM ADDRESS", 2, func(c *Conn) string {
		if !c.Address.IsValid() {
			return "-"
		}
		return c.Address.String()
	}},
	{"STATE", 0, func(c *Conn) string { return c.State }},
	{"STALLS", 0, func(c *Conn) string { return strings.Replace(c.Stalls, "none", "-", 1) }},
	{"AGE", 0, func(c *Conn) string { return age(c.Age) }},
	{"IDLE", 1, func(c *Conn) string { return age(c.Idle) }},
	{"UP/s", 3, func(c *Conn) string { return size(c.RateUp) }},
	{"DOWN/s", 3, func(c *Conn) string { return size(c.RateDown) }},
	{"UP", 5, func(c *Conn) string { return size(float64(c.BytesUp)) }},
	{"DOWN", 5, func(c *Conn) string { return size(float64(c.BytesDown)) }},
	{"RTT c/u", 6, func(c *Conn) string { return rtt(c.ClientLeg) + "/" + rtt(c.Leg) }},
	{"RETRANS c/u", 7, func(c *Conn) string { return fmt.Sprintf("%d/%d", c.ClientLeg.Retransmits, c.Leg.Retransmits) }},
	{"BYTES ARE", 8, moved},
	{"SNI", 9, func(c *Conn) string { return orDash(c.SNI) }},
	{"VPCE", 10, func(c *Conn) string { return orDash(c.VPCE) }},
	{"LISTENER", 11, func(c *Conn) string { return c.Listener }},
}

func orDash(s string) string {
	if s == "" {
		return "-"
	}
	return s
}

// rtt is the round-trip time of a leg.
func rtt(g proxy.Leg) string {
	if !g.Known {
		return "-"
	}
	return fmt.Sprintf("%.3gms", g.RTT)
}

// moved says how the bytes of a connection move, up and down.
func moved(c *Conn) string {
	switch {
	case c.SpliceUp && c.SpliceDn:
		return "spliced"
	case c.SpliceUp:
		return "spliced up"
	case c.SpliceDn:
		return "spliced down"
	}
	return "copied"
}

// WriteConns writes connections as a table at most width columns wide, if that is possible; 0: as wide as it takes. out is a
// buffer, whose errors are not looked at.
func WriteConns(out io.Writer, list ConnList, width int) {
	cells, widths := connCells(list.Conns)
	shown := fitting(widths, width)
	for _, row := range cells {
		var line strings.Builder
		for i, cell := range row {
			if shown[i] {
				line.WriteString(cell + strings.Repeat(" ", widths[i]-utf8.RuneCountInString(cell)+2))
			}
		}
		fmt.Fprintln(out, strings.TrimRight(line.String(), " "))
	}
	fmt.Fprintf(out, "%d of %d connections", len(list.Conns), list.Total)
	if list.Found > len(list.Conns) {
		fmt.Fprintf(out, "; %d match", list.Found)
	}
	fmt.Fprintln(out, ratesText(list.Conns))
	if dropped := droppedNames(shown); dropped != "" {
		fmt.Fprintf(out, "too narrow for %s\n", dropped)
	}
}

// connCells are the texts of a table, its heading first, and the width of each column.
func connCells(conns []Conn) (cells [][]string, widths []int) {
	heading := make([]string, len(connColumns))
	widths = make([]int, len(connColumns))
	for i, col := range connColumns {
		heading[i], widths[i] = col.name, len(col.name)
	}
	cells = append(cells, heading)
	for n := range conns {
		row := make([]string, len(connColumns))
		for i, col := range connColumns {
			row[i] = plain.Text(col.text(&conns[n]))
			widths[i] = max(widths[i], utf8.RuneCountInString(row[i]))
		}
		cells = append(cells, row)
	}
	return cells, widths
}

// fitting chooses the columns for a width; 0: all.
func fitting(widths []int, width int) []bool {
	shown := make([]bool, len(widths))
	total := -2
	highest := 0
	for i, w := range widths {
		shown[i] = true
		total += w + 2
		highest = max(highest, connColumns[i].drop)
	}
	for d := highest; d > 0 && width > 0 && total > width; d-- {
		for i, col := range connColumns {
			if col.drop == d {
				shown[i] = false
				total -= widths[i] + 2
			}
		}
	}
	return shown
}

// droppedNames lists the columns that are not shown.
func droppedNames(shown []bool) string {
	var names []string
	for i, is := range shown {
		if !is {
			names = append(names, connColumns[i].name)
		}
	}
	if len(names) > 3 {
		return fmt.Sprintf("%d more columns: --output json has all", len(names))
	}
	return strings.Join(names, ", ")
}

// ratesText says what the rates are over.
func ratesText(conns []Conn) string {
	for _, c := range conns {
		if c.RateSince == "look" {
			return fmt.Sprintf("; rates over the last %s, of new ones over their life", age(c.RateSeconds))
		}
	}
	if len(conns) == 0 {
		return ""
	}
	return "; rates over the life of each"
}

// WriteAddresses writes a row for each address. out is a buffer, whose errors are not looked at.
func WriteAddresses(out io.Writer, list AddressList) {
	rows := [][]string{{"UPSTREAM", "ADDRESS", "STATE", "ACTIVE", "FAILED", "WHY"}}
	for _, a := range list.Addresses {
		rows = append(rows, []string{plain.Text(a.Upstream), a.Addr.String(), plain.Text(a.State), fmt.Sprint(a.Active), fmt.Sprint(a.Failures), plain.Text(a.Why)})
	}
	var widths [6]int
	for _, r := range rows {
		for i, cell := range r {
			widths[i] = max(widths[i], utf8.RuneCountInString(cell))
		}
	}
	for _, r := range rows {
		line := ""
		for i, cell := range r {
			line += fmt.Sprintf("%-*s  ", widths[i], cell)
		}
		fmt.Fprintln(out, strings.TrimRight(line, " "))
	}
}
