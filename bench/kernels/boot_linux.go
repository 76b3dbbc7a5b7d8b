package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/bench/kernels/plan"
)

// boot has the machine run the steps. An error is this host's; what goes wrong in the guest is in the result.
func boot(ctx context.Context, o options, s *store, m machine, kernel string, b *build, steps []step) (*guestRun, error) {
	initramfs := filepath.Join(b.dir, "initramfs")
	if err := b.initramfs(initramfs, steps); err != nil {
		return nil, fmt.Errorf("write the initramfs: %w", err)
	}
	dir := filepath.Join(s.dir, "log", m.series+"-"+m.arch)
	if err := os.RemoveAll(dir); err != nil {
		return nil, err
	}
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, err
	}
	console, err := os.Create(filepath.Join(dir, "console"))
	if err != nil {
		return nil, err
	}
	defer console.Close()
	g := &guestRun{}
	for _, s := range steps {
		g.steps = append(g.steps, stepRun{step: s})
	}
	fmt.Printf("== kernels: %v runs %d steps for %v at most\n", m, len(steps), o.limit)
	if err := g.run(ctx, o.limit, m.emulator(kernel, initramfs, o.clock), console); err != nil {
		return nil, err
	}
	fmt.Printf("== kernels: %v took %.0f s\n", m, g.took.Seconds())
	return g, g.write(dir)
}

// initramfs writes the guest's only file system.
func (b *build) initramfs(to string, steps []step) error {
	f, err := os.Create(to)
	if err != nil {
		return err
	}
	defer f.Close()
	var p []plan.Step
	for _, s := range steps {
		p = append(p, s.Step)
	}
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	a := newArchive(f)
	a.device("dev/console", 5, 1) // the kernel opens it before there is a /dev
	a.bytes(plan.File, string(text))
	for name, from := range b.files {
		a.file(name, from)
	}
	return errors.Join(a.close(), f.Close())
}

// run runs the emulator until the guest has switched itself off, or for the limit.
func (g *guestRun) run(ctx context.Context, limit time.Duration, argv []string, console io.Writer) error {
	limited, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	cmd := exec.CommandContext(limited, argv[0], argv[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Stderr = console
	out, err := cmd.StdoutPipe()
	if err != nil {
		return err
	}
	began := time.Now()
	if err := cmd.Start(); err != nil {
		return err
	}
	g.watch(io.TeeReader(out, console))
	err = cmd.Wait()
	g.took = time.Since(began)
	switch {
	case ctx.Err() != nil:
		return errors.New("interrupted")
	case limited.Err() != nil:
		g.fault, g.timeUp = fmt.Sprintf("switched off after %v of the host's time", limit), true
	case err != nil:
		g.fault = fmt.Sprintf("%s: %v", argv[3], err)
	case g.fault == unfinished:
		g.fault = "the machine stopped before the plan was carried out: see its console"
	}
	return nil
}

const unfinished = "unfinished"

// watch follows the console to its end.
func (g *guestRun) watch(console io.Reader) {
	g.fault = unfinished
	in := bufio.NewReader(console)
	for {
		line, err := in.ReadString('\n')
		if e, ok := plan.Parse(line); ok {
			g.event(e)
		}
		if err != nil {
			return
		}
	}
}

func (g *guestRun) event(e plan.Event) {
	if e.Step == plan.Guest {
		switch e.Kind {
		case plan.Begin:
			g.kernel = e.Text
		case plan.Output:
			g.warnings = append(g.warnings, e.Text)
		case plan.End:
			g.fault = ""
		}
		return
	}
	if e.Step >= len(g.steps) {
		return
	}
	s := &g.steps[e.Step]
	switch e.Kind {
	case plan.Begin:
		s.begun = true
	case plan.Output:
		s.output = append(s.output, e.Text)
	case plan.End:
		s.ended, s.code, s.took = true, e.Code, e.Took
		fmt.Printf("   %-40s exit %d, %.1f s of the guest's time\n", s.Name, s.code, s.took.Seconds())
	}
}

// write leaves a log for each step.
func (g *guestRun) write(dir string) error {
	for i, s := range g.steps {
		f, err := os.Create(filepath.Join(dir, fmt.Sprintf("%02d-%s.log", i, fileName(s.Name))))
		if err != nil {
			return err
		}
		w := bufio.NewWriter(f)
		fmt.Fprintf(w, "# %s: %q exit %d after %v\n", s.Name, s.Argv, s.code, s.took)
		for _, line := range s.output {
			fmt.Fprintln(w, line)
		}
		if err := errors.Join(w.Flush(), f.Close()); err != nil {
			return err
		}
	}
	return nil
}

// fileName makes a name of a file of a step's: of its beginning, since a pattern of -run may be longer than a name can be.
func fileName(s string) string {
	b := []byte(s[:min(len(s), 100)])
	for i, c := range b {
		if c == '/' || c == ' ' {
			b[i] = '_'
		}
	}
	return string(b)
}
