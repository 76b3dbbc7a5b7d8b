package ring

import (
	"os"
	"sync/atomic"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

// Buffers are memory that the kernel takes from when a request with SelectBuffer has something to receive. A buffer is
// the kernel's until a completion brings it, then the caller's until Put.
type Buffers struct {
	size  int
	mem   []byte
	ring  []byte // of bufEntry
	entry []bufEntry
	tail  uint16
	mask  uint16
	given int // the kernel has, or had, those with a smaller number
	out   int
	took  int // buffers that completions have brought, ever
}

// Group is the number of a ring's only group of buffers. It must not be below 64: there kernel 6.1 keeps a group that is taken
// away, with the place where it was in it, and goes on from that place when the group is provided anew (BGID_ARRAY in its
// io_uring/kbuf.c). After Shrink it would fill buffers that it does not have, and bytes would reach other connections.
const Group = 64

// Provide gives the ring a set of n buffers (a power of two, at most 32768) of size bytes, of which the kernel gets the
// first few at first: it goes round all that it has, so each costs memory, and more are of use only when there are many
// receives at once. See Grow. A ring has one such set.
func (r *Ring) Provide(n, few, size int) (*Buffers, error) {
	const prot, flags = unix.PROT_READ | unix.PROT_WRITE, unix.MAP_PRIVATE | unix.MAP_ANON
	b := &Buffers{size: size, mask: uint16(n - 1)}
	var err error
	if b.mem, err = unix.Mmap(-1, 0, n*size, prot, flags); err != nil {
		return nil, os.NewSyscallError("mmap", err)
	}
	if b.ring, err = unix.Mmap(-1, 0, n*int(unsafe.Sizeof(bufEntry{})), prot, flags|unix.MAP_POPULATE); err != nil {
		b.unmap()
		return nil, os.NewSyscallError("mmap", err)
	}
	b.entry = unsafe.Slice((*bufEntry)(unsafe.Pointer(&b.ring[0])), n)
	if err := r.register(b, registerPbufRing); err != nil {
		b.unmap()
		return nil, err
	}
	b.give(few)
	b.publish()
	r.buffers = b
	return b, nil
}

// register adds or removes b as the ring's group of buffers.
func (r *Ring) register(b *Buffers, op uintptr) error {
	if r.Registering != nil {
		r.Registering(r)
	}
	reg := bufReg{addr: uint64(uintptr(unsafe.Pointer(&b.ring[0]))), entries: uint32(len(b.entry)), group: Group}
	_, _, e := syscall.Syscall6(unix.SYS_IO_URING_REGISTER, uintptr(r.fd), op, uintptr(unsafe.Pointer(&reg)), 1, 0, 0)
	if e != 0 {
		return os.NewSyscallError("io_uring_register", e)
	}
	return nil
}

// Shrink takes all buffers from the kernel, gives their memory back, and provides the first few again. It does nothing
// where a buffer is out, or a completion was not looked at, or the kernel refuses. Otherwise the ring may be left without buffers, so that
// receives end with ENOBUFS until Shrink is called again: Given is 0 then.
func (r *Ring) Shrink(few int) error {
	b := r.buffers
	if b.out > 0 || r.unseen() {
		return nil
	}
	if b.given > 0 && r.register(b, unregisterPbufs) != nil {
		return nil // nothing has changed
	}
	clear(b.ring) // before the kernel looks at the tail again
	b.tail, b.given = 0, 0
	// The ring receives in Wait alone (IORING_SETUP_DEFER_TASKRUN), but kernel 6.1 does in every call: io_uring_register begins with
	// io_run_task_work_ctx. What it has received just now is in buffers that are the caller's to take first.
	if r.unseen() {
		return nil
	}
	if err := r.register(b, registerPbufRing); err != nil {
		return err
	}
	_ = unix.Madvise(b.mem, unix.MADV_DONTNEED) // without it the memory stays, which harms nobody
	b.give(few)
	b.publish()
	return nil
}

// unseen reports whether there are completions that Completions has not returned.
func (r *Ring) unseen() bool {
	return atomic.LoadUint32(r.cqTail) != *r.cqHead || atomic.LoadUint32(r.sqFlags)&sqCQOverflow != 0
}

// Given is how many buffers the kernel goes round; 0: see Shrink.
func (b *Buffers) Given() int { return b.given }

// Took is how many buffers completions have brought since the beginning.
func (b *Buffers) Took() int { return b.took }

// Grow gives the kernel twice as many buffers as it has, if there are so many, with the next Wait. It is to be called when
// a receive found none.
func (b *Buffers) Grow() { b.give(b.given) }

// give gives the kernel n buffers that it never had, or as many as there are.
func (b *Buffers) give(n int) {
	for range min(n, len(b.entry)-b.given) {
		b.out++
		b.Put(uint16(b.given))
		b.given++
	}
}

// Bytes returns the first n bytes of a buffer, n ≤ size.
func (b *Buffers) Bytes(id uint16, n int) []byte {
	at := int(id) * b.size
	return b.mem[at : at+n : at+b.size]
}

// Put gives a buffer back; the kernel sees it with the next Wait.
func (b *Buffers) Put(id uint16) {
	e := &b.entry[b.tail&b.mask]
	e.addr = uint64(uintptr(unsafe.Pointer(&b.mem[int(id)*b.size])))
	e.len = uint32(b.size)
	e.id = id
	b.tail++
	b.out--
}

// Taken notes that a completion brought a buffer.
func (b *Buffers) Taken() {
	b.out++
	b.took++
}

// Out is how many buffers completions brought that were not put back.
func (b *Buffers) Out() int { return b.out }

// publish makes the tail visible. It lies behind the id of the first entry, and both are written at once since Go has no
// atomic store of 16 bits; the kernel writes neither.
func (b *Buffers) publish() {
	p := (*uint32)(unsafe.Pointer(&b.entry[0].id))
	atomic.StoreUint32(p, uint32(b.entry[0].id)|uint32(b.tail)<<16) // little-endian, as amd64 and arm64 are
}

// unmap gives the memory back. The kernel must not write to it any more.
func (b *Buffers) unmap() {
	for _, m := range [][]byte{b.mem, b.ring} {
		if m != nil {
			_ = unix.Munmap(m)
		}
	}
	*b = Buffers{}
}
