package origin

import (
	"errors"
	"fmt"
	"syscall"

	"github.com/l4fwd/l4fwd/bench/sock"
	"github.com/l4fwd/l4fwd/bench/wire"
)

// conn is one connection of the origin, owned by one loop at a time.
type conn struct {
	fd     int
	part   []byte // of a message that has not arrived whole
	want   bool   // EPOLLOUT is asked for
	closed bool

	discard int         // bytes of a large request still to come; its answer is due then
	request wire.Header // the request being discarded
	answers []answer    // large answers still to be sent, the first one under way

	stream *stream // nil unless the connection asked for one
}

// answer is a large answer under way.
type answer struct {
	head wire.Header
	sent int // bytes of it, header included
}

// serve handles readiness of c; false ends the connection.
func (l *loop) serve(c *conn, events uint32) bool {
	if events&sock.Out != 0 && !l.flush(c) {
		return false
	}
	if events&(sock.In|sock.Bad) == 0 {
		return true
	}
	if c.discard > 0 {
		return l.discard(c)
	}
	return l.read(c)
}

func (l *loop) read(c *conn) bool {
	kept := copy(l.buf, c.part)
	n, e := sock.Recv(c.fd, l.buf[kept:])
	if e == syscall.EAGAIN {
		return true
	}
	if e != 0 || n == 0 {
		if kept > 0 && n == 0 && e == 0 {
			l.s.fault(fmt.Errorf("read request: the stream ended after %d bytes of one", kept))
		}
		return false
	}
	rest, ok := l.requests(c, l.buf[:kept+n])
	c.part = append(c.part[:0], rest...)
	if ok && !l.bulk && (c.discard > 0 || len(c.answers) > 0) {
		l.moveToBulk(c)
	}
	return ok
}

// requests handles every whole request in b and returns what is left.
func (l *loop) requests(c *conn, b []byte) (rest []byte, ok bool) {
	for len(b) >= wire.HeaderSize {
		if wire.IsHello(b) {
			n := wire.HelloSize(b)
			if n > len(b) {
				return b, true
			}
			if !l.hello(c, b, n) {
				return nil, false
			}
			b = b[n:]
			continue
		}
		h, err := wire.Parse(b)
		if err == nil && h.Op == wire.Answer {
			err = errors.New("read request: it is an answer")
		}
		if err != nil {
			l.s.fault(err)
			return nil, false
		}
		if h.Up > wire.SmallMax {
			c.request = h
			c.discard = int(h.Up) - len(b)
			if c.discard < 0 {
				l.s.fault(errors.New("read request: a large one was pipelined"))
				return nil, false
			}
			if c.discard == 0 {
				return nil, l.answer(c, h)
			}
			return nil, true
		}
		if len(b) < int(h.Up) {
			return b, true
		}
		if _, err := wire.Open(b[:h.Up]); err != nil {
			l.s.fault(err)
			return nil, false
		}
		b = b[h.Up:]
		if !l.answer(c, h) {
			return nil, false
		}
	}
	return b, true
}

// hello answers a request that is the first n bytes of b, a ClientHello; n is -1 where it is none after all.
func (l *loop) hello(c *conn, b []byte, n int) bool {
	h, err := wire.OpenHello(b[:max(n, 0)])
	if err != nil {
		l.s.fault(err)
		return false
	}
	return l.answer(c, h)
}

func (l *loop) answer(c *conn, h wire.Header) bool {
	if h.Op == wire.Stream {
		l.startStream(c, h)
		return true
	}
	reply := wire.Header{Op: wire.Answer, Up: h.Up, Down: h.Down, Seq: h.Seq, Stamp: h.Stamp}
	if h.Down > wire.SmallMax {
		c.answers = append(c.answers, answer{head: reply})
		return !l.bulk || l.flush(c)
	}
	msg := l.out[:h.Down]
	wire.Seal(msg, reply)
	n, e := sock.Send(c.fd, msg)
	if e == 0 && n < len(msg) {
		l.s.fault(fmt.Errorf("send answer: only %d of %d bytes fitted", n, len(msg)))
	}
	return e == 0 && n == len(msg)
}

// moveToBulk hands c to a bulk loop, which owns it from then on; nothing here may touch it after the Add.
func (l *loop) moveToBulk(c *conn) {
	l.poll.Del(c.fd)
	to := l.s.bulk[int(l.s.next.Add(1))%len(l.s.bulk)]
	flags := uint32(sock.In)
	if c.want = len(c.answers) > 0; c.want {
		flags |= sock.Out
	}
	to.poll.Add(c.fd, flags, int32(c.fd))
}

// discard drops the body of a large request and answers at its end.
func (l *loop) discard(c *conn) bool {
	n, e := sock.Discard(c.fd, min(c.discard, 1<<20))
	if e == syscall.EAGAIN {
		return true
	}
	if e != 0 || n == 0 {
		return false
	}
	if c.discard -= n; c.discard > 0 {
		return true
	}
	return l.answer(c, c.request)
}

// flush sends of the large answers what fits into one send, and asks for EPOLLOUT exactly while something is left.
func (l *loop) flush(c *conn) bool {
	if len(c.answers) > 0 {
		a := &c.answers[0]
		left := int(a.head.Down) - a.sent
		b := l.out[wire.HeaderSize:]
		if a.sent < wire.HeaderSize {
			var head [wire.HeaderSize]byte
			a.head.Put(head[:])
			b = l.out[:copy(l.out, head[a.sent:])+len(l.out)-wire.HeaderSize]
		}
		n, e := sock.Send(c.fd, b[:min(left, len(b))])
		if e != 0 && e != syscall.EAGAIN {
			return false
		}
		if e == 0 {
			a.sent += n
		}
		if a.sent == int(a.head.Down) {
			c.answers = append(c.answers[:0], c.answers[1:]...)
		}
	}
	if want := len(c.answers) > 0; want != c.want {
		c.want = want
		flags := uint32(sock.In)
		if want {
			flags |= sock.Out
		}
		l.poll.Mod(c.fd, flags, int32(c.fd))
	}
	return true
}
