package load

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"syscall"
	"time"

	"github.com/l4fwd/l4fwd/bench/sock"
	"github.com/l4fwd/l4fwd/bench/stats"
	"github.com/l4fwd/l4fwd/bench/wire"
)

// peer is one connection of an exchanger.
//
//	free ── dial ──► connecting ── writable ──► waiting ── whole answer ──► idle ── next exchange ──► waiting
//	  ▲                                            └── with Reconnect: close ──► free
type peer struct {
	fd    int
	state state
	got   int // bytes of the answer
	seq   uint64
	start uint64 // ns
}

type state uint8

const (
	free state = iota
	connecting
	waiting
	idle
)

// exchanger does exchanges in a closed loop: a fixed number is under way, and each one completed starts the next.
type exchanger struct {
	*dialer
	g       Group
	peers   []peer
	order   []int32 // every connection once, shuffled, so that neighbours in use are no neighbours in memory
	at      int     // next of order
	seq     uint64
	busy    int // exchanges under way
	msg     []byte
	seal    func(msg []byte, h wire.Header) // writes the header into msg
	buf     []byte
	partial map[int32][]byte // answers that have come in part; rare
	hist    *stats.Hist
	ops     atomic.Uint64
}

func newExchanger(d *dialer, g Group, seq uint64) (*exchanger, error) {
	x := &exchanger{dialer: d, g: g, seq: seq, msg: make([]byte, g.Up), seal: wire.Seal, buf: make([]byte, g.Down+1),
		partial: map[int32][]byte{}, hist: &stats.Hist{}}
	if g.Hello != "" {
		var err error
		if x.msg, err = wire.NewHello(g.Hello); err != nil {
			return nil, err
		}
		x.seal = wire.SealHello
	}
	return x, nil
}

func (x *exchanger) wake()                { x.poll.Wake() }
func (x *exchanger) count() (_, _ uint64) { return x.ops.Load(), 0 }

func (x *exchanger) latency() *stats.Hist {
	h := x.hist
	x.hist = &stats.Hist{}
	return h
}

// openAtOnce bounds the handshakes under way, well below any accept queue.
const openAtOnce = 64

// open makes n connections that have each done one exchange. Once a connection fails no more are started: a proxy that
// is out of fds is measured with what it holds.
func (x *exchanger) open(n int) (int, error) {
	first := len(x.peers)
	if n <= first {
		return first, nil
	}
	x.peers = append(x.peers, make([]peer, n-first)...)
	x.shuffle()
	if x.g.Reconnect {
		return n, nil
	}
	deadline := time.Now().Add(openTimeout)
	next, good := first, first
	var failed error
	for good < n && (failed == nil || x.busy > 0) && time.Now().Before(deadline) {
		for failed == nil && next < n && x.busy < openAtOnce {
			failed = x.begin(int32(next))
			next++
		}
		for _, ev := range x.poll.Wait(int64(100 * time.Millisecond)) {
			done, err := x.event(ev)
			if done {
				good++
			}
			if err != nil {
				failed = err
				x.drop(ev.Fd)
			}
		}
	}
	if failed == nil && good < n {
		failed = fmt.Errorf("only %d of %d connections answered within %v", good, n, openTimeout)
	}
	x.keepIdle()
	return len(x.peers), failed
}

// drop forgets a connection that failed.
func (x *exchanger) drop(slot int32) {
	p := &x.peers[slot]
	if p.state == free {
		return
	}
	if p.state == connecting || p.state == waiting {
		x.busy--
	}
	sock.Close(p.fd)
	delete(x.partial, slot)
	*p = peer{}
}

// keepIdle closes whatever did not come to work and closes the gaps it leaves.
func (x *exchanger) keepIdle() {
	kept := 0
	for i := range x.peers {
		if x.peers[i].state != idle {
			x.drop(int32(i))
			continue
		}
		if kept != i {
			x.peers[kept] = x.peers[i]
			x.poll.Mod(x.peers[kept].fd, sock.In|sock.Out|sock.Edge, int32(kept))
		}
		kept++
	}
	if kept < len(x.peers) {
		x.peers = x.peers[:kept]
		x.shuffle()
	}
}

func (x *exchanger) shuffle() {
	x.order, x.at = make([]int32, len(x.peers)), 0
	for i, j := range rand.Perm(len(x.peers)) {
		x.order[i] = int32(j)
	}
}

// begin starts an exchange on a connection, which it opens first where there is none.
func (x *exchanger) begin(slot int32) error {
	p := &x.peers[slot]
	p.start, p.got = wire.Now(), 0
	if p.state == free {
		fd, err := x.dial(slot)
		if err != nil {
			return err
		}
		x.busy++
		p.fd, p.state = fd, connecting
		return nil
	}
	x.busy++
	return x.request(p)
}

func (x *exchanger) request(p *peer) error {
	x.seq++
	p.seq, p.state = x.seq, waiting
	x.seal(x.msg, wire.Header{Op: wire.Exchange, Up: uint32(len(x.msg)), Down: uint32(x.g.Down), Seq: p.seq, Stamp: p.start})
	n, e := sock.Send(p.fd, x.msg)
	if e != 0 {
		return fmt.Errorf("send request: %w", e)
	}
	if n < len(x.msg) {
		return fmt.Errorf("send request: only %d of %d bytes fitted", n, len(x.msg))
	}
	return nil
}

// event handles readiness of a connection; done says that its exchange is complete.
func (x *exchanger) event(ev sock.Event) (done bool, err error) {
	p := &x.peers[ev.Fd]
	switch p.state {
	case free:
		return false, nil
	case connecting:
		if ev.Events&(sock.Out|sock.Bad) == 0 {
			return false, nil
		}
		return false, x.request(p)
	case idle:
		if ev.Events&(sock.In|sock.Bad) != 0 {
			return false, errors.New("an idle connection was ended, or sent more than was asked for")
		}
		return false, nil
	}
	if ev.Events&(sock.In|sock.Bad) == 0 {
		return false, nil
	}
	return x.answer(ev.Fd, p)
}

// answer reads what has come; one byte more than is due is asked for, so that a surplus shows.
func (x *exchanger) answer(slot int32, p *peer) (done bool, err error) {
	n, e := sock.Recv(p.fd, x.buf[:x.g.Down+1-p.got])
	if e == syscall.EAGAIN {
		return false, nil
	}
	if e != 0 {
		return false, fmt.Errorf("read answer: %w", e)
	}
	if n == 0 {
		return false, fmt.Errorf("read answer: the stream ended after %d of %d bytes", p.got, x.g.Down)
	}
	b := x.buf[:n]
	if p.got > 0 || n < x.g.Down {
		b = append(x.partial[slot], b...)
		x.partial[slot] = b
	}
	if p.got += n; p.got < x.g.Down {
		return false, nil
	}
	if p.got > x.g.Down {
		return false, fmt.Errorf("read answer: more than the %d bytes asked for", x.g.Down)
	}
	h, err := wire.Open(b)
	if err == nil && h.Seq != p.seq {
		err = fmt.Errorf("read answer: to request %d, not to %d", h.Seq, p.seq)
	}
	delete(x.partial, slot)
	x.busy--
	p.state = idle
	if x.g.Reconnect {
		x.end(p)
	}
	return true, err
}

// end closes the connection of an exchange that had one of its own.
func (x *exchanger) end(p *peer) {
	if x.g.Abort {
		sock.Abort(p.fd)
	} else {
		sock.Close(p.fd)
	}
	p.state = free
}
