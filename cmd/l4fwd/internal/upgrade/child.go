package upgrade

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// Variable names, in the environment of the new process, the descriptor of its end of the pair of sockets.
const Variable = "L4FWD_HANDOVER_FD"

// firstExtra is the descriptor of the first of exec.Cmd.ExtraFiles.
const firstExtra = 3

// ownOnly are variables that are about this process: the service manager's sockets and the pid of the watchdog. Without a pid
// the watchdog is the new process's.
var ownOnly = []string{Variable, "LISTEN_PID", "LISTEN_PIDFDID", "LISTEN_FDS", "LISTEN_FDNAMES", "WATCHDOG_PID"}

// child is the new process while it has not taken over.
type child struct {
	cmd   *exec.Cmd
	ended chan struct{} // closed once it has ended
}

// startChild starts the binary that is on disk now with the flags and the environment of this process.
func startChild() (*child, *handoff.Giver, error) {
	if err := executable(program); err != nil {
		return nil, nil, err
	}
	g, theirs, err := handoff.Pair()
	if err != nil {
		return nil, nil, err
	}
	defer theirs.Close()
	cmd := &exec.Cmd{
		Path: program, Args: os.Args, Stdin: os.Stdin, Stdout: os.Stdout, Stderr: os.Stderr, ExtraFiles: []*os.File{theirs},
		Env: append(environment(os.Environ()), fmt.Sprintf("%s=%d", Variable, firstExtra)),
	}
	if err := cmd.Start(); err != nil {
		_ = g.Close()
		return nil, nil, notStarted(program, err)
	}
	c := &child{cmd: cmd, ended: make(chan struct{})}
	go func() {
		defer close(c.ended)
		_ = cmd.Wait() // how it ended is asked of ProcessState
	}()
	return c, g, nil
}

// environment is that of this process without what is about this process only.
func environment(all []string) []string {
	return slices.DeleteFunc(slices.Clone(all), func(v string) bool {
		name, _, _ := strings.Cut(v, "=")
		return slices.Contains(ownOnly, name)
	})
}

// plain is an error of a start without the path, which is said already.
func plain(err error) error {
	var path *os.PathError
	if errors.As(err, &path) {
		return path.Err
	}
	return err
}

// pid returns the process number of the child, which is no other process's as long as nobody has waited for the child.
func (c *child) pid() int { return c.cmd.Process.Pid }

// halt stops the new process, and returns once it does nothing any more, or after a moment where that cannot be seen.
func (c *child) halt() {
	_ = c.cmd.Process.Signal(syscall.SIGSTOP) // it may have ended
	for range 100 {
		stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", c.pid()))
		_, after, _ := strings.Cut(string(stat), ") ")
		if err != nil || strings.HasPrefix(after, "T") || strings.HasPrefix(after, "Z") { // proc_pid_stat(5)
			return
		}
		time.Sleep(time.Millisecond)
	}
}

// lastWords is how long a new process that has closed the channel may take to end by itself. Nothing stands still by then, or
// the process ends at once.
const lastWords = time.Second

// failed ends the new process, and returns why the upgrade failed, in the operator's words. On return the new process has ended: no
// socket has two readers. What it has sent can still be read from the channel.
func (c *child) failed(cause error) error {
	var refused *handoff.RefusedError
	byItself := errors.As(cause, &refused) || handoff.Ended(cause)
	if byItself {
		select {
		case <-c.ended:
		case <-time.After(lastWords):
			byItself = false
		}
	}
	_ = c.cmd.Process.Kill() // it may have ended already
	<-c.ended
	switch {
	case refused != nil:
		return errors.New(refused.Why)
	case errors.Is(cause, os.ErrDeadlineExceeded):
		return fmt.Errorf("the new process (pid %d) was ended: %w; it did not answer in time: is the file at %s l4fwd? Its last lines in the log may say more", c.pid(), cause, program)
	case !handoff.Ended(cause):
		return fmt.Errorf("the new process (pid %d) was ended: %w", c.pid(), cause)
	case byItself:
		return fmt.Errorf("the new process (pid %d) ended before it had taken over: %s; its last lines in the log may say why, and if there are none: is the file at %s l4fwd?", c.pid(), c.cmd.ProcessState, program)
	}
	return fmt.Errorf("the new process (pid %d) closed the channel and was ended", c.pid())
}
