package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// failAt names, in the environment, a file with the step at which a process is to fail: who, whether it sends or has received,
// which message, and what it does then, as in "new sent ready kill". No file: none fails.
const failAt = "TEST_UPGRADE_FAIL"

// failpoint returns what is called at each message.
func failpoint(successor bool) func(sent bool, k handoff.Kind) error {
	path := os.Getenv(failAt)
	if path == "" {
		return nil
	}
	readyTime = 3 * time.Second
	who := "old"
	if successor {
		who = "new"
	}
	return func(sent bool, k handoff.Kind) error {
		way := "received"
		if sent {
			way = "sent"
		}
		text, _ := os.ReadFile(path)
		what, meant := strings.CutPrefix(string(text), fmt.Sprintf("%s %s %s ", who, way, k))
		if !meant {
			return nil
		}
		_ = os.Remove(path) // once
		switch what {
		case "kill":
			_ = syscall.Kill(os.Getpid(), syscall.SIGKILL)
		case "stop":
			_ = syscall.Kill(os.Getpid(), syscall.SIGSTOP)
			time.Sleep(2 * time.Second) // the signal is on its way: nothing may be sent before it is there
		case "break":
			return errors.New("broken by the test")
		}
		return nil
	}
}
