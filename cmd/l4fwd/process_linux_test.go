package main

import (
	"bytes"
	"fmt"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/logging"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/systemd"
	"github.com/l4fwd/l4fwd/proxy"
)

func TestAPrivilegedPortNamesTheWayOut(t *testing.T) {
	start, err := os.ReadFile("/proc/sys/net/ipv4/ip_unprivileged_port_start")
	require.NoError(t, err)
	first, err := strconv.Atoi(strings.TrimSpace(string(start)))
	require.NoError(t, err)
	setpriv, err := exec.LookPath("setpriv")
	if err != nil || os.Getuid() != 0 || first <= 443 {
		t.Skip("needs root, setpriv and privileged ports")
	}
	p := prepare(t, nil)
	p.cmd.Args = append([]string{setpriv, "--bounding-set=-net_bind_service", p.cmd.Path}, "serve", "--upstream", "example.com:443", "--health", p.health, "--admin", p.admin)
	p.cmd.Path = setpriv
	p.start(t)
	p.exits(t, exitFailure)
	require.Contains(t, p.log.String(), `l4fwd: listener ":443" cannot listen on [::]:443: permission denied`)
	require.Contains(t, p.log.String(), "--listen :8443")
	require.Contains(t, p.log.String(), "CAP_NET_BIND_SERVICE")
}

// manager is the notification socket of a service manager.
func manager(t *testing.T) (path string, messages chan string) {
	t.Helper()
	path = filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	messages = make(chan string, 1000)
	done := make(chan struct{})
	go func() {
		defer close(done)
		b := make([]byte, 4096)
		for {
			n, err := c.Read(b)
			if err != nil {
				return
			}
			messages <- string(b[:n])
		}
	}()
	t.Cleanup(func() { c.Close(); <-done })
	return path, messages
}

// expect waits for a message that contains what.
func expect(t *testing.T, messages chan string, what string) string {
	t.Helper()
	limit := time.After(20 * time.Second)
	for {
		select {
		case m := <-messages:
			if strings.Contains(m, what) {
				return m
			}
		case <-limit:
			t.Fatal("no " + what)
		}
	}
}

func TestTheServiceManagerHearsOfEachState(t *testing.T) {
	path, messages := manager(t)
	p := prepare(t, []string{"NOTIFY_SOCKET=" + path, "WATCHDOG_USEC=400000"}).start(t)
	expect(t, messages, "READY=1")
	expect(t, messages, "STATUS=ready")
	require.Eventually(t, func() bool { // twice in 400 ms, unless the machine is busy
		begun := time.Now()
		for range 4 {
			expect(t, messages, "WATCHDOG=1")
		}
		return time.Since(begun) < 2*time.Second
	}, 20*time.Second, time.Millisecond)
	p.signal(t, os.Interrupt)
	m := expect(t, messages, "STOPPING=1")
	require.Contains(t, m, "STATUS=draining")
	require.Contains(t, m, "EXTEND_TIMEOUT_USEC=310100000", "systemd would kill after 90 s what may drain for 5 min")
	p.exits(t, exitOK)
}

// Type=notify-reload waits for both lines, and takes the second only if it comes after the first.
func TestTheServiceManagerHearsOfAReload(t *testing.T) {
	path, messages := manager(t)
	p := prepare(t, []string{"NOTIFY_SOCKET=" + path}).start(t)
	expect(t, messages, "READY=1")
	p.signal(t, syscall.SIGHUP)
	require.Regexp(t, `^RELOADING=1\nMONOTONIC_USEC=[1-9]\d+\n$`, expect(t, messages, "RELOADING=1"))
	expect(t, messages, "READY=1")
}

func TestReadyDoesNotWaitForTheUpstream(t *testing.T) {
	path, messages := manager(t)
	prepare(t, []string{"NOTIFY_SOCKET=" + path}, "--upstream", "nowhere.example.com:443", "--dns-server", freePort(t)).start(t)
	expect(t, messages, "READY=1")
	expect(t, messages, "STATUS=not ready: upstream: ")
}

// The service manager passes sockets as descriptors 3 and up, and the pid they are meant for, which only a shell knows.
func TestSocketsOfTheServiceManagerAreAdopted(t *testing.T) {
	file := write(t, "listeners: [{name: one, address: ':443'}, {name: two, address: ':444'}]\n")
	p := prepare(t, []string{"LISTEN_FDS=2", "LISTEN_FDNAMES=two:l4fwd.socket"})
	args := []string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", p.cmd.Path, "--config", file, "--health", p.health, "--admin", p.admin, "--upstream", echo(t)}
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	p.cmd.Path, p.cmd.Args = shell, args
	var addrs []string
	for range 2 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		f, err := l.(*net.TCPListener).File()
		require.NoError(t, err)
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, f)
		addrs = append(addrs, l.Addr().String())
		defer l.Close()
		defer f.Close()
	}
	p.start(t)
	p.eventually(t, func() bool { return p.get("/readyz") == "200 ok\n" })
	for _, f := range p.cmd.ExtraFiles {
		f.Close()
	}
	for _, a := range addrs {
		p.listen = a
		exchange(t, p.dial(t))
	}
	metrics := p.get("/metrics")
	require.Contains(t, metrics, `l4fwd_accepted_total{listener="one"} 1`)
	require.Contains(t, metrics, `l4fwd_accepted_total{listener="two"} 1`)
	p.logs(t, `"listener":"two","address":"`+addrs[0]+`","upstream":"127.0.0.1","source":"systemd"`) // by its name
	p.logs(t, `"listener":"two","configured":":444","socket":"`+addrs[0]+`"`)                        // another address is logged
	p.logs(t, `"listener":"one","socket_name":"l4fwd.socket","socket":"`+addrs[1]+`"`)               // another name is logged
	require.Equal(t, 1, strings.Count(p.log.String(), `"socket_name"`), "two has its name")
	require.Regexp(t, `two +`+addrs[0]+` +systemd`, l4fwd(t, nil, "status", "--admin", p.admin).stdout)
	p.logs(t, `"listener":"one","address":"`+addrs[1]+`"`) // the rest in order

	require.NoError(t, os.WriteFile(file, []byte("listeners: [{name: two, address: ':444'}, {name: one, address: ':443'}]\ntimeouts: {idle: 1m}\n"), 0o600))
	p.signal(t, syscall.SIGHUP)
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), `"changed":["listeners","timeouts.idle"]`) })
	for _, a := range addrs {
		p.listen = a
		exchange(t, p.dial(t))
	}
	require.Contains(t, p.get("/metrics"), `l4fwd_accepted_total{listener="two"} 2`, "a reload keeps the sockets")
	require.Regexp(t, `two +`+addrs[0]+` +systemd`, l4fwd(t, nil, "status", "--admin", p.admin).stdout)
}

func TestTooManySockets(t *testing.T) {
	p := prepare(t, []string{"LISTEN_FDS=2"})
	p.cmd.Args = append([]string{"sh", "-c", `LISTEN_PID=$$ exec "$@"`, "sh", p.cmd.Path}, p.cmd.Args[1:]...)
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	p.cmd.Path = shell
	for range 2 {
		l, err := net.Listen("tcp4", "127.0.0.1:0")
		require.NoError(t, err)
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		require.NoError(t, err)
		defer f.Close()
		p.cmd.ExtraFiles = append(p.cmd.ExtraFiles, f)
	}
	p.start(t)
	p.exits(t, exitFailure)
	require.Contains(t, p.log.String(), "the service manager passed 2 sockets, but the configuration has 1 listeners; name as many under listeners, or remove a ListenStream=")
}

// Without a configured listener there is nothing that the socket could differ from, and :443 would be a lie as its name.
func TestASocketNamesTheDefaultListener(t *testing.T) {
	var log bytes.Buffer
	d, _ := newFakeDaemon(t)
	d.log.Close(0)
	d.log = logging.New(logging.Options{Level: "debug", Out: &log})
	d.sockets.unnamed = true
	everywhere, err := config.ParseListen(":443")
	require.NoError(t, err)
	cfg := config.Config{Listeners: []config.Listener{{Name: ":443", Address: everywhere}}}
	listeners := []proxy.Listener{{Name: ":443", Addr: netip.MustParseAddrPort("[::]:443")}}
	addr := netip.MustParseAddrPort("10.0.0.1:8443")
	require.NoError(t, d.sockets.assign(&cfg, listeners, []systemd.Socket{{Name: "l4fwd.socket", FD: 3, Addr: addr}}, d.log.Logger))
	d.log.Close(time.Second)
	require.Equal(t, []proxy.Listener{{Name: "10.0.0.1:8443", Addr: addr, FD: 3}}, listeners)
	d.settings.Store(&cfg)
	require.Equal(t, map[string]string{"10.0.0.1:8443": "systemd"}, d.State().Sources)
	require.Empty(t, log.String())
}

func TestAServiceManagerThatCannotBeReachedIsLogged(t *testing.T) {
	gone := t.TempDir() + "/gone"
	p := started(t, []string{"NOTIFY_SOCKET=" + gone})
	p.signal(t, os.Interrupt)
	p.exits(t, exitOK)
	require.Equal(t, 1, strings.Count(p.log.String(), `"NOTIFY_SOCKET":"`+gone+`"`), "once: %s", p.log)
}

// withFiles is a process that may open so many files, ready.
func withFiles(t *testing.T, files string) *process {
	t.Helper()
	p := prepare(t, nil)
	p.cmd.Args = append([]string{"sh", "-c", `ulimit -n ` + files + `; exec "$@"`, "sh", p.cmd.Path, "serve", "--loops", "2"}, p.cmd.Args[2:]...)
	shell, err := exec.LookPath("sh")
	require.NoError(t, err)
	p.cmd.Path = shell
	p.start(t).ready(t)
	p.logs(t, `"msg":"the limit of open files is low`)
	return p
}

// With 24 files all of them went to clients: the health port did not answer, and nothing was logged.
func TestWithVeryFewFilesTheHealthPortAnswers(t *testing.T) {
	p := withFiles(t, "24")
	for range 12 {
		if c, err := net.Dial("tcp", p.listen); err == nil {
			t.Cleanup(func() { c.Close() })
			_, _ = c.Write([]byte("x"))
		}
	}
	for range 5 {
		p.ready(t)
	}
	p.eventually(t, func() bool { return p.metricIfAny("l4fwd_accept_pauses_total") >= 0 })
}

// As many clients are served as limits.max_connections promises, and the others are refused rather than kept waiting.
func TestWithFewFilesThePromiseIsKept(t *testing.T) {
	p := withFiles(t, "64")
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), `"msg":"started"`) })
	promised := budgetOf(64, 2, 1).connections(0)
	require.Contains(t, p.log.String(), fmt.Sprintf(`"max_connections":%d`, promised))
	for range promised {
		exchange(t, p.dial(t))
	}
	for range 12 {
		if c, err := net.Dial("tcp", p.listen); err == nil {
			_, err = c.Read(make([]byte, 1))
			require.Error(t, err)
			c.Close()
		}
	}
	p.ready(t)
	p.eventually(t, func() bool {
		return strings.Contains(p.get("/metrics"), `l4fwd_refused_total{listener="`+p.listen+`",reason="limit_connections"} 12`)
	})
	require.Zero(t, p.metricIfAny("l4fwd_accept_pauses_total"))
}
