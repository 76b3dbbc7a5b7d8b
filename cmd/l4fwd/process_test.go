package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/testport"
)

// process is a running l4fwd in front of an echo server.
type process struct {
	cmd    *exec.Cmd
	log    *lockedBuffer
	listen string
	health string
	admin  string
	ended  chan struct{}
}

type lockedBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *lockedBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// take returns what was written since the last time, and forgets it.
func (l *lockedBuffer) take() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	text := l.b.String()
	l.b.Reset()
	return text
}

// freePort returns an address to listen on.
func freePort(t *testing.T) string { t.Helper(); return testport.Free(t) }

// serveEach runs a server until the test ends, and returns its address.
func serveEach(t *testing.T, serve func(net.Conn)) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			wg.Go(func() {
				defer c.Close()
				serve(c)
			})
		}
	})
	t.Cleanup(func() { l.Close(); wg.Wait() })
	return l.Addr().String()
}

// echo runs a server that sends back what it gets.
func echo(t *testing.T) string {
	t.Helper()
	return serveEach(t, func(c net.Conn) { _, _ = io.Copy(c, c) })
}

// prepare chooses the addresses of a process that forwards to an echo server.
func prepare(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{listen: freePort(t), health: freePort(t), admin: freePort(t), log: &lockedBuffer{}, ended: make(chan struct{})}
	if !slices.Contains(args, "--upstream") {
		args = append([]string{"--upstream", echo(t)}, args...)
	}
	for flag, addr := range map[string]string{"--listen": p.listen, "--health": p.health, "--admin": p.admin} {
		if !slices.Contains(args, flag) { // else the test has its own
			args = append([]string{flag, addr}, args...)
		}
	}
	args = append([]string{"serve"}, args...)
	p.cmd = command(t, append([]string{"L4FWD_DRAIN_LAME_DUCK=100ms"}, env...), args...)
	return p
}

// start runs it until the test ends.
func (p *process) start(t *testing.T) *process {
	t.Helper()
	p.cmd.Stderr = p.log
	require.NoError(t, p.cmd.Start())
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() {
		_ = p.cmd.Process.Kill()
		<-p.ended
		if t.Failed() {
			t.Log(p.log.String())
		}
	})
	return p
}

func started(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := prepare(t, env, args...).start(t)
	p.eventually(t, func() bool { return p.get("/readyz") == "200 ok\n" })
	return p
}

// eventually waits for a condition. seen are pointers to what it looks at, for the failure.
func (p *process) eventually(t *testing.T, ok func() bool, seen ...any) {
	t.Helper()
	require.Eventually(t, ok, 30*time.Second, 10*time.Millisecond, "seen: %s, log: %s", asJSON{seen}, p.log)
}

// asJSON prints a value as it is when it is printed.
type asJSON struct{ v any }

func (j asJSON) String() string {
	b, err := json.Marshal(j.v)
	if err != nil {
		return err.Error()
	}
	return string(b)
}

// get asks the health port; empty: it does not answer.
func (p *process) get(path string) string {
	c := http.Client{Timeout: 20 * time.Second, Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := c.Get("http://" + p.health + path)
	if err != nil {
		return ""
	}
	defer resp.Body.Close()
	body, _ := io.ReadAll(resp.Body)
	return fmt.Sprintf("%d %s", resp.StatusCode, body)
}

// logs waits for a text in the log, whose lines gather for a moment before they are written.
func (p *process) logs(t *testing.T, text string) {
	t.Helper()
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), text) })
}

func (p *process) dial(t *testing.T) net.Conn {
	t.Helper()
	c, err := net.Dial("tcp", p.listen)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	return c
}

// accepts reports whether a client can connect.
func (p *process) accepts() bool {
	c, err := net.Dial("tcp", p.listen)
	if err != nil {
		return false
	}
	return c.Close() == nil
}

// exchange sends a word through and wants it back.
func exchange(t *testing.T, c net.Conn) {
	t.Helper()
	_, err := io.WriteString(c, "hello")
	require.NoError(t, err)
	got := make([]byte, 5)
	_, err = io.ReadFull(c, got)
	require.NoError(t, err)
	require.Equal(t, "hello", string(got))
}

func (p *process) signal(t *testing.T, s os.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(s))
}

func (p *process) exits(t *testing.T, code int) {
	t.Helper()
	select {
	case <-p.ended:
		require.Equal(t, code, p.cmd.ProcessState.ExitCode(), p.log)
	case <-time.After(20 * time.Second):
		t.Fatal("still runs: " + p.log.String())
	}
}

func TestServeForwardsAndDrains(t *testing.T) {
	p := started(t, nil)
	c := p.dial(t)
	exchange(t, c)
	require.Equal(t, "200 ok\n", p.get("/livez"))
	require.Contains(t, p.get("/metrics"), `l4fwd_connections_active{listener="`+p.listen+`",upstream="127.0.0.1"} 1`)

	for _, s := range []os.Signal{syscall.SIGHUP, syscall.SIGPIPE} {
		p.signal(t, s)
	}
	p.eventually(t, func() bool {
		return bytes.Contains([]byte(p.log.String()), []byte(`"msg":"reloaded","by":"SIGHUP","changed":[]`))
	})
	exchange(t, c)

	p.signal(t, syscall.SIGTERM)
	p.eventually(t, func() bool { return p.get("/readyz") != "200 ok\n" })
	require.Contains(t, p.get("/readyz"), "503 ")
	require.Contains(t, p.get("/readyz"), "draining: a drain has begun")
	p.eventually(t, func() bool {
		c, err := net.Dial("tcp", p.listen)
		if err == nil {
			c.Close()
		}
		return err != nil
	})
	exchange(t, c) // what is open goes on
	require.Equal(t, "200 ok\n", p.get("/livez"))
	require.NoError(t, c.Close())
	p.exits(t, exitOK)
	require.Contains(t, p.log.String(), `"outcome":"complete"`)
}

// log.level: warn once switched the access log off.
func TestTheAccessLogHasItsOwnSwitch(t *testing.T) {
	p := started(t, []string{"L4FWD_LOG_ACCESS=all", "L4FWD_LOG_LEVEL=error"})
	c := p.dial(t)
	exchange(t, c)
	require.NoError(t, c.Close())
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), `"msg":"access"`) })
	require.NotContains(t, p.log.String(), `"msg":"started"`)
	p.signal(t, syscall.SIGTERM)
	p.exits(t, exitOK)
}

func TestLinesOfConnectionsThatLast(t *testing.T) {
	p := started(t, []string{"L4FWD_LOG_STARTS=true", "L4FWD_LOG_PROGRESS=100ms"})
	c := p.dial(t)
	exchange(t, c)
	progress := regexp.MustCompile(`"msg":"access progress","id":1,.*"bytes_up":5,"bytes_down":5,`)
	p.eventually(t, func() bool {
		return strings.Contains(p.log.String(), `"msg":"access start"`) && len(progress.FindAllString(p.log.String(), -1)) > 1
	})
}

func TestLameDuckStillAccepts(t *testing.T) {
	p := started(t, []string{"L4FWD_DRAIN_LAME_DUCK=2s"})
	p.signal(t, syscall.SIGTERM)
	p.eventually(t, func() bool { return p.get("/readyz") != "200 ok\n" })
	c := p.dial(t)
	exchange(t, c)
	require.NoError(t, c.Close())
	p.exits(t, exitOK)
}

func TestDrainTimeoutClosesWhatIsOpenAndExits0(t *testing.T) {
	p := started(t, nil, "--drain-timeout", "300ms")
	c := p.dial(t)
	exchange(t, c)
	p.signal(t, syscall.SIGINT)
	p.exits(t, exitOK)
	_, err := c.Read(make([]byte, 1))
	require.Error(t, err)
	require.Contains(t, p.log.String(), `"outcome":"timeout","closed":1`)
	require.Contains(t, p.log.String(), `"reason":"drain_timeout"`)
}

func TestASecondSignalEndsAtOnce(t *testing.T) {
	for name, lameDuck := range map[string]string{"while a lame duck": "1h", "while waiting": "1ms"} {
		t.Run(name, func(t *testing.T) {
			p := started(t, []string{"L4FWD_DRAIN_LAME_DUCK=" + lameDuck})
			c := p.dial(t)
			exchange(t, c)
			p.signal(t, syscall.SIGTERM)
			p.eventually(t, func() bool { return p.get("/readyz") != "200 ok\n" })
			if name == "while waiting" {
				p.eventually(t, func() bool { return !p.accepts() })
			}
			p.signal(t, syscall.SIGINT)
			p.exits(t, exitOK)
			require.Contains(t, p.log.String(), "cut short by a second signal")
			require.Contains(t, p.log.String(), `"reason":"operator"`)
		})
	}
}

func TestStatusAndDrainVerbs(t *testing.T) {
	none := freePort(t)
	o := l4fwd(t, nil, "status", "--admin", none)
	require.Equal(t, exitNoDaemon, o.code)
	require.Contains(t, o.stderr, "l4fwd: no daemon answers on "+none+": connection refused; is it running")
	require.Equal(t, exitFailure, l4fwd(t, nil, "drain", "--admin", none).code)

	p := started(t, nil)
	o = l4fwd(t, nil, "status", "--admin", p.admin)
	require.Equal(t, exitOK, o.code, o.stderr)
	require.Contains(t, o.stdout, "ready\n")
	require.Contains(t, o.stdout, p.listen)
	o = l4fwd(t, []string{"L4FWD_ADMIN_ADDRESS=" + p.admin}, "status", "--output", "json")
	require.Equal(t, exitOK, o.code, o.stderr)
	require.Contains(t, o.stdout, `"ready": true`)
	for verb, code := range map[string]int{"status": exitNoDaemon, "drain": exitFailure} {
		require.Equal(t, outcome{code, "", "l4fwd: what answers at " + p.health + " is not l4fwd's admin address; " +
			"is this health.address? " + verb + " needs admin.address, default 127.0.0.1:9901\n"}, l4fwd(t, nil, verb, "--admin", p.health))
	}

	c := p.dial(t)
	exchange(t, c)
	o = l4fwd(t, nil, "drain", "--admin", p.admin)
	require.Equal(t, exitOK, o.code, o.stderr)
	require.Equal(t, "draining\n", o.stdout)
	p.eventually(t, func() bool { return p.get("/readyz") != "200 ok\n" })
	p.eventually(t, func() bool { // it is not ready a moment before it knows until when
		o = l4fwd(t, nil, "status", "--admin", p.admin)
		return strings.Contains(o.stdout, "  begun ")
	})
	require.Equal(t, exitFailure, o.code)
	require.Regexp(t, `^DRAINING, 1 connections open\n  begun \S+Z by the admin API; what is open at\s+\S+Z is closed\n`, o.stdout)
	require.Equal(t, "a drain runs already\n", l4fwd(t, nil, "drain", "--admin", p.admin).stdout)
	require.NoError(t, c.Close())
	p.exits(t, exitOK)
}

func TestAdminOverAUnixSocket(t *testing.T) {
	path := t.TempDir() + "/admin.sock"
	p := started(t, nil, "--admin", "unix:"+path)
	o := l4fwd(t, nil, "status", "--admin", "unix:"+path)
	require.Equal(t, exitOK, o.code, o.stderr)
	p.signal(t, syscall.SIGTERM)
	p.exits(t, exitOK)
	require.NoFileExists(t, path)
	o = l4fwd(t, nil, "status", "--admin", "unix:"+path)
	require.Equal(t, exitNoDaemon, o.code)
}

func TestAnUnresolvableUpstreamIsNotReadyButServes(t *testing.T) {
	p := prepare(t, nil, "--upstream", "nowhere.example.com:443", "--dns-server", freePort(t)).start(t)
	p.eventually(t, func() bool { return p.get("/livez") == "200 ok\n" })
	require.Regexp(t, `^503 upstream: .*nowhere\.example\.com`, p.get("/readyz"))
	p.eventually(t, func() bool { return bytes.Contains([]byte(p.log.String()), []byte(`"msg":"not ready"`)) })
	o := l4fwd(t, nil, "status", "--admin", p.admin)
	require.Equal(t, exitFailure, o.code)
	require.Regexp(t, `^NOT READY\n  upstream: .*nowhere\.example\.com`, o.stdout)
	p.signal(t, syscall.SIGTERM)
	p.exits(t, exitOK)
}
