package top

import (
	"fmt"
	"slices"
	"unicode/utf8"

	tea "charm.land/bubbletea/v2"
)

// keyHelp is the last line; longHelp what ? shows.
const keyHelp = "q quit  s sort  / filter  x close  D drain  space pause  ? help"

var longHelp = []string{
	"up, down, j, k      select a connection; PgUp, PgDn, Home and End too",
	"s, S                the next order of the connections, the one before",
	"/                   show only connections with a text in id, client, name,",
	"                    upstream, address, state or stall; Esc ends it",
	"x                   close the selected connection, after a question",
	"D                   drain the daemon, which then exits, after a question",
	"space               pause: the screen stays as it is",
	"q                   quit; the daemon goes on",
	"",
	"STALLS is the peer that does not take the bytes that wait for it.",
	"Rates are since an earlier look, or since the connection was accepted.",
}

// key takes a key.
func (m *model) key(k tea.KeyPressMsg) tea.Cmd {
	if k.String() == "ctrl+c" {
		return tea.Quit
	}
	switch m.mode {
	case typing:
		return m.typed(k)
	case asking:
		m.mode, m.message = listing, "nothing was done"
		if k.String() == "y" {
			m.message = "..."
			return m.confirm
		}
		return nil
	}
	m.message = ""
	if m.help {
		m.help = false
		return nil
	}
	return m.command(k.String())
}

// command does what a key says while connections are listed.
func (m *model) command(key string) tea.Cmd {
	switch key {
	case "q", "Q":
		return tea.Quit
	case "ctrl+z":
		return tea.Suspend
	case "up", "k":
		m.move(-1)
	case "down", "j":
		m.move(1)
	case "pgup":
		m.move(-m.page())
	case "pgdown":
		m.move(m.page())
	case "home", "g":
		m.move(-len(m.rows))
	case "end", "G":
		m.move(len(m.rows))
	case "s":
		return m.order(1)
	case "S":
		return m.order(len(m.Sorts) - 1)
	case "/":
		m.mode = typing
	case "esc":
		return m.narrow("")
	case "space":
		m.paused = !m.paused
	case "?", "h":
		m.help = true
	case "x":
		m.askClose()
	case "D":
		m.ask("Drain the daemon, which then exits?", m.drain)
	}
	return nil
}

// order changes the order by so many places, and looks at once.
func (m *model) order(by int) tea.Cmd {
	m.sort = (m.sort + by) % len(m.Sorts)
	m.move(-len(m.rows))
	return m.look()
}

// narrow sets the filter. With one, all connections are asked for.
func (m *model) narrow(filter string) tea.Cmd {
	if filter == m.filter {
		return nil
	}
	m.filter = filter
	m.refilter()
	return m.look()
}

// typed takes a key of the filter.
func (m *model) typed(k tea.KeyPressMsg) tea.Cmd {
	switch k.String() {
	case "enter":
		m.mode = listing
	case "esc":
		m.mode = listing
		return m.narrow("")
	case "backspace":
		_, n := utf8.DecodeLastRuneInString(m.filter)
		return m.narrow(m.filter[:len(m.filter)-n])
	default:
		if k.Text != "" && len(m.filter) < 64 {
			return m.narrow(m.filter + k.Text)
		}
	}
	return nil
}

// ask has the next key confirm an action.
func (m *model) ask(question string, act tea.Cmd) {
	m.mode, m.question, m.confirm = asking, question, act
}

// askClose asks about the selected connection. The answer counts for that one, also if rows move meanwhile.
func (m *model) askClose() {
	i := slices.IndexFunc(m.rows, func(c Conn) bool { return c.ID == m.selected })
	if i < 0 {
		m.message = "no connection is selected"
		return
	}
	c := m.rows[i]
	m.ask(fmt.Sprintf("Close connection %d of %s?", c.ID, c.Client), func() tea.Msg {
		if err := m.Daemon.Close(c.ID); err != nil {
			return acted(err.Error())
		}
		return acted(fmt.Sprintf("closed connection %d", c.ID))
	})
}

// drain begins a drain.
func (m *model) drain() tea.Msg {
	begun, err := m.Daemon.Drain()
	switch {
	case err != nil:
		return acted(err.Error())
	case !begun:
		return acted("a drain runs already")
	}
	return acted("draining")
}
