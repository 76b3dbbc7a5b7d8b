package handoff

import (
	"errors"
	"fmt"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

const seals = unix.F_SEAL_SEAL | unix.F_SEAL_SHRINK | unix.F_SEAL_GROW | unix.F_SEAL_WRITE

// newMemory returns a file in memory.
func newMemory(name string) (*os.File, error) {
	fd, err := unix.MemfdCreate(name, unix.MFD_CLOEXEC|unix.MFD_ALLOW_SEALING)
	if err != nil {
		return nil, os.NewSyscallError("memfd_create", err)
	}
	return os.NewFile(uintptr(fd), name), nil
}

// sealMemory keeps f from being changed by anybody.
func sealMemory(f *os.File) error {
	_, err := unix.FcntlInt(f.Fd(), unix.F_ADD_SEALS, seals)
	return os.NewSyscallError("seal", err)
}

// sealedMemory returns an error unless f is a file in memory that nobody can change.
func sealedMemory(f *os.File) error {
	switch has, err := unix.FcntlInt(f.Fd(), unix.F_GET_SEALS, 0); {
	case err != nil:
		return errors.New("it does not begin with a file in memory")
	case has&seals != seals:
		return errors.New("what it says can still be changed")
	}
	return nil
}

// bagSize is the send buffer of a bag in bytes; 0: the system's, which holds 70,000 descriptors (Linux 6.18). Tests need several bags.
var bagSize int

// newBag returns an empty bag, whose two descriptors the caller owns: close it.
func newBag() (*bag, error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, 0)
	if err != nil {
		return nil, os.NewSyscallError("socketpair", err)
	}
	b := &bag{in: fds[0], out: fds[1]}
	if bagSize > 0 {
		if err := unix.SetsockoptInt(b.in, unix.SOL_SOCKET, unix.SO_SNDBUF, bagSize); err != nil {
			b.close()
			return nil, os.NewSyscallError("setsockopt", err)
		}
	}
	return b, nil
}

// put sends descriptors to the bag; full: there is no room for them.
func (b *bag) put(fds []int) (full bool, err error) {
	for {
		err = unix.Sendmsg(b.in, []byte{0}, unix.UnixRights(fds...), nil, unix.MSG_NOSIGNAL)
		switch {
		case err == syscall.EINTR:
		case err == syscall.EAGAIN:
			return true, nil
		default:
			return false, os.NewSyscallError("sendmsg", err)
		}
	}
}

// close closes both ends. What waits in the queue is closed by the kernel.
func (b *bag) close() { closeAll([]int{b.in, b.out}) }

// takeOut returns the descriptors of the next message in a queue that nobody sends to any more; none: there is no message.
func takeOut(fd int) ([]int, error) {
	var b [1]byte
	rights := make([]byte, unix.CmsgSpace(MaxDescriptors*4))
	for {
		n, rn, flags, _, err := unix.Recvmsg(fd, b[:], rights, unix.MSG_CMSG_CLOEXEC|unix.MSG_DONTWAIT)
		switch {
		case err == syscall.EINTR:
			continue
		case err == syscall.EAGAIN || err == nil && n == 0:
			return nil, nil
		case err != nil:
			return nil, os.NewSyscallError("recvmsg", err)
		}
		fds, err := descriptors(rights[:rn], nil)
		if err == nil && flags&unix.MSG_CTRUNC != 0 {
			err = errors.New("descriptors were cut off: the limit of open files is reached")
		}
		if err == nil && len(fds) == 0 {
			err = errors.New("a message without descriptors")
		}
		if err != nil {
			closeAll(fds)
			return nil, fmt.Errorf("unpack: %w", err)
		}
		return fds, nil
	}
}

// hungUp reports whether nobody has the other end of a socket open.
func hungUp(fd int) bool {
	p := []unix.PollFd{{Fd: int32(fd)}}
	for {
		if _, err := unix.Poll(p, 0); err != syscall.EINTR {
			return err != nil || p[0].Revents&(unix.POLLHUP|unix.POLLERR) != 0
		}
	}
}
