package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/l4fwd/l4fwd/bench/standin"
	"github.com/l4fwd/l4fwd/bench/testport"
)

const (
	command = "github.com/l4fwd/l4fwd/cmd/l4fwd"

	readyTimeout = 15 * time.Second // from exec to /readyz 200
	drainTimeout = 10 * time.Second // what l4fwd gives open connections at the end
	killAfter    = 5 * time.Second  // beyond its drain, before it is killed
)

// stack is everything the demo runs. Owned by run; close ends it all.
type stack struct {
	dir    string // temporary: the binary, the authority
	caFile string
	origin *standin.Server
	child  *child
	listen string // where l4fwd accepts clients
	health string
	admin  string

	patience time.Duration
}

// setUp builds and starts the stack, step by step. On failure nothing is left.
func setUp(ctx context.Context, p *paint, o options) (*stack, error) {
	dir, err := os.MkdirTemp("", "l4fwd-demo-")
	if err != nil {
		return nil, err
	}
	s := &stack{dir: dir, caFile: filepath.Join(dir, "ca.pem"), patience: o.patience}
	if err := s.start(ctx, p, o); err != nil {
		if s.child != nil && !errors.Is(err, errInterrupted) {
			p.log(s.child.tail())
		}
		_ = s.close() // the first failure is the one to report
		return nil, err
	}
	return s, nil
}

// start fills s. What it has started is in s, also when it fails.
func (s *stack) start(ctx context.Context, p *paint, o options) error {
	began := time.Now()
	binary := o.binary
	if binary == "" {
		binary = filepath.Join(s.dir, "l4fwd")
		fmt.Fprintf(p.w, "  %s\n", p.dim("building ./cmd/l4fwd; the first time takes a minute or two"))
		if err := build(ctx, binary); err != nil {
			return err
		}
		p.step("built %s (%s)", "./cmd/l4fwd", short(time.Since(began)))
	} else {
		p.step("using %s", binary)
	}

	origin, err := standin.Start(standin.Options{Pace: o.pace})
	if err != nil {
		return fmt.Errorf("start the stand-in: %w", err)
	}
	s.origin = origin
	if err := os.WriteFile(s.caFile, origin.CAPEM(), 0o644); err != nil {
		return err
	}
	p.step("stand-in for Azure OpenAI on %s", origin.Addr())

	began = time.Now()
	for _, addr := range []*string{&s.listen, &s.health, &s.admin} {
		if *addr, err = testport.Find("127.0.0.1"); err != nil { // another process may take it before l4fwd does, which then says so
			return err
		}
	}
	s.child, err = startChild(binary, s.args(), environment())
	if err != nil {
		return err
	}
	if err := s.ready(ctx); err != nil {
		return err
	}
	p.step("l4fwd ready on %s → %s (pid %d, %s)", s.listen, origin.Addr(), s.child.cmd.Process.Pid, short(time.Since(began)))
	return nil
}

// build compiles l4fwd. Its path is the package's, so that any directory of the module will do.
func build(ctx context.Context, output string) error {
	cmd := exec.CommandContext(ctx, "go", "build", "-o", output, command)
	cmd.Env = append(os.Environ(), "GOOS="+runtime.GOOS, "GOARCH="+runtime.GOARCH)
	out, err := cmd.CombinedOutput()
	if err == nil {
		return nil
	}
	if ctx.Err() != nil {
		return errInterrupted
	}
	if text := strings.TrimSpace(string(out)); text != "" {
		return fmt.Errorf("build l4fwd:\n%s", text)
	}
	return fmt.Errorf("build l4fwd: %w", err)
}

// args is the command line of l4fwd.
func (s *stack) args() []string {
	return []string{"serve",
		"--upstream", s.origin.Addr().String(), "--listen", s.listen,
		"--health", s.health, "--admin", s.admin, "--log-format", "json"}
}

// environment is the caller's without settings of l4fwd, which would make this a demo of something else, and
// with those of the demo. Metadata is off so that a demo on a cloud instance does nothing to the instance.
func environment() []string {
	var env []string
	for _, kv := range os.Environ() {
		if !strings.HasPrefix(kv, "L4FWD_") {
			env = append(env, kv)
		}
	}
	return append(env,
		"L4FWD_LOG_ACCESS=all",
		"L4FWD_DRAIN_LAME_DUCK=0s",
		"L4FWD_DRAIN_TIMEOUT="+drainTimeout.String(),
		"AWS_EC2_METADATA_DISABLED=true",
	)
}

// ready waits until l4fwd says that it is.
func (s *stack) ready(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, readyTimeout)
	defer cancel()
	last := "no answer"
	for {
		status, body, err := get(ctx, "http://"+s.health+"/readyz")
		switch {
		case err == nil && status == http.StatusOK:
			return nil
		case err == nil:
			last = fmt.Sprintf("%d %s", status, strings.Join(strings.Fields(string(body)), " "))
		}
		select {
		case <-time.After(20 * time.Millisecond):
		case <-s.child.exited:
			return fmt.Errorf("l4fwd exited before it was ready: %s", s.child.state())
		case <-ctx.Done():
			if errors.Is(ctx.Err(), context.DeadlineExceeded) {
				return fmt.Errorf("l4fwd not ready after %s; /readyz: %s", readyTimeout, last)
			}
			return errInterrupted
		}
	}
}

// get fetches url straight, without a proxy, in a second at most.
func get(ctx context.Context, url string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return 0, nil, err
	}
	tr := &http.Transport{DisableKeepAlives: true}
	resp, err := tr.RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(io.LimitReader(resp.Body, 8<<20))
	return resp.StatusCode, body, err
}

// close drains l4fwd, ends the stand-in and removes the files. It is an error if l4fwd fails at its end.
func (s *stack) close() error {
	var err error
	if s.child != nil {
		err = s.child.stop(drainTimeout + killAfter)
	}
	if s.origin != nil {
		err = errors.Join(err, s.origin.Close())
	}
	return errors.Join(err, os.RemoveAll(s.dir))
}
