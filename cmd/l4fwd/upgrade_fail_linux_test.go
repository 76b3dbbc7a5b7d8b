package main

import (
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lives wants the connections, new clients and the health port served.
func (g *generations) lives(t *testing.T, open ...net.Conn) {
	t.Helper()
	for _, c := range append(open, g.dial(t)) {
		require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
		exchange(t, c)
	}
	require.Equal(t, "200 ok\n", g.get("/readyz"))
}

// fails has an upgrade fail at a step, and wants the old process to go on as if nothing had happened. It returns the complaint.
func (g *generations) fails(t *testing.T, step string, open ...net.Conn) string {
	t.Helper()
	before := g.status(t)
	require.NoError(t, os.WriteFile(g.failed, []byte(step), 0o600))
	o := l4fwd(t, nil, "upgrade", "--admin", g.admin)
	require.NoFileExists(t, g.failed, "the step was reached")
	require.Equal(t, exitFailure, o.code, "%s: %s", step, o.stdout)
	require.True(t, strings.HasPrefix(o.stderr, "l4fwd: the upgrade failed and the running process goes on: "), o.stderr)
	g.lives(t, open...)
	require.Equal(t, before.PID, g.status(t).PID)
	return o.stderr
}

// Whatever becomes of the new process, at whatever message, the old one goes on with all that it has; the next upgrade succeeds.
func TestTheOldProcessGoesOnWhereverTheNewOneFails(t *testing.T) {
	g := startedGenerations(t, "auto")
	open := []net.Conn{g.dial(t), g.dial(t)}
	g.lives(t, open...)
	for _, step := range []string{"sent hello", "received state", "sent ready", "received batch", "sent ack", "received final", "sent adopted", "received commit", "sent taken"} {
		require.Contains(t, g.fails(t, "new "+step+" kill", open...), "ended before it had taken over: signal: killed")
	}
	for _, step := range []string{"received state", "received batch", "received final", "received commit"} {
		g.fails(t, "new "+step+" break", open...)
	}
	for _, step := range []string{"received hello", "sent state", "received ready", "sent batch", "received ack", "sent final", "received adopted", "sent commit"} {
		g.fails(t, "old "+step+" break", open...)
	}
	require.Contains(t, g.fails(t, "new sent adopted stop", open...), "was ended: wait for ")
	if os.Getenv("L4FWD_UPGRADES") != "" { // they take 3 to 30 s each
		for _, step := range []string{"sent hello", "received state", "sent ready", "received batch", "received final", "received commit"} {
			g.fails(t, "new "+step+" stop", open...)
		}
	}
	g.upgrade(t)
	g.lives(t, open...)
	require.Contains(t, g.get("/metrics"), `l4fwd_handovers_total{result="taken"} 1`)
	require.NotContains(t, g.get("/metrics"), `l4fwd_handovers_total{result="failed"} 0`)
}

// A new process that cannot serve says why, in the words of the verb.
func TestAnUpgradeThatCannotSucceedSaysWhy(t *testing.T) {
	g := startedGenerations(t, "auto")
	open := g.dial(t)
	g.lives(t, open)
	refused := func(file, why string) {
		t.Helper()
		g.writes(t, file)
		o := l4fwd(t, nil, "upgrade", "--admin", g.admin)
		require.Equal(t, exitFailure, o.code, o.stdout)
		require.Contains(t, o.stderr, why)
		g.lives(t, open)
	}
	refused(g.text+"limits: {per_source: many}\n", "the configuration on disk is faulty:\n  "+g.file+":5: limits.per_source: ")
	refused(strings.Replace(g.text, g.echo, freePort(t), 1), "the new process found no usable upstream within ")
	g.writes(t, g.text)
	require.Equal(t, exitNoDaemon, l4fwd(t, nil, "upgrade", "--admin", freePort(t)).code)
	g.upgrade(t)
	g.lives(t, open)
}

// The old process dies on the way: the new one has what it was handed, and serves.
func TestTheNewProcessServesWhenTheOldOneDies(t *testing.T) {
	for step, handed := range map[string]bool{"received ready": false, "sent final": true, "received adopted": true, "sent commit": true} {
		t.Run(step, func(t *testing.T) {
			engine := "auto"
			if !handed {
				// The rings of a process that dies without standing still live on for a moment. A client that the kernel wakes one of
				// them for waits until the next client comes.
				engine = "epoll"
			}
			g := startedGenerations(t, engine)
			open := g.dial(t)
			g.lives(t, open)
			require.NoError(t, os.WriteFile(g.failed, []byte("old "+step+" kill"), 0o600))
			g.signal(t, syscall.SIGUSR2)
			g.eventually(t, func() bool { return len(g.pids()) == 2 })
			ends(t, g.cmd.Process.Pid)
			g.eventually(t, func() bool { return g.get("/readyz") == "200 ok\n" })
			g.lives(t)
			if handed {
				g.lives(t, open)
			}
		})
	}
}
