package relay

import "golang.org/x/sys/unix"

// What the kernel may hold for a half in bulk. A peer that begins a large transfer and does not read makes the kernel
// hold what it lets the other side send: its buffers grow with what the loop moves, to megabytes on either leg. So a
// half begins with small ones, and gets the kernel's usual ones once its destination has acknowledged bulkProof bytes.
// It costs a handful of calls a half in bulk, and no small connection anything.

const (
	bulkProof    = 256 << 10 // bytes
	notSentFirst = 32 << 10  // what the kernel takes beyond what is on its way, in bytes; notSentMax later

	// Bits of SO_BUF_LOCK, socket(7): the receive buffer keeps its size. Kernel 5.14.
	rcvBufLock = 2
)

// largeRead acts on a large read of the half from s. It reports whether the half may have large buffers.
func (l *loop) largeRead(c *conn, s side) bool {
	h := &c.halves[s]
	src, dst := c.ends[s].fd, c.ends[s.other()].fd
	switch h.bulk {
	case bulkProved:
		return true
	case bulkNone:
		h.bulk = bulkUnknown
		_ = sysSetInt(src, unix.SOL_SOCKET, unix.SO_BUF_LOCK, rcvBufLock) // without it the buffer grows as before
		_ = sysSetInt(dst, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentFirst)
		return false
	}
	n, e := sysQueued(dst, unix.TIOCOUTQ)
	if e != 0 || h.bytes < bulkProof+uint64(n) {
		return false
	}
	h.bulk = bulkProved
	_ = sysSetInt(src, unix.SOL_SOCKET, unix.SO_BUF_LOCK, 0)
	limitUnsent(dst)
	return true
}
