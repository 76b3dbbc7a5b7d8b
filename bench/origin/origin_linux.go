package origin

import (
	"encoding/json"
	"fmt"
	"io"
	"net/netip"
	"os"
	"runtime"
	"sync/atomic"
	"syscall"

	"github.com/l4fwd/l4fwd/bench/sock"
	"github.com/l4fwd/l4fwd/bench/wire"
)

// maxFds bounds the table of connections by fd; RLIMIT_NOFILE is well below it wherever the bench runs 9,000 connections.
const maxFds = 1 << 17

// server is the origin: listeners and small exchanges on its small loops, large transfers on its bulk loops, so that
// what bulk costs the latency of small exchanges is the proxy's doing and not the origin's.
type server struct {
	conns     []*conn // by fd; written before the fd joins a loop, then only touched by that loop
	small     []*loop
	bulk      []*loop
	listeners map[int]bool // never changed after start
	next      atomic.Uint32
	faults    atomic.Int64
}

// Ready is the line the origin writes to its standard output once it listens.
type Ready struct {
	Addrs []netip.AddrPort `json:"addrs"`
}

// Main runs an origin with a listener on a free port of each of addrs, which may repeat, until stdin ends.
func Main(addrs []netip.Addr, stdin io.Reader, stdout io.Writer) error {
	if _, err := sock.RaiseFileLimit(); err != nil {
		return err
	}
	n := sock.Loops()
	sock.PrepareProcess(2 * n)
	s := &server{conns: make([]*conn, maxFds), listeners: map[int]bool{}}
	for range n {
		small, err := newLoop(s, false)
		if err != nil {
			return err
		}
		bulk, err := newLoop(s, true)
		if err != nil {
			return err
		}
		s.small, s.bulk = append(s.small, small), append(s.bulk, bulk)
	}
	var ready Ready
	for _, a := range addrs {
		fd, addr, err := sock.Listen(netip.AddrPortFrom(a, 0))
		if err != nil {
			return err
		}
		s.listeners[fd] = true
		ready.Addrs = append(ready.Addrs, addr)
		if e := s.small[0].poll.Add(fd, sock.In, int32(fd)); e != 0 {
			return fmt.Errorf("watch listener: %w", e)
		}
	}
	for i := range n {
		go s.small[i].run()
		go s.bulk[i].run()
	}
	if err := json.NewEncoder(stdout).Encode(ready); err != nil {
		return fmt.Errorf("report addresses: %w", err)
	}
	_, err := io.Copy(io.Discard, stdin)
	return err
}

// fault reports bytes that no correct relay delivers; the load sees the connection end and invalidates the repetition.
func (s *server) fault(err error) {
	if s.faults.Add(1) <= 20 {
		fmt.Fprintln(os.Stderr, "origin:", err)
	}
}

// loop is one thread of the origin.
type loop struct {
	s    *server
	bulk bool // large transfers live here; a small loop hands them over
	poll *sock.Poll
	buf  []byte  // what is read
	out  []byte  // what is sent; the bytes behind a header are whatever was there
	due  []*conn // streams, the soonest first
}

func newLoop(s *server, bulk bool) (*loop, error) {
	p, err := sock.NewPoll()
	if err != nil {
		return nil, err
	}
	return &loop{s: s, bulk: bulk, poll: p, buf: make([]byte, 64<<10), out: make([]byte, 256<<10)}, nil
}

func (l *loop) run() {
	runtime.LockOSThread()
	for {
		for _, ev := range l.poll.Wait(l.untilDue()) {
			fd := int(ev.Fd)
			if l.s.listeners[fd] {
				l.accept(fd)
				continue
			}
			if c := l.s.conns[fd]; c != nil && !l.serve(c, ev.Events) {
				l.close(c)
			}
		}
		l.sendDue(wire.Now())
	}
}

func (l *loop) accept(listener int) {
	for range 64 {
		fd, e := sock.Accept(listener)
		if e != 0 {
			if e != syscall.EAGAIN && e != syscall.ECONNABORTED {
				l.s.fault(fmt.Errorf("accept: %w", e))
			}
			return
		}
		if fd >= maxFds {
			sock.Close(fd)
			continue
		}
		to := l.s.small[int(l.s.next.Add(1))%len(l.s.small)]
		l.s.conns[fd] = &conn{fd: fd}
		to.poll.Add(fd, sock.In, int32(fd))
	}
}

func (l *loop) close(c *conn) {
	c.closed = true
	l.s.conns[c.fd] = nil
	sock.Close(c.fd)
}
