package main

import (
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// A SIGHUP in the first milliseconds ended the process: a configuration tool that restarts and then reloads sends one. The
// runtime's trace shows when the signal is taken.
func TestASIGHUPRightAfterTheStartIsAReload(t *testing.T) {
	p := prepare(t, []string{"GODEBUG=inittrace=1"}).start(t)
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), "init os/signal ") })
	for taken := false; !taken; { // without a pause: the process is on its way
		select {
		case <-p.ended:
			t.Fatal("ended: " + p.log.String())
		default:
			taken = strings.Contains(p.log.String(), "/internal/hangup ")
		}
	}
	p.signal(t, syscall.SIGHUP)
	require.NotContains(t, p.log.String()[:max(strings.Index(p.log.String(), "/internal/hangup "), 0)], "init net/http ", "it is taken before the large packages are there")
	p.eventually(t, func() bool { return strings.Contains(p.log.String(), `"msg":"reloaded","by":"SIGHUP"`) })
	p.signal(t, os.Interrupt)
	p.exits(t, exitOK)
}
