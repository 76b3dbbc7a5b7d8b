package main

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/bench/load"
	"github.com/l4fwd/l4fwd/bench/netns"
	"github.com/l4fwd/l4fwd/bench/origin"
	"github.com/l4fwd/l4fwd/bench/sock"
)

// child is the bench's own binary in another role, spoken to in lines of JSON.
type child struct {
	cmd *exec.Cmd
	in  io.WriteCloser
	enc *json.Encoder
	dec *json.Decoder
}

// startChild starts a role in a network namespace, and in a process group of its own, so that a terminal's interrupt
// reaches the harness alone.
func startChild(ctx context.Context, in *netns.Space, role string, args ...string) (*child, error) {
	self, err := os.Executable()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	c := &child{cmd: exec.CommandContext(ctx, self, args...)}
	c.cmd.Env = append(os.Environ(), roleEnv+"="+role, sock.ChildEnv)
	c.cmd.Stderr = os.Stderr
	c.cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
	if c.in, err = c.cmd.StdinPipe(); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	out, err := c.cmd.StdoutPipe()
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	if err := in.Do(c.cmd.Start); err != nil {
		return nil, fmt.Errorf("start %s: %w", role, err)
	}
	c.enc, c.dec = json.NewEncoder(c.in), json.NewDecoder(out)
	return c, nil
}

// stop ends the child, which ends by itself once its standard input does.
func (c *child) stop() {
	c.in.Close()
	t := time.AfterFunc(5*time.Second, func() { _ = c.cmd.Process.Kill() })
	defer t.Stop()
	_ = c.cmd.Wait()
}

func startOrigin(ctx context.Context, in *netns.Space, role string, addrs []string) (*child, origin.Ready, error) {
	var ready origin.Ready
	c, err := startChild(ctx, in, role, addrs...)
	if err != nil {
		return nil, ready, err
	}
	if err := c.dec.Decode(&ready); err != nil {
		c.stop()
		return nil, ready, fmt.Errorf("start origin: %w", err)
	}
	return c, ready, nil
}

// ask sends the load a command and waits for its reply, which takes at most patience. A load that hangs shows its stacks.
func (c *child) ask(cmd load.Command, patience time.Duration) (load.Reply, error) {
	t := time.AfterFunc(patience, func() {
		_ = c.cmd.Process.Signal(syscall.SIGQUIT)
		time.Sleep(time.Second)
		_ = c.cmd.Process.Kill()
	})
	defer t.Stop()
	var r load.Reply
	if err := c.enc.Encode(cmd); err != nil {
		return r, fmt.Errorf("command the load: %w", err)
	}
	if err := c.dec.Decode(&r); err != nil {
		return r, fmt.Errorf("hear from the load within %v: %w", patience, err)
	}
	return r, nil
}
