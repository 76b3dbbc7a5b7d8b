package admin

import (
	"fmt"
	"io"
	"strings"

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

// orDash is what a cell shows of a text that may be empty.
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
	t := connTable(list.Conns)
	shown := fitting(t.widths(0), width)
	for i, row := range t.rows {
		t.rows[i] = only(row, shown)
	}
	t.write(out, 0)
	fmt.Fprintf(out, "%d of %d connections", len(list.Conns), list.Total)
	if list.Found > len(list.Conns) {
		fmt.Fprintf(out, "; %d match", list.Found)
	}
	fmt.Fprintln(out, ratesText(list.Conns))
	if dropped := droppedNames(shown); dropped != "" {
		fmt.Fprintf(out, "too narrow for %s\n", dropped)
	}
}

// connTable is connections with all columns.
func connTable(conns []Conn) *table {
	heading := make([]string, len(connColumns))
	for i, col := range connColumns {
		heading[i] = col.name
	}
	t := &table{rows: make([][]string, 0, len(conns)+1)}
	t.row(heading...)
	for n := range conns {
		row := make([]string, len(connColumns))
		for i, col := range connColumns {
			row[i] = plain.Text(col.text(&conns[n]))
		}
		t.row(row...)
	}
	return t
}

// only returns the cells that are shown, in the array of the row.
func only(row []string, shown []bool) []string {
	kept := row[:0]
	for i, cell := range row {
		if shown[i] {
			kept = append(kept, cell)
		}
	}
	return kept
}

// fitting chooses the columns for a width; 0: all.
func fitting(widths []int, width int) []bool {
	shown := make([]bool, len(widths))
	total := -gap
	highest := 0
	for i, w := range widths {
		shown[i] = true
		total += w + gap
		highest = max(highest, connColumns[i].drop)
	}
	for d := highest; d > 0 && width > 0 && total > width; d-- {
		for i, col := range connColumns {
			if col.drop == d {
				shown[i] = false
				total -= widths[i] + gap
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
	var t table
	t.row("UPSTREAM", "ADDRESS", "STATE", "ACTIVE", "FAILED", "WHY")
	for _, a := range list.Addresses {
		t.row(plain.Text(a.Upstream), a.Addr.String(), plain.Text(a.State), fmt.Sprint(a.Active), fmt.Sprint(a.Failures), plain.Text(a.Why))
	}
	t.write(out, 0)
}
