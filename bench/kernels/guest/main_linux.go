// Command guest is the first and only process that a kernel under test starts: it makes the few things that programs expect of
// a system, runs the plan in the initramfs and switches the machine off.
package main

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/bench/kernels/plan"
)

func main() {
	if os.Getpid() != 1 {
		fmt.Fprintln(os.Stderr, "guest: this is the init of a virtual machine: make kernels starts it")
		os.Exit(2)
	}
	g := &guest{console: os.Stdout}
	if err := g.run(); err != nil {
		g.say(plan.Guest, plan.Output, "guest: "+err.Error())
	}
	g.warnings()
	unix.Sync()
	_ = unix.Reboot(unix.LINUX_REBOOT_CMD_POWER_OFF) // does not return
}

// guest writes events to the console, whole lines at a time.
type guest struct {
	mu      sync.Mutex
	console io.Writer
}

func (g *guest) say(step int, kind plan.Kind, text string) {
	g.event(plan.Event{Step: step, Kind: kind, Text: text})
}

func (g *guest) event(e plan.Event) {
	g.mu.Lock()
	defer g.mu.Unlock()
	fmt.Fprintln(g.console, e)
}

func (g *guest) run() error {
	if err := prepare(); err != nil {
		return err
	}
	b, err := os.ReadFile(plan.File)
	if err != nil {
		return err
	}
	var steps []plan.Step
	if err := json.Unmarshal(b, &steps); err != nil {
		return fmt.Errorf("read %s: %w", plan.File, err)
	}
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return err
	}
	g.say(plan.Guest, plan.Begin, unix.ByteSliceToString(u.Release[:])+" "+unix.ByteSliceToString(u.Machine[:]))
	for i, s := range steps {
		g.step(i, s)
	}
	g.event(plan.Event{Step: plan.Guest, Kind: plan.End})
	return nil
}

// step runs a command in a process group of its own, so that nothing of it is left for the next one.
func (g *guest) step(i int, s plan.Step) {
	g.say(i, plan.Begin, s.Name)
	cmd := exec.Command(s.Argv[0], s.Argv[1:]...)
	cmd.Env = append([]string{"PATH=/bin", "HOME=/tmp", "TMPDIR=/tmp", "TERM=dumb"}, s.Env...)
	cmd.Dir = "/"
	if s.Dir != "" {
		cmd.Dir = s.Dir
	}
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.WaitDelay = 5 * time.Second // for processes that outlive the command and have its output
	out := &lines{each: func(line string) { g.say(i, plan.Output, line) }}
	cmd.Stdout, cmd.Stderr = out, out
	began := time.Now()
	err := cmd.Start()
	if err == nil {
		limit := time.AfterFunc(s.Limit, func() {
			g.say(i, plan.Output, fmt.Sprintf("guest: killed after %v", s.Limit))
			_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
		})
		err = cmd.Wait()
		limit.Stop()
		_ = unix.Kill(-cmd.Process.Pid, unix.SIGKILL)
	}
	out.flush()
	if shown, err := os.ReadFile(s.Show); s.Show != "" && err == nil {
		_, _ = out.Write(append(shown, '\n'))
	}
	code := -1
	if cmd.ProcessState != nil {
		code = cmd.ProcessState.ExitCode()
	}
	if code <= 0 && err != nil {
		g.say(i, plan.Output, "guest: "+err.Error())
	}
	g.event(plan.Event{Step: i, Kind: plan.End, Code: code, Took: time.Since(began)})
}

// warnings reports what the kernel complained of. Its messages are kept from the console, where they would fall into the lines of
// others.
func (g *guest) warnings() {
	f, err := os.OpenFile("/dev/kmsg", os.O_RDONLY|unix.O_NONBLOCK, 0)
	if err != nil {
		return
	}
	defer f.Close()
	fd, record := int(f.Fd()), make([]byte, 8<<10)
	for {
		n, err := unix.Read(fd, record)
		if err == unix.EPIPE { // overwritten meanwhile
			continue
		}
		if err != nil || n <= 0 {
			return
		}
		head, text, _ := strings.Cut(string(record[:n]), ";")
		var priority int
		if fmt.Sscanf(head, "%d,", &priority); priority&7 <= 4 { // KERN_WARNING
			text, _, _ = strings.Cut(text, "\n")
			g.say(plan.Guest, plan.Output, "kernel: "+text)
		}
	}
}

// lines hands on what is written to it line by line. The commands' pipes write to it one after the other.
type lines struct {
	each func(string)
	rest []byte
}

func (l *lines) Write(p []byte) (int, error) {
	l.rest = append(l.rest, p...)
	for {
		n, line, err := bufio.ScanLines(l.rest, false)
		if n == 0 || err != nil {
			return len(p), nil
		}
		l.each(string(line))
		l.rest = l.rest[n:]
	}
}

func (l *lines) flush() {
	if len(l.rest) > 0 {
		l.each(string(l.rest))
	}
}
