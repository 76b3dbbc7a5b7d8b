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

// listener is one connection of a streamer.
type listener struct {
	fd    int
	asked bool
	next  uint64 // sequence number of the next message
	part  []byte // of a message that has come in part
}

// streamer reads the messages that the origin sends at its own pace. The streams run from open on, in windows or not.
type streamer struct {
	*dialer
	g     Group
	conns []listener
	buf   []byte
	hist  *stats.Hist
	ops   atomic.Uint64
}

func newStreamer(d *dialer, g Group) *streamer {
	return &streamer{dialer: d, g: g, buf: make([]byte, 64<<10), hist: &stats.Hist{}}
}

func (s *streamer) wake()                { s.poll.Wake() }
func (s *streamer) count() (_, _ uint64) { return s.ops.Load(), 0 }

func (s *streamer) latency() *stats.Hist {
	h := s.hist
	s.hist = &stats.Hist{}
	return h
}

func (s *streamer) open(n int) (int, error) {
	return s.dialUpTo(len(s.conns), n, func(fd int) { s.conns = append(s.conns, listener{fd: fd}) })
}

// run reads until the phase is draining, and then until every stream has got one more message: one that has ceased is
// an error, whenever that happened.
func (s *streamer) run(phase *atomic.Int32) error {
	var deadline time.Time
	var seen []uint64
	for {
		for _, ev := range s.poll.Wait(int64(time.Second)) {
			if err := s.event(&s.conns[ev.Fd], ev.Events, phase); err != nil {
				return err
			}
		}
		if phase.Load() != draining {
			continue
		}
		if seen == nil {
			deadline = time.Now().Add(drainTimeout)
			for i := range s.conns {
				seen = append(seen, s.conns[i].next)
			}
		}
		ceased := 0
		for i := range s.conns {
			if s.conns[i].next == seen[i] {
				ceased++
			}
		}
		if ceased == 0 {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("%d streams hang: no message within %v after the window", ceased, drainTimeout)
		}
	}
}

func (s *streamer) event(c *listener, events uint32, phase *atomic.Int32) error {
	if !c.asked && events&(sock.Out|sock.Bad) != 0 {
		msg := make([]byte, s.g.Up)
		wire.Seal(msg, wire.Header{Op: wire.Stream, Up: uint32(s.g.Up), Down: uint32(s.g.Down), Every: s.g.Every})
		if n, e := sock.Send(c.fd, msg); e != 0 || n < len(msg) {
			return fmt.Errorf("ask for a stream: sent %d of %d bytes: %w", n, len(msg), e)
		}
		c.asked = true
	}
	for events&(sock.In|sock.Bad) != 0 {
		kept := copy(s.buf, c.part)
		n, e := sock.Recv(c.fd, s.buf[kept:])
		if e == syscall.EAGAIN {
			return nil
		}
		if e != 0 {
			return fmt.Errorf("read stream: %w", e)
		}
		if n == 0 {
			return errors.New("read stream: it ended early")
		}
		if err := s.messages(c, s.buf[:kept+n], phase.Load() == measuring); err != nil {
			return err
		}
		if kept+n < len(s.buf) {
			return nil // a short read: more to come is a new edge
		}
	}
	return nil
}

func (s *streamer) messages(c *listener, b []byte, measured bool) error {
	now := wire.Now()
	for len(b) >= s.g.Down {
		h, err := wire.Open(b[:s.g.Down])
		if err != nil {
			return err
		}
		if h.Seq != c.next {
			return fmt.Errorf("read stream: message %d where %d was due", h.Seq, c.next)
		}
		c.next++
		s.ops.Add(1)
		if measured && now > h.Stamp {
			s.hist.Add(now - h.Stamp)
		}
		b = b[s.g.Down:]
	}
	c.part = append(c.part[:0], b...)
	return nil
}
