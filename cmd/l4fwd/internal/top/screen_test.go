package top

import (
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"
)

// line is a line of the screen.
func (m *model) line(n int) string { return strings.Split(m.screen(), "\n")[n] }

// The headline says what the daemon is, whether clients are sent to it, and if not, why.
func TestTheHeadline(t *testing.T) {
	f := busy(2)
	f.s.Accepts, f.s.BytesUp, f.s.Down, f.s.Busiest = 12.34, 1500, 2e6, 0.42
	m := shown(t, f, 120, 24)
	require.Equal(t, "l4fwd v1  pid 7  up 1m33s  uring  READY  203.0.113.10", m.line(0))
	require.Equal(t, "2 of 9000 connections  12.3/s accepted  1.5 kB/s up  2 MB/s down  loops 42%", m.line(1))
	require.Empty(t, m.line(2))
	f.s.Ready, f.s.NotReady, f.s.PublicAddress, f.s.Max = false, []string{"eip: none is free", "upstream up: no address"}, "", 0
	m.lookNow()
	require.Equal(t, "l4fwd v1  pid 7  up 1m33s  uring  NOT READY", m.line(0))
	require.True(t, strings.HasPrefix(m.line(1), "2 connections  "))
	require.Equal(t, "eip: none is free; upstream up: no address", m.line(2))
	require.Empty(t, m.line(3))
	f.s.Draining = true
	m.lookNow()
	require.Equal(t, "l4fwd v1  pid 7  up 1m33s  uring  DRAINING", m.line(0))
	m.press("space")
	require.Contains(t, m.line(2), "PAUSED: the values are 0s old")
	f.err = errors.New("gone")
	m.lookNow()
	require.Contains(t, m.line(2), "NO CONTACT: the values are 0s old. gone")
}

// Addresses have a quarter of the screen, those in trouble first and in red, each group in the daemon's order; the last line counts the rest.
func TestTheAddresses(t *testing.T) {
	f := busy(0)
	f.s.Addresses = nil
	for i, state := range []string{"usable", "ejected", "usable", "failing", "usable"} {
		f.s.Addresses = append(f.s.Addresses, Address{Upstream: "up", Address: fmt.Sprintf("10.1.0.%d:443", i), State: state, Usable: state == "usable", Active: int64(i)})
	}
	f.s.Addresses[4].Backup, f.s.Addresses[1].Why = true, "5 connects in a row failed"
	m := shown(t, f, 120, 24)
	require.Equal(t, []string{
		"UPSTREAM         ADDRESS                  STATE                 ACTIVE  WHY",
		"up               10.1.0.1:443             ejected                    1  5 connects in a row failed",
		"up               10.1.0.3:443             failing                    3  ",
		"up               10.1.0.0:443             usable                     0  ",
		"up               10.1.0.2:443             usable                     2  ",
		"up               10.1.0.4:443             usable (backup)            4  ",
		"",
		"0 of 0 connections by rate",
	}, strings.Split(m.screen(), "\n")[3:11])
	require.Contains(t, m.lines()[4], "\x1b[1;31m")
	require.NotContains(t, m.lines()[6], "\x1b[1;31m")
	f.s.Addresses = append(f.s.Addresses, Address{Upstream: "up", Address: "10.1.0.5:443", State: "usable", Usable: true})
	m.lookNow()
	require.Equal(t, "... and 2 more", m.line(8))
	require.Contains(t, m.line(7), "10.1.0.2:443")
	m.Update(tea.WindowSizeMsg{Width: 120, Height: 12})
	require.Equal(t, "... and 5 more", m.line(5), "two lines at least")
}

// A wider terminal has more columns; 80 columns have room for the id after 10,000 clients a second for years. What does not fit ends in
// a tilde.
func TestColumnsFollowTheWidth(t *testing.T) {
	f := busy(1)
	f.s.Conns[0] = Conn{ID: 123456789012, Client: "[2001:db8:1:2:3:4:5:6]:51234", State: "half_closed_client", Stalls: "upstream", Age: 50 * time.Second, Idle: 7 * time.Second,
		RateUp: 1500, RateDown: 2e6, Upstream: "up", Address: "20.42.4.211:443"}
	m := shown(t, f, 250, 24)
	cols := columns(150)
	require.Equal(t, "          ID CLIENT                STATE      STALLS      AGE   IDLE     UP/s   DOWN/s UPSTREAM     UPSTREAM ADDRESS      SNI                                     ", heading(cols))
	require.Equal(t, "123456789012 [2001:db8:1:2:3:4:5:~ half_clie~ upstream    50s     7s   1.5 kB     2 MB up           20.42.4.211:443       -                                       ",
		row(cols, &m.rows[0]))
	for width, n := range map[int]int{0: 7, 89: 7, 90: 8, 104: 8, 105: 9, 129: 9, 130: 10, 149: 10, 150: 11} {
		require.Len(t, columns(width), n, width)
	}
	require.Contains(t, row(columns(130), &Conn{}), " -            -                    ")
	require.Equal(t, "ab", clip("ab", 2))
	require.Equal(t, "ab\x1b[m", clip("abc", 2))
	require.Equal(t, "\x1b[1mab\x1b[m", clip("\x1b[1mab\x1b[m", 2))
}

// When connections end, the rows that are left fill the screen.
func TestTheScreenStaysFull(t *testing.T) {
	f := busy(100)
	m := shown(t, f, 80, 24)
	m.press("end")
	f.s.Conns = f.s.Conns[:50]
	m.lookNow()
	require.Contains(t, m.screen(), fmt.Sprintf("%8d 10.0.0.", 50-m.page()+1))
	require.Contains(t, m.screen(), "      50 10.0.0.")
}

// The program begins with a look, and looks again when the interval is over; a drain that fails says why.
func TestLooksAndOutcomes(t *testing.T) {
	f := busy(1)
	m := shown(t, f, 80, 24)
	require.IsType(t, seen{}, m.Init()())
	_, cmd := m.Update(due{m.round})
	require.IsType(t, seen{}, cmd())
	f.err = errors.New("no daemon answers")
	m.press("D", "y")
	require.Contains(t, m.foot(), "no daemon answers")
	v := m.View()
	require.True(t, v.AltScreen, "the shell's screen comes back")
	require.Equal(t, "l4fwd top", v.WindowTitle)
}

// Help is there until the next key, which does nothing else. Once a filter is typed, or given up, keys are commands again.
func TestModesEnd(t *testing.T) {
	f := busy(3)
	m := shown(t, f, 80, 24)
	m.press("?")
	require.Contains(t, m.screen(), "select a connection; PgUp, PgDn, Home and End too\n")
	require.NotContains(t, m.screen(), "10.0.0.1:1025")
	m.press("x")
	require.Contains(t, m.screen(), "10.0.0.1:1025")
	require.Equal(t, keyHelp, m.foot())
	m.press("/", "1", "esc", "s")
	require.Equal(t, Query{"age", 500}, f.asked[len(f.asked)-1])
	m.press("/", "1", "enter", "s")
	require.Equal(t, Query{"stalls", 0}, f.asked[len(f.asked)-1])
	for _, msg := range []tea.Msg{tea.WindowSizeMsg{Width: 80, Height: 24}, seen{}, due{m.round}, due{}, acted("x"), tea.KeyPressMsg{Code: 'k'}, nil} {
		next, _ := m.Update(msg)
		require.Same(t, m, next, "%T", msg)
	}
}

// q ends it, and so does whoever runs it; a file is no terminal.
func TestRunEnds(t *testing.T) {
	file, err := os.CreateTemp(t.TempDir(), "")
	require.NoError(t, err)
	defer file.Close()
	require.False(t, IsTerminal(file))
	require.Zero(t, Width(file))
	f := busy(1)
	o := Options{Daemon: f, Sorts: []string{"rate"}, Interval: time.Hour, In: strings.NewReader("q"), Out: file}
	require.NoError(t, Run(t.Context(), o, f.s))
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	o.In = strings.NewReader("")
	require.NoError(t, Run(ctx, o, f.s))
}
