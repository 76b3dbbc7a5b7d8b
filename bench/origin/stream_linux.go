package origin

import (
	"math/rand/v2"
	"syscall"

	"github.com/l4fwd/l4fwd/bench/sock"
	"github.com/l4fwd/l4fwd/bench/wire"
)

// stream is a connection that gets a message every so often.
type stream struct {
	head wire.Header
	next uint64 // when the next message is due, ns
	left []byte // of a message that did not fit; sent before the next one
}

// startStream makes c a stream whose first message comes after a random part of its interval, so that many streams
// started at once do not tick together.
func (l *loop) startStream(c *conn, h wire.Header) {
	every := uint64(max(h.Every, 1000))
	c.stream = &stream{
		head: wire.Header{Op: wire.Stream, Up: h.Up, Down: min(h.Down, wire.SmallMax), Every: h.Every},
		next: wire.Now() + rand.Uint64N(every),
	}
	l.schedule(c)
}

// schedule puts c where it belongs; with one interval for all that is the end.
func (l *loop) schedule(c *conn) {
	i := len(l.due)
	l.due = append(l.due, c)
	for ; i > 0 && l.due[i-1].stream.next > c.stream.next; i-- {
		l.due[i] = l.due[i-1]
	}
	l.due[i] = c
}

// untilDue is how long the loop may sleep, in ns; negative is for ever.
func (l *loop) untilDue() int64 {
	if len(l.due) == 0 {
		return -1
	}
	return int64(l.due[0].stream.next) - min(int64(wire.Now()), int64(l.due[0].stream.next))
}

func (l *loop) sendDue(now uint64) {
	for len(l.due) > 0 && l.due[0].stream.next <= now {
		c := l.due[0]
		l.due = append(l.due[:0], l.due[1:]...)
		if c.closed {
			continue
		}
		if !l.tick(c) {
			l.close(c)
			continue
		}
		// A loop that is late skips ticks instead of sending them in a burst, which would be cheaper to relay.
		s := c.stream
		if s.next += uint64(s.head.Every); s.next < now {
			s.next = now + uint64(s.head.Every)
		}
		l.schedule(c)
	}
}

// tick sends one message, stamped with now; one that does not fit whole is finished later, one that does not fit at all is left out.
func (l *loop) tick(c *conn) bool {
	s := c.stream
	b := s.left
	if len(b) == 0 {
		s.head.Stamp = wire.Now()
		b = l.out[:s.head.Down]
		wire.Seal(b, s.head)
	}
	n, e := sock.Send(c.fd, b)
	if e == syscall.EAGAIN {
		return true
	}
	if e != 0 {
		return false
	}
	if len(s.left) == 0 {
		s.head.Seq++
	}
	s.left = append(s.left[:0], b[n:]...)
	return true
}
