package relay

import (
	"syscall"
	"unsafe"

	"github.com/l4fwd/l4fwd/proxy/relay/ring"
	"golang.org/x/sys/unix"
)

// fly sends b to the destination of the half from s. f says what holds b.
func (l *uringLoop) fly(c *conn, s side, b []byte, f flight) {
	q, n := l.ring.Next()
	q.Op, q.FD, q.Flags = ring.OpSend, c.ends[s.other()].fd, ring.SkipSuccess
	q.Addr, q.Len = uint64(uintptr(unsafe.Pointer(&b[0]))), uint32(len(b))
	// A short send counts as a failure with MSG_WAITALL, and so has a completion: io_uring_enter(2).
	q.OpFlags = unix.MSG_DONTWAIT | unix.MSG_WAITALL | unix.MSG_NOSIGNAL
	q.Data = kindSend.data(uint64(n))
	f.request, f.end, f.len, f.res = n, conns{c.slot, c.gen, s}, int32(len(b)), int32(len(b))
	c.halves[s].flying = f.len
	l.flights = append(l.flights, f)
}

// missed notes that a send did not do all it was asked.
func (l *uringLoop) missed(request uint32, res int32) {
	for i := range l.flights {
		if f := &l.flights[i]; f.request == request {
			f.res = res
			return
		}
	}
}

// landing is a half whose send is settled and that needs a look.
type landing struct {
	conns
	short bool // not everything was taken
}

// land settles the sends that the kernel has taken: all their completions are known.
func (l *uringLoop) land() {
	n := 0
	for n < len(l.flights) && l.ring.Taken(l.flights[n].request) {
		l.landOne(&l.flights[n])
		n++
	}
	if n == 0 {
		return
	}
	left := copy(l.flights, l.flights[n:])
	clear(l.flights[left:])
	l.flights = l.flights[:left]
	for _, at := range l.landed {
		if c := l.conns.lookup(at.slot, at.gen); c != nil {
			l.goOn(c, at.s, at.short)
		}
	}
	l.landed = l.landed[:0]
}

// goOn does what waited for a send of the half from s.
func (l *uringLoop) goOn(c *conn, s side, short bool) {
	h := &c.halves[s]
	switch {
	case c.mode == modeReady: // the other half, settled in the same turn, took it there
	case c.mode == modeLeaving:
		l.arrive(c)
	case short || c.proof == disproved:
		l.leave(c)
	case h.hold != nil:
		b := h.hold
		h.hold = nil
		l.fly(c, s, b.bytes(), flight{hold: b})
		l.hurry = true
	case h.state == halfFIN:
		l.ended(c, s)
	case h.state == halfOpen && !c.ends[s].recv:
		l.recv(c, s, true)
	}
}

func (l *uringLoop) landOne(f *flight) {
	if c := l.conns.lookup(f.end.slot, f.end.gen); c != nil {
		l.delivered(c, f)
	}
	if f.hold != nil {
		l.bufs.put(f.hold)
	} else if f.id != noBuffer {
		l.in.Put(f.id)
	}
}

// delivered counts what a send delivered; what it did not is held.
func (l *uringLoop) delivered(c *conn, f *flight) {
	s := f.end.s
	h := &c.halves[s]
	h.flying = 0
	sent := max(f.res, 0)
	if sent > 0 {
		if c.proof != proved && s == client {
			l.remember(c, l.carried(f)[:sent])
		}
		h.bytes += uint64(sent)
		c.active = l.now
		c.flow.Endpoint.Tally.add(l.id, s == client, uint64(sent), 0)
	}
	short := sent < f.len
	if short {
		l.holdRest(c, f, int(sent))
	}
	if short || c.mode == modeLeaving || h.hold != nil || h.state != halfOpen || !c.ends[s].recv {
		l.landed = append(l.landed, landing{f.end, short})
	}
}

// carried returns what a send was given.
func (l *uringLoop) carried(f *flight) []byte {
	if f.hold != nil {
		return f.hold.bytes()
	}
	return l.in.Bytes(f.id, int(f.len))
}

// holdRest puts what a send did not deliver before what has come since.
func (l *uringLoop) holdRest(c *conn, f *flight, sent int) {
	h := &c.halves[f.end.s]
	later := h.hold
	if f.hold != nil {
		f.hold.from += sent
		h.hold, f.hold, f.id = f.hold, nil, noBuffer
	} else {
		h.hold = nil
		l.keep(c, f.end.s, l.in.Bytes(f.id, int(f.len))[sent:])
	}
	if later != nil {
		l.keep(c, f.end.s, later.bytes())
		l.bufs.put(later)
	}
	if f.res < 0 {
		l.writeEnded(c, f.end.s, syscall.Errno(-f.res))
	} else {
		c.ends[f.end.s.other()].wr = false
	}
}
