package health

import (
	"net"
	"net/netip"
	"slices"
	"sync"
	"time"
)

// MaxConnections is how many callers are connected at once, so that a flood here leaves the forwarder its descriptors.
const MaxConnections = 128

const (
	// maxPerSource is how many of the places one source may have.
	maxPerSource = MaxConnections / 4
	// slowReader is how long an answer takes that nobody reads: one of ours is written within milliseconds.
	slowReader = time.Second
	// socketBuffer bounds what the kernel keeps for a caller each way, in bytes; the kernel takes twice as much with its
	// own bookkeeping. An answer has some 20 KB. Without a bound a caller that asks and does not read pins 1.6 MiB.
	socketBuffer = 32 << 10
	// firstWords is how long a caller of Bounded has for its request before it may lose its place: a crowd that comes at once must
	// not close each other before they have spoken.
	firstWords = 500 * time.Millisecond
	// inLine is how long a caller of Bounded waits for a place at most.
	inLine = 10 * time.Second
)

// places is a listener whose callers have a bounded number of places. A new caller gets one: when the places run short,
// or those of its source, an older one is closed that is not being answered. So whoever holds many connections cannot
// keep the load balancer from asking, also if both are behind one source.
type places struct {
	net.Listener
	most, share int           // callers at once: in all, and of one source
	headers     bool          // a PROXY header may come first
	grace       time.Duration // how long a caller has for its request; others wait meanwhile, for inLine at most. 0: nobody waits

	mu   sync.Mutex
	open []*conn       // the oldest first
	left chan struct{} // has room for one: a place was given back

	closing chan struct{} // closed by Close
	close   func()        // closes it, once
}

// Listener makes l fit for health checks: a caller may send a PROXY v1 or v2 header first, as a Network Load Balancer
// does to health checks too once the protocol is on for a target group, or none; and callers are bounded. Closing it
// closes l.
func Listener(l net.Listener) net.Listener {
	return &places{Listener: l, most: MaxConnections, share: maxPerSource, headers: true}
}

// Bounded gives the callers of l at most most places, which one source may have all, and takes no PROXY header. It is for a server of
// NewServer whose callers are on this machine. They wait in line for a place, but not behind callers that say nothing. Closing it
// closes l.
func Bounded(l net.Listener, most int) net.Listener {
	p := &places{Listener: l, most: most, share: most, grace: firstWords, left: make(chan struct{}, 1), closing: make(chan struct{})}
	p.close = sync.OnceFunc(func() { close(p.closing) })
	return p
}

// Close ends Accept, also while a caller waits in line.
func (p *places) Close() error {
	if p.close != nil {
		p.close()
	}
	return p.Listener.Close()
}

// Accept returns the next caller's connection.
func (p *places) Accept() (net.Conn, error) {
	for {
		raw, err := p.Listener.Accept()
		if err != nil {
			return nil, err
		}
		if t, ok := raw.(*net.TCPConn); ok {
			_ = t.SetReadBuffer(socketBuffer) // without them it costs more memory, and works
			_ = t.SetWriteBuffer(socketBuffer)
		}
		c := newConn(raw, sourceOf(raw), p.leave)
		if !p.headers {
			c.header = nil
		}
		if p.seat(c) {
			return c, nil
		}
		_ = raw.Close()
	}
}

// seat gives c a place, for which it may have to wait. It returns false if there is none.
func (p *places) seat(c *conn) bool {
	out, ok := p.enter(c)
	if !ok && p.grace > 0 {
		patience := time.NewTimer(inLine)
		defer patience.Stop()
		look := time.NewTicker(p.grace / 10)
		defer look.Stop()
		for waiting := true; waiting && !ok; {
			select {
			case <-p.left:
			case <-look.C: // somebody may have been silent for too long meanwhile
			case <-patience.C:
				waiting = false
			case <-p.closing:
				return false
			}
			out, ok = p.enter(c)
		}
	}
	if out != nil {
		_ = out.Conn.Close() // its goroutine finds out, and ends
	}
	return ok
}

// enter gives c a place, and returns the caller that loses its own for it, nil if none does. ok is false if there is no place:
// every other caller is being answered.
func (p *places) enter(c *conn) (out *conn, ok bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	theirs := func(o *conn) bool { return o.source == c.source }
	own := 0
	for _, o := range p.open {
		if theirs(o) {
			own++
		}
	}
	switch {
	case c.source != netip.Addr{} && own >= p.share:
		out = p.least(theirs)
	case len(p.open) >= p.most:
		out = p.least(func(*conn) bool { return true })
	default:
		p.take(c)
		return nil, true
	}
	if out == nil {
		return nil, false
	}
	p.remove(out)
	p.take(c)
	return out, true
}

// take gives c a place. Its time for a request begins now: it may have waited in line for longer. The caller holds p.mu.
func (p *places) take(c *conn) {
	c.since.Store(time.Now().UnixNano())
	p.open = append(p.open, c)
}

// least returns the caller that can be spared first: of those who came least far, the oldest. One that is being answered can be
// only if it does not read its answer, and one that has not asked only after the time that it has for that. The caller holds p.mu.
func (p *places) least(of func(*conn) bool) (least *conn) {
	now := time.Now().UnixNano()
	for _, c := range p.open {
		at, since := stage(c.stage.Load()), now-c.since.Load()
		if !of(c) || at == answering && since < int64(slowReader) || at <= beginning && since < int64(p.grace) {
			continue
		}
		if least == nil || at < stage(least.stage.Load()) {
			least = c
		}
	}
	return least
}

// leave ends a caller's place.
func (p *places) leave(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.remove(c)
}

// remove forgets a caller, if it still has a place. The caller holds p.mu.
func (p *places) remove(c *conn) {
	if i := slices.Index(p.open, c); i >= 0 {
		p.open = slices.Delete(p.open, i, i+1)
		select {
		case p.left <- struct{}{}:
		default:
		}
	}
}
