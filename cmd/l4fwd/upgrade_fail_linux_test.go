package main

import (
	"fmt"
	"net"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy/handoff"
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

// The messages as each process sees them. It stands before it sends one, and after it has received one.
var (
	oldSteps = []string{"received hello", "sent state", "received ready", "sent batch", "received ack", "sent final", "received adopted", "sent commit", "received taken"}
	newSteps = []string{"sent hello", "received state", "sent ready", "received batch", "sent ack", "received final", "sent adopted", "received commit", "sent taken"}
)

// Whatever becomes of the new process, at whatever message, the old one goes on with all that it has; the next upgrade succeeds.
func TestTheOldProcessGoesOnWhereverTheNewOneFails(t *testing.T) {
	g := startedGenerations(t, "auto")
	open := []net.Conn{g.dial(t), g.dial(t)}
	g.lives(t, open...)
	const killed = "ended before it had taken over: signal: killed"
	for _, step := range newSteps {
		require.Contains(t, g.fails(t, "new "+step+" kill", open...), killed)
	}
	for _, step := range oldSteps[:len(oldSteps)-1] { // with the last one it has given everything away
		require.Contains(t, g.fails(t, "old "+step+" kill-other", open...), killed, step)
		g.fails(t, "old "+step+" break", open...)
	}
	for _, step := range newSteps[:len(newSteps)-1] {
		g.fails(t, "new "+step+" break", open...)
	}
	g.upgrade(t)
	g.lives(t, open...)
	require.Contains(t, g.get("/metrics"), `l4fwd_handovers_total{result="taken"} 1`)
	require.Contains(t, g.get("/metrics"), fmt.Sprintf(`l4fwd_handovers_total{result="failed"} %d`, len(newSteps)+3*len(newSteps)-3))
}

// hangs are steps that take the old process's patience: 3 s while all stands still, 10 or 30 s before. The rest is for L4FWD_UPGRADES.
func hangs() (all []string) {
	if os.Getenv("L4FWD_UPGRADES") == "" {
		return []string{"new sent adopted stop", "old received ready stop-other"}
	}
	for _, step := range newSteps {
		all = append(all, "new "+step+" stop")
	}
	for _, step := range oldSteps[:len(oldSteps)-1] {
		all = append(all, "old "+step+" stop-other")
	}
	return all
}

// A new process that stops is ended once the old one has waited long enough.
func TestTheOldProcessGoesOnWhereverTheNewOneHangs(t *testing.T) {
	for _, step := range hangs() {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			g := startedGenerations(t, "auto")
			open := []net.Conn{g.dial(t), g.dial(t)}
			g.lives(t, open...)
			require.Contains(t, g.fails(t, step, open...), "was ended: wait for ")
			g.upgrade(t)
			g.lives(t, open...)
		})
	}
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
	refused(strings.Replace(g.text, g.listen, g.listen[strings.Index(g.listen, ":"):], 1), "this daemon listens on "+g.listen+"; to change one for the other takes a stop and a start, or another port")
	refused(strings.Replace(g.text, g.echo, freePort(t), 1), "the new process found no usable upstream within ")
	g.writes(t, g.text)
	require.Equal(t, exitNoDaemon, l4fwd(t, nil, "upgrade", "--admin", freePort(t)).code)
	g.upgrade(t)
	g.lives(t, open)
}

// What a new process has when the old one dies.
const (
	hasNothing = iota // it ends, too
	hasSockets
	hasConnections
)

// The old process dies on the way: the new one has what it was handed, and serves. Either the old one ends itself, or the new one ends
// it, which is as if it had died in the midst of what it did then.
func TestTheNewProcessServesWhenTheOldOneDies(t *testing.T) {
	steps := map[string]int{}
	for i, step := range oldSteps {
		steps["old "+step+" kill"] = []int{hasNothing, hasNothing, hasSockets, hasSockets, hasConnections}[min(i, 4)]
	}
	for i, step := range newSteps {
		steps["new "+step+" kill-other"] = []int{hasNothing, hasSockets, hasSockets, hasConnections}[min(i, 3)]
	}
	for step, has := range steps {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			engine := "auto"
			if has != hasConnections {
				// The rings of a process that dies without standing still live on for a moment. A client that the kernel wakes one of
				// them for waits until the next client comes.
				engine = "epoll"
			}
			g := startedGenerations(t, engine)
			open := g.dial(t)
			g.lives(t, open)
			require.NoError(t, os.WriteFile(g.failed, []byte(step), 0o600))
			g.signal(t, syscall.SIGUSR2)
			if has == hasNothing {
				<-g.ended // and nobody writes to the log any more: no process is left
				require.NoFileExists(t, g.failed, "the step was reached")
				require.Len(t, g.pids(), 1)
				return
			}
			g.eventually(t, func() bool { return len(g.pids()) == 2 })
			ends(t, g.cmd.Process.Pid)
			g.eventually(t, func() bool { return g.get("/readyz") == "200 ok\n" })
			g.lives(t)
			if has == hasConnections {
				g.lives(t, open)
			}
		})
	}
}

// stops has the old process stop at a step, and waits until it stands.
func (g *generations) stops(t *testing.T, step string) {
	t.Helper()
	require.NoError(t, os.WriteFile(g.failed, []byte("old "+step+" stop"), 0o600))
	g.signal(t, syscall.SIGUSR2)
	g.eventually(t, func() bool { s, _ := processState(g.cmd.Process.Pid); return s == "T" })
}

// An old process that stands for less than the new one's patience hands over once it goes on.
func TestAnOldProcessThatStopsBriefly(t *testing.T) {
	for _, step := range oldSteps {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			g := startedGenerations(t, "auto")
			open := g.dial(t)
			g.lives(t, open)
			g.stops(t, step)
			g.signal(t, syscall.SIGCONT)
			g.eventually(t, func() bool { return len(g.pids()) == 2 })
			ends(t, g.cmd.Process.Pid)
			g.lives(t, open)
		})
	}
}

// One that stands while the new process takes over finds the answer there, though its own patience is over: it used to end the new
// process, which had everything.
func TestAnOldProcessThatStopsWhileTheNewOneTakesOver(t *testing.T) {
	for i := range 4 { // the runtime sees the end of its patience before the answer in one of three, without the second look
		t.Run(strconv.Itoa(i), func(t *testing.T) {
			t.Parallel()
			g := startedGenerations(t, "epoll")
			open := g.dial(t)
			g.lives(t, open)
			require.NoError(t, os.WriteFile(g.failed, []byte("new received commit stop-other"), 0o600))
			g.signal(t, syscall.SIGUSR2)
			g.eventually(t, func() bool { s, _ := processState(g.cmd.Process.Pid); return s == "T" })
			time.Sleep(handoff.StillTimeout + time.Second) // its deadline passes
			g.signal(t, syscall.SIGCONT)
			g.eventually(t, func() bool { return len(g.pids()) == 2 })
			ends(t, g.cmd.Process.Pid)
			g.lives(t, open)
			require.NotContains(t, g.log.String(), "silent for too long")
		})
	}
}

// One that stands for longer finds the new process gone, and goes on itself.
func TestAnOldProcessThatStopsForLong(t *testing.T) {
	if os.Getenv("L4FWD_UPGRADES") == "" {
		t.Skip("it takes 10 to 30 s: set L4FWD_UPGRADES")
	}
	for _, step := range oldSteps[:len(oldSteps)-1] {
		t.Run(step, func(t *testing.T) {
			t.Parallel()
			g := startedGenerations(t, "auto")
			open := g.dial(t)
			g.lives(t, open)
			g.stops(t, step)
			next := childOf(g.cmd.Process.Pid)
			require.NotZero(t, next)
			require.Eventually(t, func() bool { s, _ := processState(next); return s == "Z" || s == "X" }, time.Minute, 10*time.Millisecond)
			g.signal(t, syscall.SIGCONT)
			g.logs(t, "the upgrade failed: this process goes on")
			g.lives(t, open)
			g.upgrade(t)
			g.lives(t, open)
		})
	}
}
