package main

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// terminal is l4fwd in a terminal of tmux, of 80 columns and 24 lines.
type terminal struct {
	t      *testing.T
	socket string
}

// inTerminal runs a command line of l4fwd; its exit status is shown at the end.
func inTerminal(t *testing.T, args ...string) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		t.Skip("not installed: apt-get install tmux")
	}
	dir, err := os.MkdirTemp("", "tmux") // a path of a socket is short
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	term := &terminal{t, filepath.Join(dir, "s")}
	t.Cleanup(func() { _ = exec.Command("tmux", "-S", term.socket, "kill-server").Run() })
	self, err := os.Executable()
	require.NoError(t, err)
	line := fmt.Sprintf("%s=1 GORACE=atexit_sleep_ms=0 '%s' %s; echo exit status $?; exec sleep 60", asL4fwd, self, strings.Join(args, " "))
	term.tmux("-f", "/dev/null", "new-session", "-d", "-x", "80", "-y", "24", line)
	return term
}

// tmux gives a command to the server.
func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	out, err := exec.Command("tmux", append([]string{"-S", term.socket}, args...)...).CombinedOutput()
	require.NoError(term.t, err, "%s", out)
	return string(out)
}

// press presses keys.
func (term *terminal) press(keys ...string) { term.tmux(append([]string{"send-keys"}, keys...)...) }

// shows waits until the screen has all texts, and returns it.
func (term *terminal) shows(texts ...string) (screen string) {
	term.t.Helper()
	end := time.Now().Add(30 * time.Second)
	for {
		screen = term.tmux("capture-pane", "-p")
		missing := ""
		for _, text := range texts {
			if !strings.Contains(screen, text) {
				missing = text
			}
		}
		if missing == "" {
			return screen
		}
		if time.Now().After(end) {
			require.Fail(term.t, "not on the screen", "%q\n%s", missing, screen)
		}
		time.Sleep(20 * time.Millisecond)
	}
}

// An operator at a terminal sees the daemon and its connections, closes one, drains, and sees that the daemon is gone.
func TestTopInATerminal(t *testing.T) {
	p := started(t, nil, "--upstream", echo(t))
	first, second := p.dial(t), p.dial(t)
	exchange(t, first)
	exchange(t, second)
	name := first.LocalAddr().String()
	term := inTerminal(t, "top", "--interval", "500ms", "--admin", p.admin)
	term.shows("l4fwd ", "READY", "2 of 2 connections by rate", name, second.LocalAddr().String(), "q quit")
	term.press("s")
	term.shows("2 of 2 connections by age")
	term.press("/", name, "Enter")
	term.shows("1 of 2 connections by age, with \"" + name + "\"")
	term.press("x")
	term.shows("Close connection ", " of "+name+"? y: yes")
	term.press("y")
	term.shows("closed connection ", "0 of 1 connections by age")
	require.NoError(t, first.SetReadDeadline(time.Now().Add(30*time.Second)))
	_, err := first.Read(make([]byte, 1))
	require.Error(t, err, "it is closed")
	exchange(t, second)
	term.press("Escape")
	term.shows("1 of 1 connections by age", second.LocalAddr().String())
	term.tmux("resize-window", "-x", "160", "-y", "40")
	term.shows("UPSTREAM ADDRESS", "SNI")
	term.press("D")
	term.shows("Drain the daemon, which then exits?")
	term.press("y")
	term.shows("DRAINING")
	require.NoError(t, second.Close())
	p.exits(t, exitOK)
	term.shows("NO CONTACT: the values are ", "no daemon answers")
	term.press("q")
	term.shows("exit status 0")
	require.NotContains(t, term.tmux("capture-pane", "-p"), "NO CONTACT", "the screen of before is back")
}

// Signals end it too, and give the terminal back.
func TestTopEndsBySignal(t *testing.T) {
	p := started(t, nil, "--upstream", echo(t))
	term := inTerminal(t, "top", "--admin", p.admin)
	term.shows("READY", "0 of 0 connections")
	term.press("C-c")
	term.shows("exit status 0")
	p.signal(t, syscall.SIGTERM)
	p.exits(t, exitOK)
}

// Without a terminal, or without a daemon, there is one line that says what to do.
func TestTopNeedsATerminalAndADaemon(t *testing.T) {
	o := l4fwd(t, nil, "top")
	require.Equal(t, outcome{exitFailure, "", "l4fwd: top: it needs a terminal as standard input and output; l4fwd status and l4fwd conns can be read in a pipe\n"}, o)
	o = l4fwd(t, nil, "top", "--interval", "1ms")
	require.Equal(t, exitUsage, o.code)
	require.Equal(t, "l4fwd: flag --interval: 1ms is out of range; write a duration from 500ms to 1m\n", o.stderr)
	none := freePort(t)
	term := inTerminal(t, "top", "--admin", none)
	term.shows("no daemon answers on "+none, "exit status 1")
}
