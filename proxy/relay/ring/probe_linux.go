package ring

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Unsupported says why io_uring cannot be used, in the operator's words.
type Unsupported struct {
	Why string
	Err error // the system's, or nil
}

func (u *Unsupported) Error() string {
	if u.Err == nil {
		return u.Why
	}
	return fmt.Sprintf("%s (%v)", u.Why, u.Err)
}

func (u *Unsupported) Unwrap() error { return u.Err }

// Probe returns nil if a relay can use io_uring here: it makes a small ring and has it do what a relay does, then looks
// whether there is memory for the rings of n. The error is an *Unsupported.
func Probe(n Need) error {
	result := make(chan error)
	go func() {
		runtime.LockOSThread() // the thread ends with the goroutine, and with it what the kernel keeps of its rings
		result <- probe(n)
	}()
	return <-result
}

// probe is Probe on a thread that ends with it.
func probe(n Need) error {
	r, err := New(8, 32)
	if errors.Is(err, unix.ENOMEM) {
		return n.explain(err)
	}
	if err != nil {
		return &Unsupported{refused(err), err}
	}
	defer r.Close()
	b, err := r.Provide(4, 4, 4096)
	if err != nil {
		return &Unsupported{lacking("the kernel has no rings of provided buffers: it is to be 6.1 or newer"+release(), err), err}
	}
	if err := r.knows(OpPollAdd, OpAccept, OpAsyncCancel, OpConnect, OpClose, OpSend, OpRecv); err != nil {
		return err
	}
	if err := exercise(r, b); err != nil {
		return err
	}
	return n.fits()
}

const forbidden = "io_uring is forbidden here, probably by a seccomp filter such as Docker's default one"

// lacking is what a call on a ring that exists failed for: the kernel itself has no permission to refuse then, a filter of
// some of the calls has.
func lacking(what string, err error) string {
	if errors.Is(err, unix.EPERM) {
		return forbidden
	}
	return what
}

// refused explains why there is no ring.
func refused(err error) string {
	switch setting := disabled(); {
	case errors.Is(err, unix.EPERM) && setting == "2":
		return "kernel.io_uring_disabled is 2: nobody may use io_uring"
	case errors.Is(err, unix.EPERM) && setting == "1":
		return "kernel.io_uring_disabled is 1: only CAP_SYS_ADMIN and the group kernel.io_uring_group may use io_uring"
	case errors.Is(err, unix.EPERM):
		return forbidden
	case errors.Is(err, unix.ENOSYS):
		return "io_uring is not there: the kernel was built without it, is older than 5.1, or a seccomp filter hides it" + release()
	case errors.Is(err, unix.EINVAL):
		return "the kernel does not know the kind of ring that is needed: it is to be 6.1 or newer" + release()
	case errors.Is(err, unix.EMFILE), errors.Is(err, unix.ENFILE):
		return "no descriptor left for a ring"
	}
	return "io_uring cannot be set up"
}

// disabled returns kernel.io_uring_disabled, empty where there is none (before kernel 6.6).
func disabled() string {
	b, err := os.ReadFile("/proc/sys/kernel/io_uring_disabled")
	if err != nil {
		return ""
	}
	return strings.TrimSpace(string(b))
}

// release names the running kernel, as the end of a sentence.
func release() string {
	var u unix.Utsname
	if unix.Uname(&u) != nil {
		return ""
	}
	return "; this is " + string(u.Release[:bytes.IndexByte(u.Release[:], 0)])
}

type probeOp struct {
	op, _ uint8
	flags uint16
	_     uint32
}

// knows asks the kernel, or whoever pretends to be one, for the operations it has.
func (r *Ring) knows(ops ...uint8) error {
	var p struct {
		last, n uint8
		_       uint16
		_       [3]uint32
		ops     [64]probeOp
	}
	_, _, e := unix.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerProbe, uintptr(unsafe.Pointer(&p)), uintptr(len(p.ops)), 0, 0)
	if e != 0 {
		return &Unsupported{lacking("io_uring does not tell what it can do", e), os.NewSyscallError("io_uring_register", e)}
	}
	for _, op := range ops {
		if op >= p.n || p.ops[op].flags&probeSupported == 0 {
			return &Unsupported{fmt.Sprintf("io_uring lacks operation %d%s", op, release()), nil}
		}
	}
	return nil
}

// exercise sends a message and receives it, as a relay does: the receive is waiting first, on a non-blocking socket, takes
// a provided buffer, and the send completes silently.
func exercise(r *Ring, b *Buffers) error {
	fds, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return &Unsupported{"no sockets to try io_uring with", os.NewSyscallError("socketpair", err)}
	}
	defer unix.Close(fds[0])
	defer unix.Close(fds[1])
	message := []byte("l4fwd")
	q, _ := r.Next()
	q.Op, q.FD, q.Flags, q.Group, q.Prio, q.Len, q.Data = OpRecv, int32(fds[0]), SelectBuffer, Group, PollFirst, 4096, 1
	if e := r.Wait(0, false); e != 0 {
		return &Unsupported{lacking("io_uring fails", e), os.NewSyscallError("io_uring_enter", e)}
	}
	q, _ = r.Next()
	q.Op, q.FD, q.Flags, q.Data = OpSend, int32(fds[1]), SkipSuccess, 2
	q.Addr, q.Len, q.OpFlags = uint64(uintptr(unsafe.Pointer(&message[0]))), uint32(len(message)), unix.MSG_DONTWAIT|unix.MSG_WAITALL|unix.MSG_NOSIGNAL
	_ = r.Wait(time.Second, true)
	runtime.KeepAlive(message)
	qs, _ := r.Completions()
	if len(qs) == 0 {
		return &Unsupported{"io_uring does not deliver: a message sent was not received within a second" + release(), nil}
	}
	c := qs[0]
	id, ok := c.Buffer()
	switch {
	case c.Data == 1 && c.Res == -int32(unix.EAGAIN):
		return &Unsupported{"this kernel's io_uring does not wait on non-blocking sockets" + release(), nil}
	case c.Data != 1 || int(c.Res) != len(message) || !ok:
		return &Unsupported{fmt.Sprintf("io_uring answers what was not expected: request %d, result %d%s", c.Data, c.Res, release()), nil}
	}
	b.Taken()
	defer b.Put(id)
	defer r.Done()
	if !bytes.Equal(b.Bytes(id, len(message)), message) {
		return &Unsupported{"io_uring delivers other bytes than were sent" + release(), nil}
	}
	return nil
}
