package main

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// greeterNamed runs a server that says its name and then sends back what it gets.
func greeterNamed(t *testing.T, name string) string {
	t.Helper()
	return serveEach(t, func(c net.Conn) {
		fmt.Fprintln(c, name)
		_, _ = io.Copy(c, c)
	})
}

// withFile is l4fwd with a file as its configuration.
type withFile struct {
	*process
	file string
}

// startedWithFile starts l4fwd with a file that holds text, and args and env beside it.
func startedWithFile(t *testing.T, text string, env []string, args ...string) *withFile {
	t.Helper()
	p := &process{health: freePort(t), admin: freePort(t), log: &lockedBuffer{}, ended: make(chan struct{})}
	c := &withFile{p, filepath.Join(t.TempDir(), "l4fwd.yaml")}
	c.writes(t, text)
	args = append([]string{"serve", "--config", c.file, "--health", p.health, "--admin", p.admin}, args...)
	p.cmd = command(t, append([]string{"L4FWD_DRAIN_LAME_DUCK=100ms"}, env...), args...)
	p.start(t)
	p.eventually(t, func() bool { return p.get("/readyz") == "200 ok\n" })
	return c
}

func (c *withFile) writes(t *testing.T, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(c.file, []byte(text), 0o600))
}

// reload has the file loaded again and waits for the line that says how it went.
func (c *withFile) reload(t *testing.T, said string) {
	t.Helper()
	before := strings.Count(c.log.String(), said)
	c.signal(t, syscall.SIGHUP)
	c.eventually(t, func() bool { return strings.Count(c.log.String(), said) > before })
}

const (
	saidReloaded = `"msg":"reloaded"`
	saidFailed   = `"msg":"reload failed: nothing was changed"`
)

// hail connects to addr and returns what greets there.
func hail(t *testing.T, addr string) (net.Conn, string) {
	t.Helper()
	c, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	line, err := bufio.NewReader(c).ReadString('\n')
	require.NoError(t, err)
	return c, strings.TrimSpace(line)
}

func TestReloadTouchesNoLiveConnection(t *testing.T) {
	one, two := greeterNamed(t, "one"), greeterNamed(t, "two")
	first, second := freePort(t), freePort(t)
	text := func(listener, upstream string) string {
		return fmt.Sprintf("listeners: [{name: in, address: %q}]\nupstreams: [{name: up, address: %q}]\n", listener, upstream)
	}
	p := startedWithFile(t, text(first, one), nil)
	live, name := hail(t, first)
	require.Equal(t, "one", name)
	stop, moved := make(chan struct{}), atomic.Int64{}
	var traffic sync.WaitGroup
	traffic.Go(func() {
		for b := make([]byte, 5); ; moved.Add(1) {
			select {
			case <-stop:
				return
			default:
			}
			if _, err := io.WriteString(live, "hello"); err != nil {
				t.Errorf("write: %v", err)
				return
			}
			if _, err := io.ReadFull(live, b); err != nil || string(b) != "hello" {
				t.Errorf("read %q: %v", b, err)
				return
			}
		}
	})
	goesOn := func() {
		t.Helper()
		before := moved.Load()
		p.eventually(t, func() bool { return moved.Load() > before+10 })
	}

	p.writes(t, text(first, two))
	p.reload(t, saidReloaded)
	require.Contains(t, p.log.String(), `"changed":["upstreams"]`)
	_, name = hail(t, first)
	require.Equal(t, "two", name, "a new connection goes to the new upstream")
	goesOn()

	p.writes(t, text(second, two))
	p.reload(t, saidReloaded)
	_, err := net.Dial("tcp", first)
	require.ErrorIs(t, err, syscall.ECONNREFUSED, "the listener is gone")
	_, name = hail(t, second)
	require.Equal(t, "two", name)
	goesOn()

	p.writes(t, fmt.Sprintf("listeners: [{name: new, address: %q}]\nupstreams: [{name: other, address: %q}]\n", second, one))
	p.reload(t, saidReloaded)
	_, name = hail(t, second)
	require.Equal(t, "one", name)
	goesOn()
	metrics := p.get("/metrics")
	require.Contains(t, metrics, `l4fwd_connections_active{listener="in",upstream="up"} 3`, "what is gone is still counted")
	require.Contains(t, metrics, `l4fwd_connections_active{listener="new",upstream="other"} 1`)
	require.NotContains(t, metrics, `l4fwd_upstream_addresses{state="usable",upstream="up"}`)
	close(stop)
	traffic.Wait()
	p.signal(t, syscall.SIGTERM)
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), `"msg":"draining","by":"SIGTERM"`) })
	p.signal(t, syscall.SIGHUP) // too late: it must not end the drain
	p.signal(t, syscall.SIGINT)
	p.exits(t, exitOK)
}

func TestAFaultyFileChangesNothing(t *testing.T) {
	one := greeterNamed(t, "one")
	listen := freePort(t)
	good := fmt.Sprintf("listen: [%q]\nupstream: %q\n", listen, one)
	p := startedWithFile(t, good, nil)
	require.Contains(t, p.get("/metrics"), "\nl4fwd_config_reload_success 1\n")

	p.writes(t, good+"loops: many\nnonsense: 1\n")
	p.reload(t, saidFailed)
	require.Contains(t, p.log.String(), p.file+`:3: loops: `)
	require.Contains(t, p.log.String(), p.file+`:4: nonsense: `, "every fault")
	_, name := hail(t, listen)
	require.Equal(t, "one", name)
	require.Equal(t, "200 ok\n", p.get("/readyz"), "what was loaded before works")
	require.Regexp(t, `\[\+\]config ok\n   the reload of \S+ failed and changed nothing:\n   `+p.file+`:3: loops.*\n   `+p.file+`:4: nonsense`, p.get("/readyz?verbose"))
	require.Contains(t, p.get("/metrics"), "\nl4fwd_config_reload_success 0\n")
	require.Regexp(t, "FAILED and changed nothing: \\S+l4fwd.yaml:3: loops.* \\S+l4fwd.yaml:4: nonsense", l4fwd(t, nil, "status", "--admin", p.admin).unwrapped())

	taken := greeterNamed(t, "taken")
	p.writes(t, fmt.Sprintf("listen: [%q, %q]\nupstream: %q\n", listen, taken, one))
	p.reload(t, saidFailed)
	require.Contains(t, p.log.String(), "cannot listen on "+taken)
	require.NotContains(t, p.get("/metrics"), taken, "no series of a listener that never was")

	_, port, err := net.SplitHostPort(listen)
	require.NoError(t, err)
	p.writes(t, fmt.Sprintf("listen: [\":%s\"]\nupstream: %q\n", port, one))
	p.reload(t, saidFailed)
	require.Contains(t, p.log.String(), "this daemon listens on "+listen)

	require.NoError(t, os.Remove(p.file))
	p.reload(t, saidFailed)
	require.Contains(t, p.log.String(), "cannot be read")

	p.writes(t, good)
	p.reload(t, saidReloaded)
	require.Contains(t, p.get("/metrics"), "\nl4fwd_config_reload_success 1\n")
	require.NotContains(t, p.get("/readyz?verbose"), "failed")
}

func TestWhatCannotChangeIsNamed(t *testing.T) {
	one := greeterNamed(t, "one")
	text := func(more string) string {
		return fmt.Sprintf("listen: [%q]\nupstream: %q\n%s", "127.0.0.1:0", one, more)
	}
	p := startedWithFile(t, text(""), []string{"L4FWD_LIMITS_MAX_CONNECTIONS=77"}, "--log-level", "info")
	p.writes(t, text("loops: 3\nengine: portable\nhealth: {address: ':1'}\ndns: {timeout: 9s}\nlimits: {max_connections: 5}\nlog: {level: error, access: all}\n"))
	p.reload(t, saidReloaded)
	require.Contains(t, p.log.String(), `"changed":["log.access"]`, "flag and variable win at a reload, too")
	p.eventually(t, func() bool {
		return strings.Contains(p.log.String(), `"keys":["loops","engine","dns.timeout"]`) // health is given by a flag
	})
	require.Contains(t, p.get("/readyz?verbose"), "   engine has a new value that takes an upgrade or a restart\n")
	require.Contains(t, l4fwd(t, nil, "status", "--admin", p.admin).stdout, "new values that take an upgrade or a restart: loops, engine, dns.timeout\n")
	p.writes(t, text(""))
	p.reload(t, saidReloaded)
	require.NotContains(t, p.get("/readyz?verbose"), "restart")
}

func TestReloadChangesTheLogLevel(t *testing.T) {
	one := greeterNamed(t, "one")
	listen := freePort(t)
	text := "listen: [%q]\nupstream: %q\nlog: {level: %s, access: all}\n"
	p := startedWithFile(t, fmt.Sprintf(text, listen, one, "error"), nil)
	require.NotContains(t, p.log.String(), `"level":"info"`)
	p.writes(t, fmt.Sprintf(text, listen, one, "info"))
	p.reload(t, saidReloaded)

	loadedAt := regexp.MustCompile(`(?m)^l4fwd_config_reload_timestamp_seconds .*$`)
	before := loadedAt.FindString(p.get("/metrics"))
	live, _ := hail(t, listen)
	p.writes(t, fmt.Sprintf(text, listen, one, "error"))
	p.signal(t, syscall.SIGHUP)
	p.eventually(t, func() bool { return loadedAt.FindString(p.get("/metrics")) != before })
	exchange(t, live)
	p.writes(t, fmt.Sprintf(text, listen, one, "info"))
	p.reload(t, saidReloaded)
	require.Equal(t, 2, strings.Count(p.log.String(), saidReloaded), "nothing is logged at info in between")
}
