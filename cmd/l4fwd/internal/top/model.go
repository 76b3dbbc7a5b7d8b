package top

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	tea "charm.land/bubbletea/v2"
)

// mode is what a key means.
//
//	listing ─ / ─► typing ─ enter, esc ─► listing
//	listing ─ x, D ─► asking ─ y: act, any other key: do not ─► listing
type mode int

const (
	listing mode = iota // keys move, sort, and begin the others
	typing              // keys are the filter
	asking              // the next key confirms, or does not
)

// listed is how many connections are asked for where no filter needs them all: more than any screen shows.
const listed = 500

// model is what is shown. Bubble Tea calls its methods one after the other.
type model struct {
	Options
	ctx           context.Context
	width, height int

	now    Snapshot
	lost   error // why the last look failed; nil: it did not
	paused bool
	round  int // of looks; an answer of an earlier one is dropped

	sort     int // of Sorts
	filter   string
	rows     []Conn // of now, by the filter
	selected uint64 // the id; 0: none yet
	at       int    // its row
	offset   int    // the first row on the screen

	mode     mode
	question string // while asking
	confirm  tea.Cmd
	message  string // the outcome of an action
	help     bool
}

// seen is the outcome of a look, acted that of an action. due says that it is time for the next look.
type (
	seen struct {
		round int
		Snapshot
		err error
	}
	acted string
	due   struct{ round int }
)

// newModel shows the first snapshot, on 80 by 24 characters until the terminal tells its size.
func newModel(ctx context.Context, o Options, first Snapshot) *model {
	m := &model{Options: o, ctx: ctx, width: 80, height: 24, now: first}
	m.refilter()
	return m
}

// Init begins to look.
func (m *model) Init() tea.Cmd { return m.look() }

// look asks the daemon once.
func (m *model) look() tea.Cmd {
	m.round++
	round, q := m.round, Query{Sort: m.Sorts[m.sort], Limit: listed}
	if m.filter != "" {
		q.Limit = 0
	}
	return func() tea.Msg {
		s, err := m.Daemon.Look(m.ctx, q)
		return seen{round, s, err}
	}
}

// Update takes an event.
func (m *model) Update(msg tea.Msg) (tea.Model, tea.Cmd) {
	switch msg := msg.(type) {
	case tea.WindowSizeMsg:
		m.width, m.height = msg.Width, msg.Height
		m.scroll()
	case tea.KeyPressMsg:
		return m, m.key(msg)
	case seen:
		return m, m.take(msg)
	case due:
		if msg.round == m.round {
			return m, m.look()
		}
	case acted:
		m.message = string(msg)
		return m, m.look()
	}
	return m, nil
}

// take keeps what was seen, or that nothing was: then the last values stay, and are said to be old. It asks for the next look.
func (m *model) take(s seen) tea.Cmd {
	if s.round != m.round {
		return nil // another one is under way
	}
	if m.lost = s.err; s.err == nil && !m.paused {
		m.now = s.Snapshot
		m.refilter()
	}
	return tea.Tick(m.Interval, func(time.Time) tea.Msg { return due{s.round} })
}

// refilter chooses the rows. The selection stays at its connection; if that has ended, at its place.
func (m *model) refilter() {
	m.rows = slices.DeleteFunc(slices.Clone(m.now.Conns), func(c Conn) bool { return !m.matches(&c) })
	if i := slices.IndexFunc(m.rows, func(c Conn) bool { return c.ID == m.selected }); i >= 0 {
		m.at = i
	}
	m.move(0)
}

// matches reports whether a connection has the filter in any of its texts.
func (m *model) matches(c *Conn) bool {
	for _, text := range []string{fmt.Sprint(c.ID), c.Client, c.SNI, c.Upstream, c.Address, c.State, c.Stalls} {
		if strings.Contains(strings.ToLower(text), strings.ToLower(m.filter)) {
			return true
		}
	}
	return false
}

// move moves the selection by so many rows.
func (m *model) move(by int) {
	m.at = max(0, min(m.at+by, len(m.rows)-1))
	m.selected = 0
	if len(m.rows) > 0 {
		m.selected = m.rows[m.at].ID
	}
	m.scroll()
}

// scroll has the selected row on the screen.
func (m *model) scroll() {
	page := m.page()
	m.offset = max(0, min(m.offset, len(m.rows)-page))
	m.offset = min(m.offset, m.at)
	m.offset = max(m.offset, m.at-page+1)
}
