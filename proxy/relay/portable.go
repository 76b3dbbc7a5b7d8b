package relay

import (
	"context"
	"maps"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"
)

// portable is the engine of systems without epoll, and the oracle of the other engines in the tests: plain net, blocking
// calls, a goroutine for each direction and one that watches over both. Obvious rather than fast.
//
// It keeps the rules of core_conn.go with three exceptions. A reset of an end whose FIN was read before is found only by the
// next write to it. An upstream that resets in the instant of connecting looks like one that refused, and what it sent
// is lost (see dialReason). And on systems other than Linux a reset may be taken for a FIN where a write to the same end
// found it first (see portableConn.wasReset).
type portable struct {
	opts    Options
	tuning  atomic.Pointer[Tuning]
	serving sync.WaitGroup // connections

	active atomic.Int64
	ids    atomic.Uint64
	pauses atomic.Uint64

	buffered atomic.Int64  // bytes that stuck connections hold, as measured last
	stopped  chan struct{} // closed by stop

	lns []*portableListener // one change at a time is the Relay's care

	mu    sync.Mutex
	conns map[*portableConn]struct{}
	pools map[*Warm]*portablePool
}

const (
	acceptPause = 100 * time.Millisecond // how long accept rests when the system has no descriptor or memory left
	queuedGrace = 20 * time.Millisecond  // a stopped listener's queue counts as empty after this long without a client
	queuedMax   = time.Second            // and is closed after this long even while clients keep coming
)

// past is a deadline that has been reached: setting it wakes whoever is blocked on the socket.
var past = time.Unix(1, 0)

// startPortable opens the listeners and begins to accept. An error leaves nothing open.
func startPortable(o Options) (engine, error) {
	e := &portable{opts: o, conns: map[*portableConn]struct{}{}, stopped: make(chan struct{})}
	e.tuning.Store(&o.Tuning)
	for i := range o.Listeners {
		l, err := openPortable(e, &o.Listeners[i])
		if err != nil {
			for _, l := range e.lns {
				l.tcp.Close()
			}
			return nil, err
		}
		e.lns = append(e.lns, l)
	}
	for _, l := range e.lns {
		go l.acceptLoop()
	}
	e.serving.Go(e.watchMemory)
	return e, nil
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

// forget is the last act of a connection.
func (e *portable) forget(c *portableConn) {
	e.mu.Lock()
	delete(e.conns, c)
	e.mu.Unlock()
	e.active.Add(-1)
}

func (e *portable) addrs() []netip.AddrPort {
	var all []netip.AddrPort
	for _, l := range e.lns {
		all = append(all, addrPort(l.tcp.Addr()))
	}
	return all
}

// setListeners: see Relay.SetListeners. One change at a time is the caller's care.
func (e *portable) setListeners(next []listening, opened func()) error {
	var fresh []*portableListener
	for i := range next {
		if next[i].from != nil {
			continue
		}
		l, err := openPortable(e, next[i].ln)
		if err != nil {
			for _, l := range fresh {
				l.tcp.Close()
			}
			return err
		}
		next[i].addr = addrPort(l.tcp.Addr())
		fresh = append(fresh, l)
	}
	opened()
	var kept, gone []*portableListener
	to := heirs(next)
	for _, l := range e.lns {
		if heir := to[l.ln.Load()]; heir != nil {
			l.ln.Store(heir)
			kept = append(kept, l)
		} else {
			gone = append(gone, l)
		}
	}
	e.lns = append(kept, fresh...)
	for _, l := range fresh {
		go l.acceptLoop()
	}
	stopListeners(gone)
	return nil
}

func (e *portable) stopAccepting() { stopListeners(e.lns) }

func (e *portable) tune(t Tuning) { e.tuning.Store(&t) }

func (e *portable) closeAll(r Reason) { e.closeWhere(func(*Flow) bool { return true }, r) }

func (e *portable) closeWhere(match func(*Flow) bool, r Reason) (n int) {
	for _, c := range e.all() {
		if c.closeIf(match, r) {
			n++
		}
	}
	return n
}

func (e *portable) flows(f func(*Summary)) {
	for _, c := range e.all() {
		c.show(f)
	}
}

// all returns the connections as of now.
func (e *portable) all() []*portableConn {
	e.mu.Lock()
	defer e.mu.Unlock()
	return slices.Collect(maps.Keys(e.conns))
}

func (e *portable) stop() {
	close(e.stopped)
	e.serving.Wait()
}

// alive has no loop to ask: the scheduler of the runtime turns, or this would not run.
func (e *portable) alive(context.Context) error { return nil }

func (e *portable) stats() Stats {
	return Stats{Active: e.active.Load(), AcceptPauses: e.pauses.Load(), Buffered: e.buffered.Load()}
}

// addrPort returns a TCP address; IPv4 mapped into IPv6 is unmapped.
func addrPort(a net.Addr) netip.AddrPort {
	ap := a.(*net.TCPAddr).AddrPort()
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port())
}
