package ports

import (
	"errors"
	"net"
	"net/http"
	"os"
	"sync"
	"syscall"
	"time"
)

// Pausable is a listener that can stop accepting for a while. Clients wait in its queue meanwhile, which another process may have, too.
// Its methods are safe for concurrent use.
type Pausable struct {
	net.Listener

	turn   sync.Mutex   // held by Pause and Resume: one at a time
	inside sync.RWMutex // held for reading by those who are accepting

	mu     sync.Mutex
	paused chan struct{} // closed when the pause is over; nil: there is none
	closed bool
}

// deadliner is a listener whose Accept can be ended from outside.
type deadliner interface{ SetDeadline(time.Time) error }

// Accept returns the next client. It waits while the listener is paused.
func (p *Pausable) Accept() (net.Conn, error) {
	for {
		c, over, err := p.accept()
		switch {
		case over != nil:
			<-over
		case !errors.Is(err, os.ErrDeadlineExceeded): // only Pause sets one
			return c, err
		}
	}
}

// accept is Accept without a wait for the end of a pause: it returns what is closed then.
func (p *Pausable) accept() (c net.Conn, over chan struct{}, err error) {
	p.inside.RLock()
	defer p.inside.RUnlock()
	if over = p.pause(); over != nil {
		return nil, over, nil
	}
	c, err = p.Listener.Accept()
	return c, nil, err
}

// pause returns what is closed at the end of the pause there is; nil: there is none.
func (p *Pausable) pause() chan struct{} {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.paused
}

// Pause keeps clients from being accepted until Resume or Close: none is once it has returned. An error has changed nothing.
func (p *Pausable) Pause() error {
	p.turn.Lock()
	defer p.turn.Unlock()
	if err := p.begin(); err != nil {
		return err
	}
	p.inside.Lock() // who looked at the deadline before it was set could still take a client that comes later
	defer p.inside.Unlock()
	return nil
}

// begin begins a pause, unless there is one. It ends every Accept of the listener.
func (p *Pausable) begin() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	l, ok := p.Listener.(deadliner)
	switch {
	case !ok:
		return errors.New("the port cannot be paused")
	case p.paused != nil || p.closed:
		return nil
	}
	if err := l.SetDeadline(time.Unix(1, 0)); err != nil {
		return err
	}
	p.paused = make(chan struct{})
	return nil
}

// Resume lets clients be accepted again.
func (p *Pausable) Resume() {
	p.turn.Lock()
	defer p.turn.Unlock()
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.paused == nil {
		return
	}
	if l, ok := p.Listener.(deadliner); ok {
		_ = l.SetDeadline(time.Time{}) // it fails for a closed one only
	}
	close(p.paused)
	p.paused = nil
}

// SyscallConn gives access to the listening socket.
func (p *Pausable) SyscallConn() (syscall.RawConn, error) {
	l, ok := p.Listener.(syscall.Conn)
	if !ok {
		return nil, errors.ErrUnsupported
	}
	return l.SyscallConn()
}

// Close closes the listener.
func (p *Pausable) Close() error {
	p.mu.Lock()
	p.closed = true
	p.mu.Unlock()
	err := p.Listener.Close()
	p.Resume()
	return err
}

// LastScrapes is how long a hand-over waits for requests under way before the connections stand still.
const LastScrapes = 50 * time.Millisecond

// Settle ends connections that wait for their next request, and waits until those under way are answered, or limit has passed.
// The port is paused. The server closes each connection after its answer until KeepAlive.
func (c *Callers) Settle(srv *http.Server, limit time.Duration) {
	srv.SetKeepAlivesEnabled(false)
	for end := time.Now().Add(limit); c.open.Load() > 0 && time.Now().Before(end); {
		time.Sleep(time.Millisecond)
	}
}
