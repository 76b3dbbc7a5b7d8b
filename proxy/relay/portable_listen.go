package relay

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

const (
	acceptPause = 100 * time.Millisecond // how long accept rests when the system has no descriptor or memory left
	queuedGrace = 20 * time.Millisecond  // a stopped listener's queue counts as empty after this long without a client
	queuedMax   = time.Second            // and is closed after this long even while clients keep coming
)

// openPortable opens a listener that does not accept yet. The error is a ListenError, or says which descriptor is no listener.
func openPortable(e *portable, ln *Listener) (*portableListener, error) {
	tcp, err := listenPortable(ln)
	if err != nil {
		return nil, err
	}
	l := &portableListener{eng: e, tcp: tcp, stopping: make(chan struct{}), ended: make(chan struct{})}
	l.ln.Store(ln)
	return l, nil
}

// stopListeners has the clients served that the kernel has queued, and returns when the listeners are closed. It may be
// called again.
func stopListeners(all []*portableListener) {
	for _, l := range all {
		if !l.stopped() {
			close(l.stopping)
			l.tcp.SetDeadline(past)
		}
	}
	for _, l := range all {
		<-l.ended
	}
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

// adoptListener returns a listener on a duplicate of the descriptor that was handed in.
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
func (l *portableListener) acceptLoop() {
	defer close(l.ended)
	defer l.tcp.Close()
	for {
		sock, err := l.tcp.AcceptTCP()
		switch {
		case err == nil:
			l.eng.admit(l.ln.Load(), sock)
		case l.stopped():
			l.takeQueued()
			return
		case acceptStarved(err):
			l.eng.pauses.Add(1)
			l.rest()
		default: // unknown: go on, but never spin
			l.rest()
		}
	}
}

// acceptStarved reports whether accept found no descriptor or memory.
func acceptStarved(err error) bool {
	return errors.Is(err, syscall.EMFILE) || errors.Is(err, syscall.ENFILE) ||
		errors.Is(err, syscall.ENOBUFS) || errors.Is(err, syscall.ENOMEM)
}

// takeQueued serves the clients that the kernel had connected before the listener was stopped. The deadline lies in
// the future, because Accept does not even try once it has passed.
func (l *portableListener) takeQueued() {
	for end := time.Now().Add(queuedMax); time.Now().Before(end); {
		l.tcp.SetDeadline(time.Now().Add(queuedGrace))
		sock, err := l.tcp.AcceptTCP()
		if err != nil {
			return
		}
		l.eng.admit(l.ln.Load(), sock)
	}
}

// rest waits for acceptPause, or until accepting is stopped.
func (l *portableListener) rest() {
	select {
	case <-l.stopping:
	case <-time.After(acceptPause):
	}
}

// stopped reports whether accepting was stopped.
func (l *portableListener) stopped() bool {
	select {
	case <-l.stopping:
		return true
	default:
		return false
	}
}

// admit registers a connection, so that closeAll finds it as soon as accept has returned it, and starts its life.
func (e *portable) admit(l *Listener, sock *net.TCPConn) {
	c := newPortableConn(e, l, sock)
	if n, limit := e.active.Add(1), e.tuning.Load().MaxConnections; limit > 0 && n > int64(limit) {
		c.refused = LimitConnections
	}
	e.mu.Lock()
	e.conns[c] = struct{}{}
	e.mu.Unlock()
	e.serving.Go(c.serve)
}
