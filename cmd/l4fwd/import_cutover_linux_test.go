package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// On one machine HAProxy stops listening on SIGUSR1 and keeps its connections, l4fwd takes the port, and back again with a drain, as
// docs/MIGRATING-FROM-HAPROXY.md has it. No open connection is lost on either way.
func TestCutOverFromHAProxyAndBack(t *testing.T) {
	program, err := exec.LookPath("haproxy")
	if err != nil {
		t.Skip("NOT RUN: the way from HAProxy and back: haproxy is not installed: apt-get install haproxy")
	}
	listen, file := freePort(t), filepath.Join(t.TempDir(), "haproxy.cfg")
	text := "global\n maxconn 200\ndefaults\n mode tcp\n timeout connect 5s\n timeout client 1m\n timeout server 1m\n" +
		"listen app\n bind %s\n server s %s\n"
	require.NoError(t, os.WriteFile(file, fmt.Appendf(nil, text, listen, echo(t)), 0o600))

	haproxy := runHAProxy(t, program, file)
	first := connected(t, listen)
	closed(t, listen, func() { _ = haproxy.Signal(syscall.SIGUSR1) }) // a master that has just started may lose one

	imported := l4fwd(t, nil, "import", "haproxy", file)
	require.Equal(t, exitOK, imported.code, imported.stderr)
	p := &process{listen: listen, health: freePort(t), admin: freePort(t), log: &lockedBuffer{}, ended: make(chan struct{})}
	p.cmd = command(t, []string{"L4FWD_DRAIN_LAME_DUCK=0s"}, "serve", "--config", write(t, imported.stdout), "--health", p.health,
		"--admin", p.admin)
	p.start(t)
	second := connected(t, listen)
	first.alive(t)

	drain := l4fwd(t, nil, "drain", "--admin", p.admin)
	require.Equal(t, exitOK, drain.code, drain.stderr)
	closed(t, listen, func() {})
	runHAProxy(t, program, file)
	third := connected(t, listen)
	for _, c := range []client{first, second, third} {
		c.alive(t)
	}
	for _, c := range []client{first, second, third} {
		c.Close()
	}
	<-p.ended // the drain ends with the last connection
}

// runHAProxy starts a master with a worker, as its unit does.
func runHAProxy(t *testing.T, program, file string) *os.Process {
	t.Helper()
	cmd := exec.Command(program, "-W", "-f", file)
	log := &lockedBuffer{}
	cmd.Stdout, cmd.Stderr = log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Signal(syscall.SIGTERM)
		_ = cmd.Wait()
		if t.Failed() {
			t.Log(log.String())
		}
	})
	return cmd.Process
}

// client is a connection to the echo server.
type client struct{ net.Conn }

// connected connects as soon as somebody listens.
func connected(t *testing.T, address string) client {
	t.Helper()
	var c net.Conn
	require.Eventually(t, func() (ok bool) {
		var err error
		c, err = net.Dial("tcp", address)
		return err == nil
	}, 30*time.Second, 10*time.Millisecond)
	t.Cleanup(func() { c.Close() })
	client{c}.alive(t)
	return client{c}
}

// alive sends a byte and gets it back.
func (c client) alive(t *testing.T) {
	t.Helper()
	require.NoError(t, c.SetDeadline(time.Now().Add(30*time.Second)))
	_, err := c.Write([]byte("x"))
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	require.NoError(t, err)
}

// closed waits until nobody listens, and asks for it until then.
func closed(t *testing.T, address string, ask func()) {
	t.Helper()
	require.Eventually(t, func() bool {
		ask()
		c, err := net.Dial("tcp", address)
		if err == nil {
			c.Close()
		}
		return err != nil
	}, 30*time.Second, 50*time.Millisecond)
}
