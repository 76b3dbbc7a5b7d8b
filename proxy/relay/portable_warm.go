package relay

import (
	"math/rand/v2"
	"net"
	"slices"
	"time"

	"golang.org/x/sys/unix"
)

// newWarm returns a connection that may be taken. Its deadline is set here, since whoever takes it sets another.
func (p *portablePool) newWarm(ep *Endpoint, sock *net.TCPConn) *portableWarm {
	w := &portableWarm{ep: ep, sock: sock, since: time.Now(), taken: make(chan struct{}), done: make(chan struct{})}
	w.until = w.since.Add(p.MaxIdle - time.Duration(float64(p.MaxIdle/8)*rand.Float64()))
	sock.SetReadDeadline(w.until)
	return w
}

// watch waits with a connection until it is taken, has waited long enough, or is ended by its peer.
func (p *portablePool) watch(w *portableWarm) {
	ended := w.peek()
	if !ended {
		select {
		case <-w.taken:
		case <-time.After(time.Until(w.until)):
		}
	}
	close(w.done)
	switch {
	case !ended:
		if p.remove(w, LeftExpired) {
			w.sock.Close()
			p.good()
		}
	case p.remove(w, LeftEnded):
		w.sock.Close()
		if time.Since(w.since) < p.MaxIdle/earlyPart {
			p.strike()
		}
	}
	p.nudge()
}

// peek returns true once the peer has ended, false once it has sent something or the deadline is reached.
func (w *portableWarm) peek() (ended bool) {
	raw, err := w.sock.SyscallConn()
	if err != nil {
		return true
	}
	raw.Read(func(fd uintptr) bool {
		var one [1]byte
		n, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
		if err == unix.EAGAIN || err == unix.EINTR {
			return false
		}
		ended = err != nil || n == 0
		return true
	})
	return ended
}

// unwatch returns once the socket is the caller's alone.
func (w *portableWarm) unwatch() {
	close(w.taken)
	w.sock.SetReadDeadline(past)
	<-w.done
	w.sock.SetReadDeadline(time.Time{})
}

// remove takes w out of the pool. It returns false if somebody else did.
func (p *portablePool) remove(w *portableWarm, why Leave) bool {
	p.mu.Lock()
	defer p.mu.Unlock()
	i := slices.Index(p.ready, w)
	if i < 0 {
		return false
	}
	p.ready = slices.Delete(p.ready, i, i+1)
	p.Keeper.Left(0, w.ep, why)
	return true
}

// take returns the connection that the policy chooses for f, to f's endpoint or to another one, which is f's then; nil if
// there is none.
func (p *portablePool) take(f *Flow) *net.TCPConn {
	var ready []*Endpoint
	p.mu.Lock()
	for _, w := range p.ready {
		ready = append(ready, w.ep)
	}
	p.mu.Unlock()
	ep := p.Keeper.Choose(f, f.Endpoint, ready)
	if ep == nil {
		return nil
	}
	f.Endpoint = ep
	for { // one that ends in this instant is not to be had
		w := p.to(ep)
		if w == nil {
			return nil
		}
		if p.remove(w, LeftUsed) {
			w.unwatch()
			p.nudge()
			return w.sock
		}
	}
}

// to returns the latest connection to the address of ep, nil if there is none. It stays in the pool.
func (p *portablePool) to(ep *Endpoint) *portableWarm {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, w := range slices.Backward(p.ready) {
		if w.ep.Addr == ep.Addr {
			return w
		}
	}
	return nil
}

// strike makes no attempt for a while, longer each time until good is called. What fails during a rest counts with what
// began it.
func (p *portablePool) strike() {
	p.mu.Lock()
	defer p.mu.Unlock()
	if time.Now().Before(p.rests) {
		return
	}
	p.strikes++
	d := restFor(p.strikes, rand.Float64())
	p.rests, p.lacking = time.Now().Add(d), false
	p.noteRest(0, d)
}

// good notes that the peer keeps connections that wait.
func (p *portablePool) good() {
	p.mu.Lock()
	was := p.strikes
	p.strikes = 0
	p.mu.Unlock()
	if was > 0 {
		p.noteRest(0, 0)
	}
}

// nudge has the pool's goroutine look whether connections are missing.
func (p *portablePool) nudge() {
	select {
	case p.wake <- struct{}{}:
	default:
	}
}

// poolOf returns the pool that keeps the connections of w, nil if there is none.
func (e *portable) poolOf(w *Warm) *portablePool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.pools[w]
}
