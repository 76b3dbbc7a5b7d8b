package main

import (
	"errors"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// failAt names, in the environment, a file with the step at which a process is to fail: who, whether it sends or has received,
// which message, and what it does then, as in "new sent ready kill"; with "other" it does it to the other process. No file: none fails.
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
		pid := os.Getpid()
		if cut, other := strings.CutSuffix(what, "-other"); other {
			what, pid = cut, otherProcess(successor)
		}
		switch what {
		case "kill":
			_ = syscall.Kill(pid, syscall.SIGKILL)
			awaitState(pid, "ZX") // nothing may be sent before it has ended
		case "stop":
			goesOn := make(chan os.Signal, 1)
			signal.Notify(goesOn, syscall.SIGCONT)
			_ = syscall.Kill(pid, syscall.SIGSTOP)
			if pid != os.Getpid() {
				awaitState(pid, "T")
			} else {
				<-goesOn // the signal to stop is on its way: nothing may be sent before it is there
			}
		case "break":
			return errors.New("broken by the test")
		}
		return nil
	}
}

// otherProcess is the old process of the new one, and the other way round.
func otherProcess(successor bool) int {
	if successor {
		return os.Getppid()
	}
	return childOf(os.Getpid())
}

// childOf is the child of a process that has one; 0: it has none.
func childOf(parent int) int {
	files, _ := filepath.Glob("/proc/[0-9]*/stat")
	for _, f := range files {
		pid, _ := strconv.Atoi(filepath.Base(filepath.Dir(f)))
		if _, p := processState(pid); p == parent {
			return pid
		}
	}
	return 0
}

// processState returns the state of a process, as ps(1) has it, and its parent. One that is gone has the state X.
func processState(pid int) (state string, parent int) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	_, rest, found := strings.Cut(string(text), ") ")
	if f := strings.Fields(rest); err == nil && found && len(f) > 1 {
		parent, _ = strconv.Atoi(f[1])
		return f[0], parent
	}
	return "X", 0
}

// awaitState waits until a process is in one of some states, or no longer than any deadline of the protocol.
func awaitState(pid int, states string) {
	for range 10_000 {
		if s, _ := processState(pid); strings.Contains(states, s) {
			return
		}
		time.Sleep(time.Millisecond)
	}
}
