package top

import (
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// View draws the screen.
func (m *model) View() tea.View {
	v := tea.NewView(strings.Join(m.lines(), "\n"))
	v.AltScreen, v.WindowTitle = true, "l4fwd top"
	return v
}

// lines are the screen: at most as many lines and columns as the terminal has.
func (m *model) lines() []string {
	all := m.head()
	if m.help {
		all = append(all, longHelp...)
	} else {
		all = append(all, m.addresses()...)
		all = append(all, m.connections()...)
	}
	all = all[:max(0, min(len(all), m.height-1))]
	for len(all) < m.height-1 {
		all = append(all, "")
	}
	all = append(all, m.foot())
	for i, line := range all {
		all[i] = clip(line, m.width)
	}
	return all
}

// head is what the daemon is and does, and why it is not ready, or that it does not answer.
func (m *model) head() []string {
	s := &m.now
	state := good("READY")
	switch {
	case s.Draining:
		state = bad("DRAINING")
	case !s.Ready:
		state = bad("NOT READY")
	}
	first := fmt.Sprintf("%s %s  pid %d  up %s  %s  %s", strong("l4fwd"), plain(s.Version), s.PID, span(s.Uptime), plain(s.Engine), state)
	if s.PublicAddress != "" {
		first += "  " + plain(s.PublicAddress)
	}
	open := fmt.Sprint(s.Active)
	if s.Max > 0 {
		open += fmt.Sprintf(" of %d", s.Max)
	}
	all := []string{first, fmt.Sprintf("%s connections  %.1f/s accepted  %s/s up  %s/s down  loops %.0f%%", open, s.Accepts, size(s.BytesUp), size(s.Down), 100*s.Busiest)}
	switch {
	case m.lost != nil:
		all = append(all, bad(fmt.Sprintf("NO CONTACT: the values are %s old. %s", span(time.Since(s.At)), plain(m.lost.Error()))))
	case m.paused:
		all = append(all, strong(fmt.Sprintf("PAUSED: the values are %s old", span(time.Since(s.At)))))
	case len(s.NotReady) > 0:
		all = append(all, bad(plain(strings.Join(s.NotReady, "; "))))
	}
	return append(all, "")
}

// addresses are the upstreams' addresses: those that are not usable first, as many as a quarter of the screen takes.
func (m *model) addresses() []string {
	all := slices.Clone(m.now.Addresses)
	slices.SortStableFunc(all, usableLast)
	lines := []string{strong(fmt.Sprintf("%-16s %-24s %-20s %7s  %s", "UPSTREAM", "ADDRESS", "STATE", "ACTIVE", "WHY"))}
	room := max(2, m.height/4-1)
	if len(all) > room {
		room--
	}
	for i, a := range all {
		if i == room {
			lines = append(lines, fmt.Sprintf("... and %d more", len(all)-room))
			break
		}
		lines = append(lines, a.line())
	}
	return append(lines, "")
}

// usableLast orders addresses: those that are not usable come first.
func usableLast(a, b Address) int {
	switch {
	case a.Usable == b.Usable:
		return 0
	case b.Usable:
		return -1
	}
	return 1
}

// line is the row of an address.
func (a Address) line() string {
	state := a.State
	if a.Backup {
		state += " (backup)"
	}
	line := fmt.Sprintf("%s %s %s %7d  %s", cell(a.Upstream, 16), cell(a.Address, 24), cell(state, 20), a.Active, plain(a.Why))
	if !a.Usable {
		return bad(line)
	}
	return line
}

// connections are the heading of the table and the rows that fit.
func (m *model) connections() []string {
	cols := columns(m.width)
	about := fmt.Sprintf("%d of %d connections by %s", len(m.rows), m.now.Total, m.Sorts[m.sort])
	if m.filter != "" {
		about += ", with " + fmt.Sprintf("%q", m.filter)
	}
	lines := []string{about, strong(heading(cols))}
	end := min(m.offset+m.page(), len(m.rows)) // page draws what stands above
	for i := m.offset; i < end; i++ {
		line := row(cols, &m.rows[i])
		if i == m.at {
			line = selectedLine(line)
		}
		lines = append(lines, line)
	}
	return lines
}

// page is how many rows of connections fit.
func (m *model) page() int {
	return max(1, m.height-1-len(m.head())-len(m.addresses())-2)
}

// foot is the last line: the question, the filter being typed, the outcome of an action, or the keys.
func (m *model) foot() string {
	switch {
	case m.mode == asking:
		return strong(plain(m.question) + " y: yes; any other key: no")
	case m.mode == typing:
		return strong("filter: ") + plain(m.filter) + "_"
	case m.message != "":
		return strong(plain(m.message))
	}
	return keyHelp
}

// Styles, as a terminal takes them. Without colours they still differ.
func strong(text string) string { return "\x1b[1m" + text + "\x1b[m" }

// good is for what is as it should be: bold and green.
func good(text string) string { return "\x1b[1;32m" + text + "\x1b[m" }

// bad is for what needs attention: bold and red.
func bad(text string) string { return "\x1b[1;31m" + text + "\x1b[m" }

// selectedLine is for the line that the keys act on: reversed.
func selectedLine(text string) string { return "\x1b[7m" + text + "\x1b[m" }

// plain is a text that a terminal shows as it is: whatever is not printable ASCII becomes a question mark, since names are chosen
// by clients.
func plain(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' || c > '~' {
			return '?'
		}
		return c
	}, text)
}

// clip cuts a line to the width; styles take no room.
func clip(line string, width int) string {
	var b strings.Builder
	shown, style := 0, false
	for i := 0; i < len(line); {
		c, n := utf8.DecodeRuneInString(line[i:])
		switch {
		case c == '\x1b':
			style = true
		case style:
			style = c != 'm'
		default:
			if shown++; shown > width {
				return b.String() + "\x1b[m"
			}
		}
		b.WriteString(line[i : i+n])
		i += n
	}
	return b.String()
}
