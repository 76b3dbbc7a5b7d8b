package ring

import (
	"os"

	"golang.org/x/sys/unix"
)

// Features are what kernels after 6.1 have, found out by trying.
type Features struct {
	AcceptPollFirst bool // an accept can wait before it tries; 6.10
	LimitedRecv     bool // SQE.Limit; 6.17
}

// Features says what the kernel has beyond what New asks for. Provide comes first.
func (r *Ring) Features() (f Features, err error) {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return f, os.NewSyscallError("socketpair", err)
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	if _, err = unix.Write(fds[1], make([]byte, 64)); err != nil {
		return f, os.NewSyscallError("write", err)
	}
	const each, limit = 8, 16
	q, _ := r.Next() // a kernel that does not know the flag says so before it looks for the file
	q.Op, q.FD, q.Prio, q.Data = OpAccept, -1, AcceptPollFirst, 1
	q, _ = r.Next()
	q.Op, q.FD, q.Flags, q.Group, q.Data = OpRecv, int32(fds[0]), SelectBuffer, Group, 2
	q.Prio, q.Len, q.Limit = RecvMulti, each, limit
	_ = r.Wait(0, false)
	qs, _ := r.Completions()
	defer r.Done()
	received := int32(0)
	for _, c := range qs {
		if id, ok := c.Buffer(); ok {
			r.buffers.Taken()
			r.buffers.Put(id)
		}
		switch c.Data {
		case 1:
			f.AcceptPollFirst = c.Res == -int32(unix.EBADF)
		case 2:
			received += c.Res
			f.LimitedRecv = received == limit && !c.More()
		}
	}
	return f, nil
}
