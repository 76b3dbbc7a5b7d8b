package load

import (
	"errors"
	"fmt"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/bench/sock"
	"github.com/l4fwd/l4fwd/bench/stats"
	"github.com/l4fwd/l4fwd/bench/wire"
)

// flow is one connection of bulk. What it sends is a train of requests, what it reads a train of answers; the large ones
// among them are written from a static buffer, and discarded in the kernel.
type flow struct {
	fd        int
	connected bool
	sent      int // bytes of the request under way
	asked     uint64
	answered  uint64
	head      [wire.HeaderSize]byte // of the answer under way
	got       int                   // bytes of it
}

// bulk moves large frames one way: down if Down is larger than Up. Frames overlap, so that the flow never pauses.
type bulk struct {
	*dialer
	g      Group
	flows  []flow
	data   []byte
	ops    atomic.Uint64
	bytes  atomic.Uint64
	ending bool
}

// overlap is the downward frames requested at once; upwards the socket's buffer keeps the flow going.
const overlap = 2

func newBulk(d *dialer, g Group) *bulk { return &bulk{dialer: d, g: g, data: make([]byte, 256<<10)} }

func (b *bulk) wake()                { b.poll.Wake() }
func (b *bulk) count() (_, _ uint64) { return b.ops.Load(), b.bytes.Load() }
func (b *bulk) latency() *stats.Hist { return &stats.Hist{} }
func (b *bulk) down() bool           { return b.g.Down > b.g.Up }

func (b *bulk) open(n int) (int, error) {
	return b.dialUpTo(len(b.flows), n, func(fd int) { b.flows = append(b.flows, flow{fd: fd}) })
}

// run moves data until the phase is draining and every frame begun is whole at its other end. The events are taken
// level-triggered here: one call a wake-up, in turn over the flows.
func (b *bulk) run(phase *atomic.Int32) error {
	for i := range b.flows {
		b.poll.Mod(b.flows[i].fd, b.wants(&b.flows[i]), int32(i))
	}
	b.ending = false
	var deadline time.Time
	for !b.ending || b.underway() {
		for _, ev := range b.poll.Wait(int64(time.Second)) {
			f := &b.flows[ev.Fd]
			before := b.wants(f)
			if err := b.event(f, ev.Events); err != nil {
				return err
			}
			if now := b.wants(f); now != before {
				b.poll.Mod(f.fd, now, ev.Fd)
			}
		}
		if phase.Load() != draining {
			continue
		}
		if !b.ending {
			b.ending, deadline = true, time.Now().Add(drainTimeout)
		} else if time.Now().After(deadline) {
			return fmt.Errorf("bulk hangs: a frame is not complete %v after the window", drainTimeout)
		}
	}
	return nil
}

func (b *bulk) underway() bool {
	for i := range b.flows {
		if f := &b.flows[i]; f.sent > 0 || f.asked > f.answered {
			return true
		}
	}
	return false
}

// wants is the events f waits for: readable always, writable while it has something to write.
func (b *bulk) wants(f *flow) uint32 {
	if b.writes(f) {
		return sock.In | sock.Out
	}
	return sock.In
}

func (b *bulk) writes(f *flow) bool {
	if f.sent > 0 || !f.connected {
		return true
	}
	return !b.ending && (!b.down() || f.asked-f.answered < overlap)
}

func (b *bulk) event(f *flow, events uint32) error {
	if events&sock.Out != 0 {
		f.connected = true
	}
	if events&sock.Out != 0 && b.writes(f) {
		if err := b.write(f); err != nil {
			return err
		}
	}
	if events&(sock.In|sock.Bad) != 0 {
		return b.read(f)
	}
	return nil
}

func (b *bulk) write(f *flow) error {
	left := b.g.Up - f.sent
	msg := b.data[wire.HeaderSize:]
	if f.sent < wire.HeaderSize {
		var head [wire.HeaderSize]byte
		wire.Header{Op: wire.Exchange, Up: uint32(b.g.Up), Down: uint32(b.g.Down), Seq: f.asked + 1}.Put(head[:])
		n := copy(b.data, head[f.sent:])
		msg = b.data[:len(b.data)-wire.HeaderSize+n]
	}
	n, e := sock.Send(f.fd, msg[:min(left, len(msg))])
	if e == syscall.EAGAIN {
		return nil
	}
	if e != 0 {
		return fmt.Errorf("send: %w", e)
	}
	if !b.down() {
		b.bytes.Add(uint64(n))
	}
	if f.sent += n; f.sent == b.g.Up {
		f.sent = 0
		f.asked++
	}
	return nil
}

func (b *bulk) read(f *flow) error {
	var n int
	var e syscall.Errno
	if f.got < wire.HeaderSize {
		n, e = sock.Recv(f.fd, f.head[f.got:])
	} else {
		n, e = sock.Discard(f.fd, min(b.g.Down-f.got, 1<<20))
	}
	if e == syscall.EAGAIN {
		return nil
	}
	if e != 0 {
		return fmt.Errorf("read: %w", e)
	}
	if n == 0 {
		return errors.New("read: the stream ended early")
	}
	f.got += n
	if b.down() {
		b.bytes.Add(uint64(n))
	}
	if f.got == wire.HeaderSize {
		if err := b.check(f); err != nil {
			return err
		}
	}
	if f.got == b.g.Down {
		f.got = 0
		f.answered++
		b.ops.Add(1)
	}
	return nil
}

func (b *bulk) check(f *flow) error {
	h, err := wire.Parse(f.head[:])
	if err != nil {
		return err
	}
	if h.Seq != f.answered+1 || int(h.Down) != b.g.Down {
		return fmt.Errorf("read: frame %d of %d bytes where %d was due", h.Seq, h.Down, f.answered+1)
	}
	return nil
}
