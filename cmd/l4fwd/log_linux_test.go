package main

import (
	"bufio"
	"net"
	"os"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// Of 400 access lines 216 were lost: the log shared its pipe with a process that had made it non-blocking.
func TestANonBlockingStderrLosesNoLine(t *testing.T) {
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	p := prepare(t, []string{"L4FWD_LOG_ACCESS=all"})
	p.cmd.Stderr = w
	require.NoError(t, p.cmd.Start())
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.ended })
	lines := bufio.NewScanner(r)
	require.True(t, lines.Scan())                              // it has looked at its stderr
	require.NoError(t, syscall.SetNonblock(int(w.Fd()), true)) // the flag belongs to the pipe's end, which both have
	w.Close()
	p.eventually(t, func() bool { return p.get("/readyz") == "200 ok\n" })
	const clients = 400 // whose lines are more than the 64 KiB that a pipe holds
	for range clients {
		c, err := net.Dial("tcp", p.listen)
		require.NoError(t, err)
		exchange(t, c)
		require.NoError(t, c.Close())
	}
	p.eventually(t, func() bool {
		return strings.Contains(p.get("/metrics"), `reason="client_closed",upstream="127.0.0.1"} 400`)
	})
	p.signal(t, syscall.SIGTERM)
	access := 0
	for lines.Scan() {
		if strings.Contains(lines.Text(), `"msg":"access"`) {
			access++
		}
	}
	require.Equal(t, clients, access)
	p.exits(t, exitOK)
}

// On a full disk every line was lost, while l4fwd_log_dropped_total stayed at 0.
func TestLinesLostOnAFullDiskAreCounted(t *testing.T) {
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	defer full.Close()
	p := prepare(t, []string{"L4FWD_LOG_ACCESS=all", "L4FWD_LOG_FORMAT=json"})
	p.cmd.Stderr = full
	require.NoError(t, p.cmd.Start())
	go func() { _ = p.cmd.Wait(); close(p.ended) }()
	t.Cleanup(func() { _ = p.cmd.Process.Kill(); <-p.ended })
	p.eventually(t, func() bool { return p.metricIfAny("l4fwd_log_dropped_total") > 0 })
	c := p.dial(t)
	exchange(t, c)
	p.signal(t, syscall.SIGTERM)
	require.NoError(t, c.SetDeadline(time.Now().Add(20*time.Second)))
	c.Close()
	p.exits(t, exitOK)
}
