// Package ring is the part of io_uring(7) that a relay needs: requests, completions, provided buffers, and how to wait.
// It asks for what kernel 6.1 has (Amazon Linux 2023): a ring with a single issuer whose completions are made when it
// asks for them. A Ring belongs to the operating system thread that made it, so its goroutine has called
// runtime.LockOSThread before New and keeps to it.
package ring

import (
	"fmt"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Ring is a submission and a completion queue shared with the kernel.
type Ring struct {
	// Enter is io_uring_enter(2). Tests put something between the ring and the kernel here.
	Enter func(r *Ring, c Call) (taken int, errno syscall.Errno)
	// Registering is called before each change of the buffers. Tests do there what a kernel may do; nil otherwise.
	Registering func(r *Ring)

	fd       int32
	enterFD  int32 // fd, or its number among the thread's registered rings
	flags    uint32
	mem      []byte
	sqeMem   []byte
	sqes     []SQE
	sqHead   *uint32
	sqTail   *uint32
	sqFlags  *uint32
	sqMask   uint32
	tail     uint32
	more     []SQE // what found no room in the queue, in order
	cqes     []CQE
	cqHead   *uint32
	cqTail   *uint32
	cqMask   uint32
	cqSeen   uint32 // where the completions end that Completions returned
	batch    []CQE  // completions gathered because the queue overflowed
	arg      extArg
	ts       unix.Timespec
	buffers  *Buffers
	overflow uint64
}

// Call is one io_uring_enter(2).
type Call struct {
	Submit  uint32 // requests in the queue
	Wait    uint32 // completions to wait for
	Timeout bool   // Ring.ts says for how long at most
	Park    bool   // tell Go's scheduler
}

// New makes a ring for entries requests and completions waiting at once, both rounded up to a power of two. The error
// wraps the system's: ENOSYS, EPERM, EINVAL (older than kernel 6.1), ENOMEM.
func New(entries, completions uint32) (*Ring, error) {
	p := params{
		flags:     setupCQSize | setupSubmitAll | setupSingleIssuer | setupDeferTaskrun | setupNoSQArray,
		cqEntries: completions,
	}
	fd, _, e := syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	if e == unix.EINVAL {
		p = params{flags: p.flags &^ setupNoSQArray, cqEntries: completions}
		fd, _, e = syscall.Syscall(unix.SYS_IO_URING_SETUP, uintptr(entries), uintptr(unsafe.Pointer(&p)), 0)
	}
	if e != 0 {
		return nil, os.NewSyscallError("io_uring_setup", e)
	}
	r := &Ring{Enter: enter, fd: int32(fd), enterFD: int32(fd)}
	if err := r.mmap(&p); err != nil {
		r.Close()
		return nil, err
	}
	r.registerFD()
	return r, nil
}

// mmap maps the queues of a ring that was set up with p.
func (r *Ring) mmap(p *params) (err error) {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_SHARED | unix.MAP_POPULATE
	size := p.cq.cqes + p.cqEntries*uint32(unsafe.Sizeof(CQE{}))
	if p.flags&setupNoSQArray == 0 {
		size = max(size, p.sq.array+p.sqEntries*4)
	}
	// One mapping holds both queues: IORING_FEAT_SINGLE_MMAP, kernel 5.4.
	if r.mem, err = unix.Mmap(int(r.fd), mapRings, int(size), prot, flags); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	if r.sqeMem, err = unix.Mmap(int(r.fd), mapSQEs, int(p.sqEntries)*int(unsafe.Sizeof(SQE{})), prot, flags); err != nil {
		return os.NewSyscallError("mmap", err)
	}
	at := func(offset uint32) *uint32 { return (*uint32)(unsafe.Pointer(&r.mem[offset])) }
	r.sqHead, r.sqTail, r.sqFlags, r.sqMask = at(p.sq.head), at(p.sq.tail), at(p.sq.flags), *at(p.sq.mask)
	r.cqHead, r.cqTail, r.cqMask = at(p.cq.head), at(p.cq.tail), *at(p.cq.mask)
	r.sqes = unsafe.Slice((*SQE)(unsafe.Pointer(&r.sqeMem[0])), p.sqEntries)
	r.cqes = unsafe.Slice((*CQE)(unsafe.Pointer(&r.mem[p.cq.cqes])), p.cqEntries)
	if p.flags&setupNoSQArray == 0 {
		array := unsafe.Slice(at(p.sq.array), p.sqEntries)
		for i := range array {
			array[i] = uint32(i)
		}
	}
	return nil
}

// registerFD saves the kernel a lookup of the descriptor a call. Without it everything works as well.
func (r *Ring) registerFD() {
	u := rsrcUpdate{offset: ^uint32(0), data: uint64(r.fd)}
	n, _, e := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), registerRingFDs, uintptr(unsafe.Pointer(&u)), 1, 0, 0)
	if e == 0 && n == 1 {
		r.enterFD, r.flags = int32(u.offset), enterRegisteredRing
	}
}

// Close gives back the ring and its buffers. Nothing may be under way any more: the kernel ends requests of a closed
// ring on its own time, and buffers it may still write to must not be unmapped.
func (r *Ring) Close() {
	// A registered ring keeps the file open until the thread ends, unless it is unregistered.
	if r.flags&enterRegisteredRing != 0 {
		const unregisterRingFDs = 21
		u := rsrcUpdate{offset: uint32(r.enterFD)}
		_, _, _ = syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), unregisterRingFDs, uintptr(unsafe.Pointer(&u)), 1, 0, 0)
	}
	for _, m := range [][]byte{r.mem, r.sqeMem} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	_ = unix.Close(int(r.fd))
	if r.buffers != nil {
		r.buffers.unmap()
	}
	*r = Ring{fd: -1}
}

// Next returns a zeroed request to fill in before the next call of any method. Requests are issued in the order of Next.
// The number identifies it for Taken.
func (r *Ring) Next() (*SQE, uint32) {
	n := r.tail + uint32(len(r.more))
	if len(r.more) > 0 || r.tail-atomic.LoadUint32(r.sqHead) > r.sqMask {
		r.more = append(r.more, SQE{})
		return &r.more[len(r.more)-1], n
	}
	s := &r.sqes[r.tail&r.sqMask]
	*s = SQE{}
	r.tail++
	return s, n
}

// Taken reports whether the kernel has taken request n, which means that it was issued.
func (r *Ring) Taken(n uint32) bool { return int32(atomic.LoadUint32(r.sqHead)-n) > 0 }

// Pending is how many requests the kernel has not taken yet.
func (r *Ring) Pending() int { return int(r.tail-atomic.LoadUint32(r.sqHead)) + len(r.more) }

// Overflows counts how often the completion queue was too small.
func (r *Ring) Overflows() uint64 { return r.overflow }

// Wait issues the requests and returns once there is a completion, the time d has passed (negative: no limit), a signal
// came, or the kernel had no memory for the requests, which are kept then. With park the scheduler is told.
func (r *Ring) Wait(d time.Duration, park bool) syscall.Errno {
	r.flush()
	c := Call{Wait: 1, Park: park, Timeout: d >= 0}
	if d == 0 || len(r.more) > 0 {
		c = Call{}
	}
	r.ts = unix.NsecToTimespec(int64(max(d, 0)))
	return r.call(c)
}

// call publishes what was asked for and enters the kernel.
func (r *Ring) call(c Call) syscall.Errno {
	if r.buffers != nil {
		r.buffers.publish()
	}
	atomic.StoreUint32(r.sqTail, r.tail)
	c.Submit = r.tail - atomic.LoadUint32(r.sqHead)
	_, e := r.Enter(r, c)
	return e
}

// flush moves requests that found no room into the queue, and empties the queue as long as there are more.
func (r *Ring) flush() {
	for len(r.more) > 0 {
		room := r.sqMask + 1 - (r.tail - atomic.LoadUint32(r.sqHead))
		n := min(int(room), len(r.more))
		for _, s := range r.more[:n] {
			r.sqes[r.tail&r.sqMask] = s
			r.tail++
		}
		r.more = r.more[:copy(r.more, r.more[n:])]
		if len(r.more) == 0 {
			return
		}
		before := atomic.LoadUint32(r.sqHead)
		if r.call(Call{}); atomic.LoadUint32(r.sqHead) == before {
			return // no memory: later
		}
	}
}

// enter makes the call. While it waits in a raw system call, the scheduler does not know; see relay.napMillis.
func enter(r *Ring, c Call) (int, syscall.Errno) {
	flags := uintptr(r.flags | enterGetEvents)
	var arg unsafe.Pointer
	var size uintptr
	if c.Timeout {
		flags |= enterExtArg
		r.arg.ts = uint64(uintptr(unsafe.Pointer(&r.ts)))
		arg, size = unsafe.Pointer(&r.arg), unsafe.Sizeof(r.arg)
	}
	var n uintptr
	var e syscall.Errno
	if c.Park {
		n, _, e = syscall.Syscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFD), uintptr(c.Submit), uintptr(c.Wait), flags, uintptr(arg), size)
	} else {
		n, _, e = syscall.RawSyscall6(unix.SYS_IO_URING_ENTER, uintptr(r.enterFD), uintptr(c.Submit), uintptr(c.Wait), flags, uintptr(arg), size)
	}
	runtime.KeepAlive(r)
	return int(n), e
}

// Completions returns those that are there: all that the calls before made, even where the completion queue
// overflowed. They come in at most two parts, since the queue is a ring, and are valid until Done.
func (r *Ring) Completions() (first, second []CQE) {
	if atomic.LoadUint32(r.sqFlags)&sqCQOverflow != 0 {
		return r.gather(), nil
	}
	head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
	r.cqSeen = tail
	if head == tail {
		return nil, nil
	}
	from, to := head&r.cqMask, tail&r.cqMask
	if from < to {
		return r.cqes[from:to], nil
	}
	return r.cqes[from:], r.cqes[:to]
}

// gather empties the completion queue until the kernel holds none back any more. Whether a request without a completion
// succeeded is known only then.
func (r *Ring) gather() []CQE {
	r.overflow++
	for {
		head, tail := *r.cqHead, atomic.LoadUint32(r.cqTail)
		for ; head != tail; head++ {
			r.batch = append(r.batch, r.cqes[head&r.cqMask])
		}
		atomic.StoreUint32(r.cqHead, head)
		if atomic.LoadUint32(r.sqFlags)&sqCQOverflow == 0 && atomic.LoadUint32(r.cqTail) == head {
			return r.batch
		}
		before := len(r.batch)
		if e := r.call(Call{}); e != 0 && e != unix.EINTR && len(r.batch) == before && atomic.LoadUint32(r.cqTail) == head {
			runtime.Gosched()
		}
	}
}

// Done gives the places of the completions back to the kernel.
func (r *Ring) Done() {
	if len(r.batch) > 0 {
		r.batch = r.batch[:0]
		return
	}
	atomic.StoreUint32(r.cqHead, r.cqSeen)
}

// String describes the ring for a debugger.
func (r *Ring) String() string {
	return fmt.Sprintf("ring %d: %d requests not taken, %d overflows", r.fd, r.Pending(), r.overflow)
}
