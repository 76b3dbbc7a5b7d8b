package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"os/signal"
	"sync"
	"syscall"
	"time"
)

const (
	tailLines    = 40  // of l4fwd's log that a failed demo shows
	accessBuffer = 256 // lines that wait for a reader; more are dropped, since l4fwd must not wait for a demo
)

// child is a running l4fwd and what it says.
type child struct {
	cmd    *exec.Cmd
	access chan accessLine // a line for each connection that ended
	exited chan struct{}   // closed once it is gone and its last line is read
	err    error           // of the exit; valid once exited is closed

	mu   sync.Mutex
	last []string // the newest tailLines of its log
}

// startChild runs binary in a process group of its own: Ctrl-C in a terminal goes to all of the demo's group,
// and to l4fwd a second signal means to stop draining.
func startChild(binary string, args, env []string) (*child, error) {
	c := &child{access: make(chan accessLine, accessBuffer), exited: make(chan struct{})}
	c.cmd = exec.Command(binary, args...)
	c.cmd.Env = env
	c.cmd.SysProcAttr = processAttributes()
	r, w := io.Pipe()
	c.cmd.WaitDelay = time.Second     // a process that an upgrade left behind may hold the pipe
	c.cmd.Stdout, c.cmd.Stderr = w, w // one writer: exec serialises the two and loses no half line to either
	if err := c.cmd.Start(); err != nil {
		return nil, fmt.Errorf("start l4fwd: %w", err)
	}
	var reading sync.WaitGroup
	reading.Go(func() { c.read(r) })
	go func() {
		defer close(c.exited)
		c.err = c.cmd.Wait()
		w.Close()
		reading.Wait()
	}()
	return c, nil
}

// read keeps the log's tail and passes access lines on, until r ends.
func (c *child) read(r *io.PipeReader) {
	br := bufio.NewReader(r)
	for {
		line, err := br.ReadString('\n')
		if line != "" {
			c.take(line)
		}
		if err != nil {
			return
		}
	}
}

// take looks at one line of the log.
func (c *child) take(line string) {
	c.mu.Lock()
	c.last = append(c.last, line)
	if len(c.last) > tailLines {
		c.last = c.last[1:]
	}
	c.mu.Unlock()
	if a, ok := parseAccess(line); ok {
		select {
		case c.access <- a:
		default:
		}
	}
}

// tail is the end of the log. A nil child has none.
func (c *child) tail() []string {
	if c == nil {
		return nil
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]string(nil), c.last...)
}

// state says how it ended; only once exited is closed.
func (c *child) state() string {
	if c.err != nil {
		return c.err.Error()
	}
	return "exit status 0"
}

// stop asks it to drain, waits for it, and kills it after timeout. An impatient reader's second Ctrl-C is passed
// on. Another exit status than 0 is an error.
func (c *child) stop(timeout time.Duration) error {
	// The whole group: `l4fwd upgrade`, tried by hand, leaves a successor there.
	group := -c.cmd.Process.Pid
	_ = syscall.Kill(group, syscall.SIGTERM)
	again := make(chan os.Signal, 1)
	signal.Notify(again, os.Interrupt, syscall.SIGTERM)
	defer signal.Stop(again)
	expired := time.After(timeout)
	for {
		select {
		case <-c.exited:
			if c.err != nil {
				return fmt.Errorf("l4fwd after SIGTERM: %w", c.err)
			}
			return nil
		case <-again: // to l4fwd, too, a second signal means: at once
			_ = syscall.Kill(group, syscall.SIGTERM)
		case <-expired:
			_ = syscall.Kill(group, syscall.SIGKILL)
			<-c.exited
			return fmt.Errorf("l4fwd had not drained after %s and was killed", timeout)
		}
	}
}
