package soak

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"
)

// namespaceVariable marks the process that runs in a network namespace of its own.
const namespaceVariable = "L4FWD_SOAK_NAMESPACE"

// isolated reports whether this process has a network of its own, so that paths in it may be cut.
func isolated() bool { return os.Getenv(namespaceVariable) != "" }

// runIsolated runs this test binary again in a network namespace of its own and returns its exit status. ran is false if the tests are to
// run here: they do already, or nobody may make a namespace or cut a path in it.
func runIsolated(binary string) (code int, ran bool) {
	if isolated() || os.Getuid() != 0 {
		return 0, false
	}
	if _, err := exec.LookPath("iptables"); err != nil {
		return 0, false
	}
	runtime.LockOSThread() // Pdeathsig is about the thread
	defer runtime.UnlockOSThread()
	cmd := exec.Command("/proc/self/exe", os.Args[1:]...)
	cmd.Env = append(os.Environ(), namespaceVariable+"=1", "L4FWD_BINARY="+binary)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	err := cmd.Run()
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0, true
	case errors.As(err, &exit):
		return max(1, exit.ExitCode()), true
	}
	return 0, false // no namespace to be had
}

// enterNamespace prepares the network of an isolated process: its loopback interface is down at first.
func enterNamespace() error {
	if !isolated() {
		return nil
	}
	if out, err := exec.Command("ip", "link", "set", "lo", "up").CombinedOutput(); err != nil {
		return fmt.Errorf("ip link set lo up: %w: %s", err, out)
	}
	return nil
}

// needIsolation skips a test that cuts paths where it cannot.
func needIsolation(t *testing.T) {
	if !isolated() {
		t.Skip("it cuts paths, which takes root and iptables")
	}
}

// darkness is a path that is cut.
type darkness struct{ rules [][]string }

// cutPath drops all packets between a local and a remote TCP port, or all of the remote one if local is 0, until restore is called.
func cutPath(remote string, port, local int) (*darkness, error) {
	to := []string{"-p", "tcp", "-d", remote, "--dport", fmt.Sprint(port)}
	from := []string{"-p", "tcp", "-s", remote, "--sport", fmt.Sprint(port)}
	if local != 0 {
		to = append(to, "--sport", fmt.Sprint(local))
		from = append(from, "--dport", fmt.Sprint(local))
	}
	d := &darkness{rules: [][]string{append(to, "-j", "DROP"), append(from, "-j", "DROP")}}
	return d, d.each("-I")
}

func (d *darkness) restore() error { return d.each("-D") }

func (d *darkness) each(verb string) error {
	for _, r := range d.rules {
		args := append([]string{"-w", verb, "INPUT"}, r...)
		if out, err := exec.Command("iptables", args...).CombinedOutput(); err != nil {
			return fmt.Errorf("iptables %s: %w: %s", strings.Join(args, " "), err, out)
		}
	}
	return nil
}
