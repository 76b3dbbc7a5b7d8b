package top

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	tea "charm.land/bubbletea/v2"
	"github.com/stretchr/testify/require"
)

// fake is a daemon that has what it is given, and remembers what it was asked.
type fake struct {
	s       Snapshot
	err     error
	asked   []Query
	closed  []uint64
	drained int
}

func (f *fake) Look(_ context.Context, q Query) (Snapshot, error) {
	f.asked = append(f.asked, q)
	if f.err != nil {
		return Snapshot{}, f.err
	}
	return f.s, nil
}

func (f *fake) Close(id uint64) error { f.closed = append(f.closed, id); return f.err }

func (f *fake) Drain() (bool, error) { f.drained++; return f.drained == 1, f.err }

// busy is a daemon with so many connections.
func busy(conns int) *fake {
	f := &fake{s: Snapshot{
		At: time.Now(), Version: "v1", PID: 7, Uptime: 93 * time.Second, Ready: true, Engine: "uring", Active: conns, Total: conns, Max: 9000,
		PublicAddress: "203.0.113.10",
		Addresses:     []Address{{Upstream: "up", Address: "20.42.4.211:443", State: "usable", Usable: true}, {Upstream: "up", Address: "20.42.4.212:443", State: "check_failed", Why: "refused"}},
	}}
	for i := range conns {
		f.s.Conns = append(f.s.Conns, Conn{ID: uint64(i + 1), Client: fmt.Sprintf("10.0.0.%d:%d", i%250, 1024+i), SNI: "a.example", Upstream: "up", State: "relaying", Age: time.Hour})
	}
	return f
}

// shown is a model of a terminal of that size.
func shown(t *testing.T, f *fake, width, height int) *model {
	m := newModel(t.Context(), Options{Daemon: f, Sorts: []string{"rate", "age", "stalls"}, Interval: time.Millisecond}, f.s)
	m.Update(tea.WindowSizeMsg{Width: width, Height: height})
	return m
}

// look has the model look once, as the program would.
func (m *model) lookNow() { m.Update(m.look()()) }

// press presses keys, and has the model see the outcome of what they do; the outcome of a look it has by itself.
func (m *model) press(keys ...string) {
	for _, key := range keys {
		k := tea.KeyPressMsg{Text: key}
		switch key {
		case "enter":
			k = tea.KeyPressMsg{Code: tea.KeyEnter}
		case "esc":
			k = tea.KeyPressMsg{Code: tea.KeyEscape}
		case "backspace":
			k = tea.KeyPressMsg{Code: tea.KeyBackspace}
		case "space":
			k = tea.KeyPressMsg{Code: tea.KeySpace, Text: " "}
		case "up":
			k = tea.KeyPressMsg{Code: tea.KeyUp}
		case "down":
			k = tea.KeyPressMsg{Code: tea.KeyDown}
		case "pgup":
			k = tea.KeyPressMsg{Code: tea.KeyPgUp}
		case "pgdown":
			k = tea.KeyPressMsg{Code: tea.KeyPgDown}
		case "home":
			k = tea.KeyPressMsg{Code: tea.KeyHome}
		case "end":
			k = tea.KeyPressMsg{Code: tea.KeyEnd}
		default:
			k.Code = []rune(key)[0]
		}
		if _, cmd := m.Update(k); cmd != nil {
			if _, again := m.Update(cmd()); again != nil {
				if msg, isSeen := again().(seen); isSeen {
					m.Update(msg)
				}
			}
		}
	}
}

var styles = regexp.MustCompile("\x1b\\[[0-9;]*m")

// screen is what a person sees.
func (m *model) screen() string { return styles.ReplaceAllString(strings.Join(m.lines(), "\n"), "") }

// Whatever the size of the terminal, and whatever there is to show: no line is wider, there are no more lines than it has, and the
// last one says what keys do.
func TestTheScreenFitsEveryTerminal(t *testing.T) {
	for _, size := range [][2]int{{80, 24}, {1, 1}, {20, 5}, {40, 10}, {100, 30}, {250, 80}, {80, 3}} {
		for _, conns := range []int{0, 1, 3, 1000} {
			f := busy(conns)
			for i := range 30 {
				f.s.Addresses = append(f.s.Addresses, Address{Upstream: "up", Address: fmt.Sprintf("10.1.0.%d:443", i), State: "usable", Usable: true})
			}
			m := shown(t, f, size[0], size[1])
			for _, keys := range [][]string{nil, {"end"}, {"x"}, {"n"}, {"/"}, {"1", "enter"}, {"?"}, {"?", "space"}} {
				m.press(keys...)
				lines := m.lines()
				require.Len(t, lines, size[1], "%v", size)
				for _, line := range lines {
					require.LessOrEqual(t, len(styles.ReplaceAllString(line, "")), size[0], "%v %q", size, line)
				}
			}
		}
	}
	screen := shown(t, busy(1000), 80, 24).screen()
	require.Contains(t, screen, "l4fwd v1  pid 7  up 1m33s  uring  READY  203.0.113.10\n")
	require.Contains(t, screen, "      ID CLIENT                STATE      STALLS      AGE     UP/s   DOWN/s\n")
	require.Contains(t, screen, "       1 10.0.0.0:1024         relaying   -         1h00m      0 B      0 B\n")
	require.Less(t, strings.Index(screen, "20.42.4.212"), strings.Index(screen, "20.42.4.211"), "what is not usable comes first")
	require.True(t, strings.HasSuffix(screen, keyHelp))
}

// A client chooses its name, and a name chose the terminal's title, or hid lines: only printable characters are shown.
func TestNamesCannotSteerTheTerminal(t *testing.T) {
	f := busy(1)
	f.s.Conns[0].SNI = "\x1b]0;owned\x07\x1b[2Jname\r\n\u202e\u0085"
	f.s.Conns[0].Client, f.s.Conns[0].State, f.s.Version = "\x1b[31m", "\u009b2J", "\x1bc"
	f.s.NotReady = []string{"eip: \x1b[8mhidden"}
	f.s.Ready, f.s.Addresses[0].Why, f.err = false, "\x07", errors.New("\x1b[8m")
	m := shown(t, f, 250, 24)
	for _, keys := range [][]string{nil, {"x"}, {"y"}, {"/", "\x1b", "enter"}} {
		m.press(keys...)
		for _, c := range m.screen() {
			require.True(t, c == '\n' || c >= ' ' && c <= '~', "%q in %q", c, m.screen())
		}
	}
	m.press("esc")
	require.Contains(t, m.screen(), "?]0;owned??[2Jname????")
}

// The question is about the connection that was selected, also if others come before it meanwhile; only y confirms.
func TestCloseTakesTheSelectedConnectionAfterAQuestion(t *testing.T) {
	f := busy(5)
	m := shown(t, f, 80, 24)
	m.press("down", "down", "x")
	require.Contains(t, m.screen(), "Close connection 3 of 10.0.0.2:1026? y: yes; any other key: no")
	m.press("n")
	require.Empty(t, f.closed)
	require.Contains(t, m.screen(), "nothing was done")
	m.press("x")
	f.s.Conns = append([]Conn{{ID: 9, Client: "first"}}, f.s.Conns...)
	m.lookNow()
	m.press("y")
	require.Equal(t, []uint64{3}, f.closed)
	require.Contains(t, m.screen(), "closed connection 3")
	f.err = errors.New("no connection 3 is open")
	m.press("x", "y")
	require.Contains(t, m.screen(), "no connection 3 is open")
	f = busy(0)
	m = shown(t, f, 80, 24)
	m.press("x", "y")
	require.Empty(t, f.closed)
}

// A selection stays at its connection, and at its place if that has ended.
func TestTheSelectionStays(t *testing.T) {
	f := busy(100)
	m := shown(t, f, 80, 24)
	m.press("end")
	require.Equal(t, uint64(100), m.selected)
	require.Contains(t, m.screen(), "     100 10.0.0.99:1123")
	f.s.Conns = f.s.Conns[:50]
	m.lookNow()
	require.Equal(t, uint64(50), m.selected)
	f.s.Conns = append(busy(3).s.Conns[:3:3], f.s.Conns[49])
	m.lookNow()
	require.Equal(t, uint64(50), m.selected)
	require.Equal(t, 3, m.at)
	f.s.Conns = nil
	m.lookNow()
	require.Zero(t, m.selected)
}

// The keys move the selection by a row, by a screen or to an end, and not beyond it.
func TestTheKeysMoveTheSelection(t *testing.T) {
	m := shown(t, busy(100), 80, 24)
	page := m.page()
	for _, step := range []struct {
		key  string
		want int
	}{
		{"k", 0}, {"j", 1}, {"down", 2}, {"up", 1}, {"pgdown", 1 + page}, {"pgdown", 1 + 2*page}, {"pgup", 1 + page},
		{"G", 99}, {"j", 99}, {"pgdown", 99}, {"g", 0}, {"pgup", 0}, {"end", 99}, {"home", 0},
	} {
		m.press(step.key)
		require.Equal(t, step.want, m.at, step.key)
		require.Equal(t, uint64(step.want+1), m.selected, step.key)
		require.Contains(t, m.screen(), fmt.Sprintf("%8d 10.0.0.", step.want+1), step.key)
	}
}

func TestDrainAsksFirst(t *testing.T) {
	f := busy(1)
	m := shown(t, f, 80, 24)
	m.press("D")
	require.Zero(t, f.drained)
	require.Contains(t, m.screen(), "Drain the daemon, which then exits? y: yes; any other key: no")
	m.press("y")
	require.Equal(t, 1, f.drained)
	require.Contains(t, m.screen(), "draining")
	m.press("D", "y")
	require.Contains(t, m.screen(), "a drain runs already")
}

// The daemon orders; with a filter all connections are asked for, since the one that is looked for may be at the end.
func TestSortAndFilter(t *testing.T) {
	f := busy(20)
	m := shown(t, f, 80, 24)
	m.lookNow()
	m.press("s")
	require.Equal(t, Query{"age", listed}, f.asked[len(f.asked)-1])
	m.press("S", "S")
	require.Equal(t, Query{"stalls", listed}, f.asked[len(f.asked)-1])
	m.press("/", "1", "0", "2", "6", "enter")
	require.Equal(t, Query{"stalls", 0}, f.asked[len(f.asked)-1])
	require.Contains(t, m.screen(), `1 of 20 connections by stalls, with "1026"`)
	m.press("/", "backspace", "q")
	require.Contains(t, m.screen(), "filter: 102q_")
	m.press("esc")
	require.Contains(t, m.screen(), "20 of 20 connections")
}

// When the daemon is gone the last values stay, and nobody takes them for fresh.
func TestLostContactKeepsTheLastValuesWithTheirAge(t *testing.T) {
	f := busy(3)
	m := shown(t, f, 80, 24)
	f.s.At = time.Now().Add(-90 * time.Second)
	m.lookNow()
	f.err = errors.New("no daemon answers")
	m.lookNow()
	require.Contains(t, m.screen(), "NO CONTACT: the values are 1m30s old. no daemon answers")
	require.Contains(t, m.screen(), "10.0.0.2:1026")
	f.err, f.s.At = nil, time.Now()
	m.lookNow()
	require.NotContains(t, m.screen(), "NO CONTACT")
	m.press("space")
	f.s.Conns = nil
	m.lookNow()
	require.Contains(t, m.screen(), "PAUSED")
	require.Contains(t, m.screen(), "10.0.0.2:1026")
}

// An answer that was overtaken by a later question changes nothing, and the next look is asked for once.
func TestOneLookAtATime(t *testing.T) {
	m := shown(t, busy(1), 80, 24)
	first, second := m.look(), m.look()
	_, cmd := m.Update(first())
	require.Nil(t, cmd)
	_, cmd = m.Update(second())
	require.NotNil(t, cmd)
	require.IsType(t, due{}, cmd())
	_, cmd = m.Update(due{m.round - 1})
	require.Nil(t, cmd)
}

func TestFigures(t *testing.T) {
	for n, want := range map[float64]string{0: "0 B", 999.4: "999 B", 999.5: "1 kB", 1000: "1 kB", 999_600: "1 MB", 1_230_000: "1.23 MB", 5e9: "5 GB", 7e13: "70 TB"} {
		require.Equal(t, want, size(n))
	}
	for d, want := range map[time.Duration]string{-1: "0s", 59 * time.Second: "59s", 3*time.Minute + 5*time.Second: "3m05s", 4*time.Hour + 5*time.Minute: "4h05m", 51 * time.Hour: "2d3h", 2400 * time.Hour: "100d"} {
		require.Equal(t, want, span(d))
		require.LessOrEqual(t, len(want), 6)
	}
}
