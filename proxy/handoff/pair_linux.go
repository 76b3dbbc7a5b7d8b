package handoff

import (
	"os"
	"syscall"
)

// Pair returns the two ends of a channel: that of the old process, and the file that the new one inherits. The caller closes the
// file once the new process runs.
func Pair() (*Giver, *os.File, error) {
	fds, err := syscall.Socketpair(syscall.AF_UNIX, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC|syscall.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, nil, os.NewSyscallError("socketpair", err)
	}
	own, other := os.NewFile(uintptr(fds[0]), "handover"), os.NewFile(uintptr(fds[1]), "handover")
	c, err := newChannel(own, maxAnswer)
	if err != nil {
		other.Close()
		return nil, nil, err
	}
	return &Giver{Channel: c}, other, nil
}
