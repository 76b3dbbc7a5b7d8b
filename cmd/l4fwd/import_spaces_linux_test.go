package main

import (
	"bytes"
	"fmt"
	"net"
	"net/rpc"
	"os"
	"os/exec"
	"strings"
	"syscall"

	"golang.org/x/sys/unix"
)

// spaces are the namespaces of a side. Somebody who is not root needs one of users, too.
func spaces() *syscall.SysProcAttr {
	a := &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		a.Cloneflags |= syscall.CLONE_NEWUSER
		a.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		a.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	return a
}

// trySpace reports why no side can run.
func trySpace() error {
	cmd := exec.Command("ip", "link", "add", "far", "type", "veth", "peer", "name", "near")
	cmd.SysProcAttr = spaces()
	cmd.SysProcAttr.Pdeathsig = 0
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w %s", err, out)
	}
	return nil
}

// side is the process of one of both.
type side struct {
	cmd    *exec.Cmd
	log    bytes.Buffer
	client *rpc.Client
}

// start starts the process of a side, which runs the program.
func (s *side) start(text string, words ...string) error {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	own, theirs := os.NewFile(uintptr(pair[0]), "own"), os.NewFile(uintptr(pair[1]), "theirs")
	defer own.Close()
	defer theirs.Close()
	s.cmd = exec.Command("/proc/self/exe", "-test.run=^TestImportDecidesAsHAProxy$", "-test.timeout=5m")
	s.cmd.Env = append(os.Environ(), sideVariable+"="+strings.Join(words, "\n"), sideText+"="+text)
	s.cmd.Stdout, s.cmd.Stderr, s.cmd.ExtraFiles = &s.log, &s.log, []*os.File{theirs}
	s.cmd.SysProcAttr = spaces()
	if err := s.cmd.Start(); err != nil {
		return err
	}
	conn, err := net.FileConn(own)
	if err != nil {
		return err
	}
	s.client = rpc.NewClient(conn)
	return nil
}

// end ends the process, and the program with it.
func (s *side) end() {
	if s.client != nil {
		s.client.Close()
	}
	_ = s.cmd.Wait()
}
