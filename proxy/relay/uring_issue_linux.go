package relay

import (
	"unsafe"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
	"golang.org/x/sys/unix"
)

// recv asks for what the end s sends next. Nothing is expected to be there already if idle.
func (l *uringLoop) recv(c *conn, s side, idle bool) {
	e := &c.ends[s]
	if l.can.LimitedRecv && e.got == steady && !e.watch {
		l.watchReset(c, s)
	}
	q, _ := l.ring.Next()
	q.Op, q.FD, q.Len = ring.OpRecv, c.ends[s].fd, ringBuffer
	q.Flags, q.Group = ring.SelectBuffer, ring.Group
	if idle {
		q.Prio = ring.PollFirst
	}
	if e.watch {
		q.Prio |= ring.RecvMulti
		q.Limit = ringLimit
		l.lookLater(c)
	}
	q.Data = connData(kindRecv, c, s)
	e.recv = true
	l.live++
}

// watchReset has the end of s reported, by FIN or reset, and urgent data that are there already. A receive that stays may
// not find an end that came together with data: what it got before makes the kernel take the socket for empty and wait for
// the next event (io_recv_finish in 6.18, by test). See lookAfter.
func (l *uringLoop) watchReset(c *conn, s side) {
	q, _ := l.ring.Next()
	q.Op, q.FD, q.OpFlags = ring.OpPollAdd, c.ends[s].fd, unix.POLLPRI // POLLERR and POLLHUP need not be asked for: poll(2)
	q.Data = connData(kindWatch, c, s)
	c.ends[s].watch = true
	l.live++
}

// issueSend sends b to the destination of the half from s. f says what holds b.
func (l *uringLoop) issueSend(c *conn, s side, b []byte, f sendRequest) {
	q, n := l.ring.Next()
	q.Op, q.FD, q.Flags = ring.OpSend, c.ends[s.other()].fd, ring.SkipSuccess
	q.Addr, q.Len = uint64(uintptr(unsafe.Pointer(&b[0]))), uint32(len(b))
	// A short send counts as a failure with MSG_WAITALL, and so has a completion: io_uring_enter(2).
	q.OpFlags = unix.MSG_DONTWAIT | unix.MSG_WAITALL | unix.MSG_NOSIGNAL
	q.Data = kindSend.data(uint64(n))
	f.request, f.end, f.len, f.res = n, endRef{c.slot, c.gen, s}, int32(len(b)), int32(len(b))
	c.halves[s].sending = f.len
	l.sends = append(l.sends, f)
}

// watchEpoll has events of the epoll instance reported: linux/io_uring.h, multishot polls are edge-triggered.
func (l *uringLoop) watchEpoll() {
	q, _ := l.ring.Next()
	q.Op, q.FD, q.Len, q.OpFlags, q.Data = ring.OpPollAdd, l.ep, ring.PollMulti, unix.POLLIN, kindEpoll.data(0)
	l.live++
	l.epollWatched = true
}

const noBuffer = ^uint16(0)
