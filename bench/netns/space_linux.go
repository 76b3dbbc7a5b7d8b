package netns

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"

	"golang.org/x/sys/unix"
)

// Space is a network namespace; nil is the one the process is in.
type Space struct{ file *os.File }

// ownSpace is the namespace of the calling thread.
const ownSpace = "/proc/thread-self/ns/net"

// New makes a namespace that has nothing but a loopback device, which is up. The caller owns it and closes it once
// nothing runs in it any more. It needs CAP_SYS_ADMIN.
func New() (*Space, error) {
	s := &Space{}
	err := elsewhere(func() error { return unix.Unshare(unix.CLONE_NEWNET) }, func() (err error) {
		if s.file, err = os.Open(ownSpace); err != nil {
			return err
		}
		return up("lo")
	})
	if err != nil {
		s.Close()
		return nil, fmt.Errorf("make a network namespace: %w", err)
	}
	return s, nil
}

// Do calls f with the calling thread in the namespace: sockets f opens and processes it starts belong there and stay there.
// Goroutines that f starts are on other threads and do not.
func (s *Space) Do(f func() error) error {
	if s == nil {
		return f()
	}
	return elsewhere(func() error { return unix.Setns(int(s.file.Fd()), unix.CLONE_NEWNET) }, f)
}

// Set writes a setting below /proc/sys, which shows the namespace of the thread that opens it.
func (s *Space) Set(name, value string) error {
	return s.Do(func() error { return os.WriteFile(filepath.Join("/proc/sys", name), []byte(value), 0) })
}

// Close lets go of the namespace. The kernel removes it when the last process in it has ended, shortly after.
func (s *Space) Close() {
	if s != nil && s.file != nil {
		s.file.Close()
	}
}

// elsewhere calls f between enter, which moves the thread into a namespace, and the way back. Threads that the runtime
// starts meanwhile are not in it: where the calling one is locked, they descend from another.
func elsewhere(enter, f func() error) error {
	runtime.LockOSThread()
	home, err := os.Open(ownSpace)
	if err != nil {
		runtime.UnlockOSThread()
		return err
	}
	defer home.Close()
	if err := enter(); err != nil {
		runtime.UnlockOSThread()
		return fmt.Errorf("enter: %w", err)
	}
	err = f()
	if back := unix.Setns(int(home.Fd()), unix.CLONE_NEWNET); back != nil {
		// The thread stays locked, so that no other goroutine ever finds itself in there.
		return errors.Join(err, fmt.Errorf("return from a network namespace: %w", back))
	}
	runtime.UnlockOSThread()
	return err
}
