package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
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
	g := &generations{echo: echo(t), failed: filepath.Join(t.TempDir(), "fail")}
	listen := freePort(t)
	g.text = fmt.Sprintf("listeners: [{name: in, address: %q}]\nupstreams: [{name: up, address: %q, check: {interval: 100ms}}]\nlog: {access: all}\nengine: %s\n", listen, g.echo, engine)
	g.withFile = startedWithFile(t, g.text, append(env, failAt+"="+g.failed))
	g.listen = listen
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

// talker is a connection in the midst of its work: both ways carry random bytes that must come back as they are.
type talker struct {
	c    net.Conn
	rand *rand.Rand
}

func (k *talker) talk() error {
	out := make([]byte, 1+k.rand.IntN(100_000))
	for i := range out {
		out[i] = byte(k.rand.Uint32())
	}
	_ = k.c.SetDeadline(time.Now().Add(30 * time.Second))
	sent := make(chan error, 1)
	go func() { _, err := k.c.Write(out); sent <- err }()
	in := make([]byte, len(out))
	_, err := io.ReadFull(k.c, in)
	if err := <-sent; err != nil {
		return err
	}
	if err == nil && !bytes.Equal(out, in) {
		err = fmt.Errorf("%d bytes came back changed", len(out))
	}
	return err
}

// load is clients of all kinds, each of whom must notice nothing.
type load struct {
	t      *testing.T
	g      *generations
	stop   chan struct{}
	wg     sync.WaitGroup
	dialed atomic.Int64
}

// begin lets the clients begin.
func (g *generations) begin(t *testing.T) *load {
	l := &load{t: t, g: g, stop: make(chan struct{})}
	for i := range 10 {
		k := &talker{g.dial(t), rand.New(rand.NewPCG(uint64(i), 17))}
		l.dialed.Add(1)
		l.each("a connection that lasts", k.talk)
	}
	for range 3 {
		l.each("a new connection", l.visit)
	}
	var before uint64
	var generation int
	l.each("the counters", func() error {
		metrics := g.get("/metrics")
		m := acceptedTotal.FindStringSubmatch(metrics)
		if m == nil {
			return errors.New("there are none")
		}
		now, _ := strconv.ParseUint(m[1], 10, 64)
		taken := 0
		if h := handoversTotal.FindStringSubmatch(metrics); h != nil {
			taken, _ = strconv.Atoi(h[1])
		}
		if taken < generation {
			return nil // for an instant both processes answer the health port, and this was the old one
		}
		generation = taken
		if now < before {
			return fmt.Errorf("accepted fell from %d to %d", before, now)
		}
		before = now
		return nil
	})
	l.each("the health port", func() error {
		if got := g.get("/readyz"); got != "200 ok\n" {
			return fmt.Errorf("it answers %q", got)
		}
		return nil
	})
	return l
}

var handoversTotal = regexp.MustCompile(`l4fwd_handovers_total{result="taken"} (\d+)`)

var acceptedTotal = regexp.MustCompile(`l4fwd_accepted_total{listener="in"} (\d+)`)

// each calls f again and again until the load ends.
func (l *load) each(what string, f func() error) {
	l.wg.Go(func() {
		for {
			select {
			case <-l.stop:
				return
			default:
			}
			if err := f(); !assert.NoError(l.t, err, what) {
				return
			}
		}
	})
}

// visit makes a connection of one exchange.
func (l *load) visit() error {
	c, err := net.Dial("tcp", l.g.listen)
	if err != nil {
		return err
	}
	l.dialed.Add(1)
	defer c.Close()
	return (&talker{c, rand.New(rand.NewPCG(1, 2))}).talk()
}

// end ends the load.
func (l *load) end() {
	close(l.stop)
	l.wg.Wait()
}

// upgradesFor is how long a test upgrades, unless L4FWD_UPGRADES says how often: under the race detector a process takes a second to
// start.
const upgradesFor = 6 * time.Second

// Ten upgrades in a row, each with another engine, while connections of all kinds go on. L4FWD_UPGRADES sets how many.
func TestUpgradesUnderLoad(t *testing.T) {
	most, err := strconv.Atoi(os.Getenv("L4FWD_UPGRADES"))
	until := time.Now().Add(time.Hour)
	if err != nil {
		most, until = 10, time.Now().Add(upgradesFor)
	}
	g := startedGenerations(t, "auto")
	idle, half := g.dial(t), g.dial(t)
	exchange(t, idle)
	_, err = io.WriteString(half, "hello")
	require.NoError(t, err)
	require.NoError(t, half.(*net.TCPConn).CloseWrite())
	stuck := g.dial(t) // sends without reading
	sent := 0
	for {
		_ = stuck.SetWriteDeadline(time.Now().Add(200 * time.Millisecond))
		w, err := stuck.Write(make([]byte, 64<<10))
		if sent += w; err != nil {
			break
		}
	}

	l := g.begin(t)
	n := 0
	for ; n < most && (n < 2 || time.Now().Before(until)); n++ {
		g.writes(t, strings.Replace(g.text, "engine: auto", "engine: "+[]string{"epoll", "uring", "auto"}[n%3], 1))
		old := g.status(t).PID
		g.upgrade(t)
		ends(t, old)
		require.False(t, t.Failed())
	}
	l.end()

	for _, c := range []net.Conn{idle, half, stuck} {
		_ = c.SetDeadline(time.Now().Add(30 * time.Second))
	}
	exchange(t, idle)
	got, err := io.ReadAll(half)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
	_, err = io.CopyN(io.Discard, stuck, int64(sent))
	require.NoError(t, err)

	s := g.status(t)
	require.NotNil(t, s.Taken)
	require.Len(t, slices.Compact(slices.Sorted(slices.Values(g.pids()))), n+1)
	metrics := g.get("/metrics")
	require.Contains(t, metrics, fmt.Sprintf("l4fwd_handovers_total{result=\"taken\"} %d\n", n))
	require.Contains(t, metrics, "l4fwd_handover_pause_seconds 0.")
	require.NotContains(t, g.log.String(), `"level":"error"`)
	g.eventually(t, func() bool { // each client has one line, whatever process it ended in
		return strings.Count(g.log.String(), `"reason":"client_closed"`) == int(l.dialed.Load())-10+1
	})
	require.Contains(t, g.get("/metrics"), fmt.Sprintf("l4fwd_accepted_total{listener=\"in\"} %d\n", l.dialed.Load()+3))
	t.Logf("%d upgrades, %d connections", n, l.dialed.Load())
}
