package soak

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"regexp"
	"strconv"
	"syscall"
	"time"
)

// soakProcess is a process of an instance. One that took over from another writes to the same log.
type soakProcess struct {
	proc  *os.Process
	ended chan struct{}
	code  int           // its exit status, once it has ended
	log   chan struct{} // closed once nobody writes to the log any more
}

// startSoakProcess starts l4fwd with a file, whose log goes to a writer.
func startSoakProcess(file string, log io.Writer) (*soakProcess, error) {
	r, w, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer w.Close()
	cmd := exec.Command(l4fwdPath, "serve", "--config", file)
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "GORACE=" + os.Getenv("GORACE")}
	cmd.Stderr = w
	if err := cmd.Start(); err != nil {
		r.Close()
		return nil, err
	}
	p := &soakProcess{proc: cmd.Process, ended: make(chan struct{}), log: make(chan struct{})}
	go func() {
		defer close(p.log)
		defer r.Close()
		_, _ = io.Copy(log, r) // up to its end
	}()
	go p.wait()
	return p, nil
}

// wait waits for the end of the process, which is a child of this one.
func (p *soakProcess) wait() {
	defer close(p.ended)
	p.code = -1
	if state, err := p.proc.Wait(); err == nil {
		p.code = state.ExitCode()
	}
}

func (p *soakProcess) pid() int { return p.proc.Pid }

func (p *soakProcess) signal(sig syscall.Signal) error { return p.proc.Signal(sig) }

// awaitLog waits until all of the log has been read: no process is left by then.
func (p *soakProcess) awaitLog() { <-p.log }

// prSetChildSubreaper is PR_SET_CHILD_SUBREAPER, prctl(2).
const prSetChildSubreaper = 36

// adoptOrphans makes a process that took over a child of this one once the old one has ended, so that its exit status is known.
func adoptOrphans() error {
	if _, _, errno := syscall.Syscall(syscall.SYS_PRCTL, prSetChildSubreaper, 1, 0); errno != 0 {
		return fmt.Errorf("prctl: %w", errno)
	}
	return nil
}

var upgradedTo = regexp.MustCompile(`^upgraded: version \S+ serves as pid (\d+); (\d+) connections were handed over, which stood still for (\S+)\n$`)

// upgrade has another process of the binary take over, unless the daemon is being drained or reloaded.
func (d *soakDaemon) upgrade() {
	if !d.mu.TryLock() {
		return
	}
	defer d.mu.Unlock()
	out, err := exec.Command(l4fwdPath, "upgrade", "--admin", d.admin).CombinedOutput()
	m := upgradedTo.FindStringSubmatch(string(out))
	if err != nil || m == nil {
		d.s.fail(fmt.Sprintf("daemon %d (%s): upgrade: %v: %s", d.index, d.engine, err, out))
		return
	}
	d.awaitEnd("an upgrade", soakPatience)
	pid, _ := strconv.Atoi(m[1])
	next, err := os.FindProcess(pid)
	if err != nil {
		d.s.fail(fmt.Sprintf("daemon %d (%s): the process that took over: %v", d.index, d.engine, err))
		return
	}
	d.now = &soakProcess{proc: next, ended: make(chan struct{}), log: d.now.log}
	go d.now.wait()
	conns, _ := strconv.Atoi(m[2])
	pause, _ := time.ParseDuration(m[3])
	d.s.count.add("upgrades")
	d.s.count.sum("connections handed over", conns)
	d.s.count.most("milliseconds that an upgrade held connections up, at most", int(pause.Milliseconds()))
}
