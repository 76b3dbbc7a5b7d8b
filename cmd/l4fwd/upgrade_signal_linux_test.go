package main

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Ctrl-C in a terminal, and a service manager with KillMode=control-group, signal both processes of an upgrade, and the old one passes its
// own signal on. The new process took that for a second one, and cut its drain short.
func TestASignalToBothProcessesOfAnUpgradeDrainsOnce(t *testing.T) {
	for _, step := range []string{"received ready", "sent final", "sent commit", "received taken"} {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			g := startedGenerations(t, "auto")
			open := g.dial(t)
			exchange(t, open)
			g.stops(t, step)
			next := childOf(g.cmd.Process.Pid)
			require.NotZero(t, next)
			for _, pid := range []int{g.cmd.Process.Pid, next} {
				require.NoError(t, syscall.Kill(pid, syscall.SIGINT))
			}
			g.signal(t, syscall.SIGCONT)
			ends(t, g.cmd.Process.Pid)
			g.logs(t, `"msg":"the end is passed on to the new process"`)
			g.logs(t, `"msg":"a second signal so soon after an upgrade is the first one`)
			require.NoError(t, open.SetDeadline(time.Now().Add(30*time.Second)))
			exchange(t, open) // it may take its time
			require.NoError(t, open.Close())
			g.logs(t, `"msg":"drained","outcome":"complete","closed":0`)
			ends(t, next)
		})
	}
}

// A second signal some time after an upgrade is one.
func TestASecondSignalAfterAnUpgradeCutsTheDrainShort(t *testing.T) {
	g := startedGenerations(t, "auto")
	open := g.dial(t)
	g.upgrade(t)
	g.lives(t, open)
	ends(t, g.cmd.Process.Pid)
	pid := g.status(t).PID
	signal := func() { require.NoError(t, syscall.Kill(pid, syscall.SIGTERM)) }
	signal()
	g.logs(t, `"msg":"draining"`)
	signal()
	g.logs(t, `"msg":"a second signal so soon after an upgrade is the first one`)
	signal()
	g.logs(t, `"outcome":"cut short by a second signal"`)
	ends(t, pid)
}

// asked is a request whose last byte is not sent yet, to a process that has accepted the connection.
type asked struct{ net.Conn }

// asks begins a request to the admin port.
func (g *generations) asks(t *testing.T, path string) asked {
	t.Helper()
	c, err := net.Dial("tcp", g.admin)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	_, err = io.WriteString(c, "POST "+path+" HTTP/1.1\r\nHost: "+g.admin+"\r\nContent-Type: application/json\r\nContent-Length: 0\r\n\r")
	require.NoError(t, err)
	return asked{c}
}

// answer sends the last byte and returns the status and the text of the answer; 0: the process has ended, or the head of the request has taken
// longer than the 3 s that it may, since the machine is busy.
func (a asked) answer(t *testing.T) (int, string) {
	t.Helper()
	require.NoError(t, a.SetDeadline(time.Now().Add(30*time.Second)))
	_, _ = a.Write([]byte("\n")) // it may have ended
	r, err := http.ReadResponse(bufio.NewReader(a), nil)
	if err != nil {
		return 0, ""
	}
	defer r.Body.Close()
	if r.StatusCode == http.StatusBadRequest {
		return 0, ""
	}
	text, err := io.ReadAll(r.Body)
	require.NoError(t, err)
	return r.StatusCode, string(text)
}

// A request that the old process answers still says who serves now, and a drain is passed on. It used to say that it drains. The old process
// waits a second for such requests: on a busy machine another upgrade is needed.
func TestTheOldProcessSaysWhoServesNow(t *testing.T) {
	if underRace {
		t.Skip("under the race detector a process takes longer to start than a request may take")
	}
	g := startedGenerations(t, "auto")
	said := map[string]bool{}
	for range 20 {
		upgrade, reload := g.asks(t, "/api/v1/upgrade"), g.asks(t, "/api/v1/reload")
		old := g.status(t).PID // and both were accepted before this one
		g.upgrade(t)
		for _, a := range []asked{upgrade, reload} {
			if status, text := a.answer(t); status != 0 {
				require.Contains(t, []int{http.StatusConflict, http.StatusServiceUnavailable}, status)
				require.Regexp(t, `^this process has handed over to pid \d+, which serves now: ask again\n$`, text)
				said[http.StatusText(status)] = true
			}
		}
		ends(t, old)
		if len(said) == 2 {
			break
		}
	}
	require.Len(t, said, 2)
	for range 20 {
		drain := g.asks(t, "/api/v1/drain")
		old := g.status(t).PID
		g.upgrade(t)
		status, text := drain.answer(t)
		ends(t, old)
		if status != 0 {
			require.Equal(t, http.StatusAccepted, status, text)
			g.eventually(t, func() bool { return strings.Contains(g.log.String(), `"msg":"drained","outcome":"complete"`) })
			return
		}
	}
	t.Fatal("no old process has answered in time")
}
