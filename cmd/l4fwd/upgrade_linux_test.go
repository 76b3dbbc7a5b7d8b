package main

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
)

// generations is a daemon that other processes take over from.
type generations struct {
	*withFile
	text   string
	failed string // the file of failAt
	echo   string
}

// startedGenerations starts the first process, in front of an echo server, with variables in its environment.
func startedGenerations(t *testing.T, engine string, env ...string) *generations {
	t.Helper()
	upstream, listen := echo(t), freePort(t)
	g := generationsOf(t, fmt.Sprintf("listeners: [{name: in, address: %q}]\nupstreams: [{name: up, address: %q, check: {interval: 100ms}}]\nlog: {access: all}\nengine: %s\n", listen, upstream, engine), env...)
	g.echo, g.listen = upstream, listen
	return g
}

// generationsOf starts the first process with a configuration of the test's own.
func generationsOf(t *testing.T, text string, env ...string) *generations {
	t.Helper()
	g := &generations{text: text, failed: filepath.Join(t.TempDir(), "fail")}
	g.withFile = startedWithFile(t, g.text, append(env, failAt+"="+g.failed))
	t.Cleanup(func() { // before the cleanup of the first process, which waits for all that write to its log
		_ = g.cmd.Process.Kill()
		require.Eventually(t, func() bool {
			for _, m := range anyPID.FindAllStringSubmatch(g.log.String(), -1) { // also one that takes over because another one was killed here
				pid, _ := strconv.Atoi(m[1])
				_ = syscall.Kill(pid, syscall.SIGKILL)
			}
			select {
			case <-g.ended:
				return true
			default:
				return false
			}
		}, 30*time.Second, 20*time.Millisecond)
	})
	return g
}

var anyPID = regexp.MustCompile(`"pid":(\d+)`)

var startedAs = regexp.MustCompile(`"msg":"started",.*"pid":(\d+)`)

// pids are the processes so far that served.
func (g *generations) pids() (all []int) {
	for _, m := range startedAs.FindAllStringSubmatch(g.log.String(), -1) {
		pid, _ := strconv.Atoi(m[1])
		all = append(all, pid)
	}
	return all
}

// status asks the process that serves.
func (g *generations) status(t *testing.T) (s admin.State) {
	t.Helper()
	o := l4fwd(t, nil, "status", "--admin", g.admin, "--output", "json")
	require.NoError(t, json.Unmarshal([]byte(o.stdout), &s), o.stderr)
	return s
}

// upgrade upgrades and wants it to succeed.
func (g *generations) upgrade(t *testing.T) {
	t.Helper()
	o := l4fwd(t, nil, "upgrade", "--admin", g.admin)
	require.Equal(t, exitOK, o.code, "%s\n%s", o.stderr, g.log)
	require.Regexp(t, `^upgraded: version \S+ serves as pid \d+; \d+ connections were handed over, which stood still for \S+s\n$`, o.stdout)
}

// ends waits for the end of a process.
func ends(t *testing.T, pid int) {
	t.Helper()
	require.Eventually(t, func() bool {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
		return err != nil || strings.Contains(string(text), ") Z ")
	}, 30*time.Second, 10*time.Millisecond, "pid %d", pid)
}

// upgradesFor is how long a test upgrades, unless L4FWD_UPGRADES says how often: under the race detector a process takes a second to
// start.
const upgradesFor = 6 * time.Second

// The small crowd is for a machine on which much else runs; the whole one is what upgrades are promised under.
var (
	fewPeople = crowdSize{streams: 12, idle: 6, half: 4, stuck: 3, pings: 4, visits: 3, beat: 10 * time.Millisecond}
	allPeople = crowdSize{streams: 500, idle: 100, half: 20, stuck: 20, pings: 20, visits: 20, beat: 10 * time.Millisecond}
)

// newCrowd starts the first process, with three doors: one that wants nothing, one a PROXY header, one a name.
func newCrowd(t *testing.T, size crowdSize) *crowd {
	c := &crowd{crowdSize: size, t: t, server: newCrowdServer(t), stop: make(chan struct{})}
	hello := clientHello(t, "a.example")
	c.doors = []door{{addr: freePort(t)}, {addr: freePort(t), before: []byte(proxyLine)}, {addr: freePort(t), before: hello, echoed: len(hello)}}
	c.g = generationsOf(t, fmt.Sprintf(`listeners:
  - {name: in, address: %q}
  - {name: proxied, address: %q, accept_proxy: required}
  - {name: named, address: %q, routes: [{sni: ["*.example"], upstream: up}]}
upstreams: [{name: up, address: %q, check: {interval: 100ms}}]
keepalive: {user_timeout: 30m}
log: {access: all}
engine: auto
`, c.doors[0].addr, c.doors[1].addr, c.doors[2].addr, c.server.addr))
	if size.open > 0 {
		require.Equal(t, "ready", peers(t, fmt.Sprintf("client %s %d", c.doors[0].addr, size.open)))
	}
	return c
}

// Upgrades in a row, each with another engine, while connections of all kinds go on: the small crowd and up to ten upgrades, or the
// whole crowd and L4FWD_UPGRADES of them, with L4FWD_UPGRADE_OPEN connections beside it that do nothing. Then the times count, too.
func TestUpgradesUnderLoad(t *testing.T) {
	most, size, until := asNumber("L4FWD_UPGRADES", 0), allPeople, time.Now().Add(time.Hour)
	whole := most > 0
	if !whole {
		most, size, until = 10, fewPeople, time.Now().Add(upgradesFor)
	}
	size.open = asNumber("L4FWD_UPGRADE_OPEN", 0)
	c := newCrowd(t, size)
	g := c.g
	before := g.census(t)

	c.begin()
	begun := time.Now()
	var usual, pauses, lived []time.Duration
	n := 0
	for ; n < most && (n < 2 || time.Now().Before(until)); n++ {
		g.writes(t, strings.Replace(g.text, "engine: auto", "engine: "+[]string{"epoll", "uring", "auto"}[n%3], 1))
		old := g.status(t).PID
		usual = append(usual, c.longest()...)
		g.upgrade(t)
		over := time.Now()
		ends(t, old)
		lived = append(lived, time.Since(over))
		pauses = append(pauses, c.longest()...)
		require.False(t, t.Failed())
	}
	took := time.Since(begun)
	c.end()

	s := g.status(t)
	require.NotNil(t, s.Taken)
	g.eventually(t, func() bool { return len(slices.Compact(slices.Sorted(slices.Values(g.pids())))) == n+1 })
	metrics := g.get("/metrics")
	require.Contains(t, metrics, fmt.Sprintf("l4fwd_handovers_total{result=\"taken\"} %d\n", n))
	require.Contains(t, metrics, "l4fwd_handover_pause_seconds 0.")
	require.NotContains(t, g.log.String(), `"level":"error"`)
	t.Logf("%d upgrades in %.1f s, %d new connections (%.0f/s); longest exchange in an upgrade: %s; before: %s; the old process lived on for %s",
		n, took.Seconds(), c.visited.Load(), float64(c.visited.Load())/took.Seconds(), spread(pauses), spread(usual), spread(lived))
	c.comesBack(before)
	if whole {
		require.Less(t, quantile(pauses, 0.99), 50*time.Millisecond)
		require.Less(t, quantile(lived, 1), 2*time.Second)
	}
}

// census is what a process has that does nothing.
type census struct{ Files, Goroutines, Heap, Resident float64 } // memory in MiB

func (g *generations) census(t *testing.T) (c census) {
	t.Helper()
	c.Files = float64(g.files(t))
	c.Goroutines, _ = strconv.ParseFloat(g.metricText("go_goroutines"), 64)
	c.Heap, c.Resident = g.memory(t)
	return c
}

// comesBack closes what is open and upgrades once more, to the engine of the first process. The last process then has no more than the
// first had, and each connection has a line.
func (c *crowd) comesBack(before census) {
	c.t.Helper()
	for _, conn := range c.lasting {
		conn.Close()
	}
	c.g.writes(c.t, c.g.text)
	c.g.upgrade(c.t)
	var now census
	c.g.eventually(c.t, func() bool {
		now = c.g.census(c.t)
		return now.Files <= before.Files && now.Goroutines <= before.Goroutines && now.Heap < before.Heap+10 && now.Resident < before.Resident+30
	}, &before, &now)
	var lines int
	want := int(c.visited.Load()) + len(c.lasting)
	c.g.eventually(c.t, func() bool { lines = c.g.lines(c.t); return lines == want }, &lines, &want)
	c.t.Logf("first and last process: %+v, %+v; %d connections, as many access lines", before, now, lines)
}

// spread is the median, the 99th percentile and the longest.
func spread(all []time.Duration) string {
	return fmt.Sprintf("%v, p99 %v, at most %v", quantile(all, 0.5), quantile(all, 0.99), quantile(all, 1))
}

func quantile(all []time.Duration, q float64) time.Duration {
	all = slices.Sorted(slices.Values(all))
	return all[min(len(all)-1, int(q*float64(len(all))))].Round(10 * time.Microsecond)
}
