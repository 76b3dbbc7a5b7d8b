package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync"
	"sync/atomic"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// portable is the engine of systems without epoll, and the oracle of the other engines in the tests: plain net, blocking
// calls, a goroutine for each direction and one that watches over both. Obvious rather than fast.
//
// It keeps the rules of conn.go with three exceptions. A reset of an end whose FIN was read before is found only by the
// next write to it. An upstream that resets in the instant of connecting looks like one that refused, and what it sent
// is lost (see dialReason). And on systems other than Linux a reset may be taken for a FIN where a write to the same end
// found it first (see portableConn.wasReset).
type portable struct {
	opts      Options
	lns       []*net.TCPListener
	stopping  chan struct{}
	stopOnce  sync.Once
	accepting sync.WaitGroup // accept loops
	serving   sync.WaitGroup // connections

	active atomic.Int64
	ids    atomic.Uint64
	pauses atomic.Uint64

	mu    sync.Mutex
	conns map[*portableConn]struct{}
}

const (
	acceptPause = 100 * time.Millisecond // how long accept rests when the system has no descriptor or memory left
	queuedGrace = 20 * time.Millisecond  // a stopped listener's queue counts as empty after this long without a client
	queuedMax   = time.Second            // and is closed after this long even while clients keep coming
)

// past is a deadline that has been reached: setting it wakes whoever is blocked on the socket.
var past = time.Unix(1, 0)

func startPortable(o Options) (engine, error) {
	e := &portable{opts: o, stopping: make(chan struct{}), conns: map[*portableConn]struct{}{}}
	for i := range o.Listeners {
		ln, err := listenPortable(&o.Listeners[i])
		if err != nil {
			for _, l := range e.lns {
				l.Close()
			}
			return nil, err
		}
		e.lns = append(e.lns, ln)
	}
	for i, ln := range e.lns {
		e.accepting.Go(func() { e.acceptLoop(&o.Listeners[i], ln) })
	}
	return e, nil
}

// listenPortable opens l's address, or takes a duplicate of its descriptor.
func listenPortable(l *Listener) (*net.TCPListener, error) {
	if l.FD != 0 {
		return adoptListener(l)
	}
	// "tcp" would make 0.0.0.0 a dual-stack socket, too.
	network := "tcp6"
	switch a := l.Addr.Addr(); {
	case a.Is4():
		network = "tcp4"
	case a == netip.IPv6Unspecified():
		network = "tcp"
	}
	var lc net.ListenConfig
	lc.SetMultipathTCP(false) // on by default since Go 1.24
	ln, err := lc.Listen(context.Background(), network, l.Addr.String())
	if err != nil {
		var sys *os.SyscallError // without the address, which ListenError says
		if errors.As(err, &sys) {
			err = sys
		}
		return nil, &ListenError{Listener: l.Name, Addr: l.Addr, Err: err}
	}
	return ln.(*net.TCPListener), nil
}

func adoptListener(l *Listener) (*net.TCPListener, error) {
	fd, err := unix.FcntlInt(uintptr(l.FD), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, fmt.Errorf("take over listener %s: duplicate descriptor %d: %w", l.Name, l.FD, err)
	}
	f := os.NewFile(uintptr(fd), l.Name)
	defer f.Close() // FileListener has made a duplicate of its own
	ln, err := net.FileListener(f)
	if err != nil {
		return nil, fmt.Errorf("take over listener %s: %w", l.Name, err)
	}
	tcp, ok := ln.(*net.TCPListener)
	if !ok {
		ln.Close()
		return nil, fmt.Errorf("take over listener %s: descriptor %d is no TCP socket", l.Name, l.FD)
	}
	return tcp, nil
}

// acceptLoop ends only when accepting is stopped: no error of accept is a reason to turn clients away for ever.
func (e *portable) acceptLoop(l *Listener, ln *net.TCPListener) {
	defer ln.Close()
	for {
		sock, err := ln.AcceptTCP()
		switch {
		case err == nil:
			e.admit(l, sock)
		case e.stopped():
			e.takeQueued(l, ln)
			return
		case acceptStarved(err):
			e.pauses.Add(1)
			e.rest()
		default: // unknown: go on, but never spin
			e.rest()
		}
	}
}

func acceptStarved(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// takeQueued serves the clients that the kernel had connected before the listener was stopped. The deadline lies in
// the future, because Accept does not even try once it has passed.
func (e *portable) takeQueued(l *Listener, ln *net.TCPListener) {
	for end := time.Now().Add(queuedMax); time.Now().Before(end); {
		ln.SetDeadline(time.Now().Add(queuedGrace))
		sock, err := ln.AcceptTCP()
		if err != nil {
			return
		}
		e.admit(l, sock)
	}
}

func (e *portable) rest() {
	select {
	case <-e.stopping:
	case <-time.After(acceptPause):
	}
}

func (e *portable) stopped() bool {
	select {
	case <-e.stopping:
		return true
	default:
		return false
	}
}

// admit registers a connection, so that closeAll finds it as soon as accept has returned it, and starts its life.
func (e *portable) admit(l *Listener, sock *net.TCPConn) {
	c := newPortableConn(e, l, sock)
	if n := e.active.Add(1); e.opts.MaxConnections > 0 && n > int64(e.opts.MaxConnections) {
		c.refused = LimitConnections
	}
	e.mu.Lock()
	e.conns[c] = struct{}{}
	e.mu.Unlock()
	e.serving.Go(c.serve)
}

// forget is the last act of a connection.
func (e *portable) forget(c *portableConn) {
	e.mu.Lock()
	delete(e.conns, c)
	e.mu.Unlock()
	e.active.Add(-1)
}

func (e *portable) addrs() []netip.AddrPort {
	all := make([]netip.AddrPort, len(e.lns))
	for i, ln := range e.lns {
		all[i] = addrPort(ln.Addr())
	}
	return all
}

func (e *portable) stopAccepting() {
	e.stopOnce.Do(func() {
		close(e.stopping)
		for _, ln := range e.lns {
			ln.SetDeadline(past)
		}
	})
	e.accepting.Wait()
}

func (e *portable) closeAll(r Reason) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for c := range e.conns {
		c.kill(endedBy(r))
	}
}

func (e *portable) stop() { e.serving.Wait() }

// alive has no loop to ask: the scheduler of the runtime turns, or this would not run.
func (e *portable) alive(context.Context) error { return nil }

func (e *portable) stats() Stats {
	return Stats{Active: e.active.Load(), AcceptPauses: e.pauses.Load()}
}

func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
