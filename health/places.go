package health

import (
	"math"
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
	// firstWords is how long a caller of Bounded has for its request before it may lose its place.
	firstWords = 500 * time.Millisecond
	// inLine is how long a caller of Bounded waits for a place at most.
	inLine = 10 * time.Second
	// stuckLine is how long the first in line waits at most while every place has an answer under way. Then the oldest caller whose
	// answer has taken as long is closed, so that no crowd of long answers, such as profiles, shuts the others out.
	stuckLine = 3 * time.Second
)

// places is a listener whose callers have a bounded number of places. A new caller gets one: when the places run short,
// or those of its source, an older one is closed that is not being answered. So whoever holds many connections cannot
// keep the load balancer from asking, also if both are behind one source.
type places struct {
	net.Listener
	most, share int  // callers at once: in all, and of one source
	headers     bool // a PROXY header may come first
	line        bool // callers wait for a place, for inLine at most, and answers may take long
	early       int  // how many of the next callers may not have had the time to speak yet

	mu    sync.Mutex
	open  []*conn       // the oldest first
	left  chan struct{} // has room for one: a place was given back
	moved time.Time     // when a caller last left its place after an answer, or by itself

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
// NewServer whose callers are on this machine. They wait in line for a place, but not behind callers that say nothing: where it can,
// the kernel keeps those away until they speak, for requestTimeout at most, so that one that comes without a byte has been silent
// for that long. Nobody loses a place while its request is read or its answer, but for one whose answer
// takes as long as stuckLine when another has waited for that long. Closing it closes l.
func Bounded(l net.Listener, most int) net.Listener {
	p := &places{Listener: l, most: most, share: most, line: true, early: math.MaxInt, left: make(chan struct{}, 1), closing: make(chan struct{})}
	if before, ok := holdBack(l, requestTimeout); ok {
		p.early = before
	}
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
		if p.early > 0 {
			p.early--
			c.words = firstWords
		}
		if p.seat(c) {
			return c, nil
		}
		_ = raw.Close()
	}
}

// seat gives c a place, for which it may have to wait. It returns false if there is none.
func (p *places) seat(c *conn) bool {
	out, ok := p.enter(c, false)
	if !ok && p.line {
		out, ok = p.wait(c)
	}
	if out != nil {
		_ = out.Conn.Close() // its goroutine finds out, and ends
	}
	return ok
}

// wait is enter for a caller in line: it returns when there is a place, or after inLine, or when the listener is closed.
func (p *places) wait(c *conn) (out *conn, ok bool) {
	patience, stuck := time.NewTimer(inLine), time.NewTimer(stuckLine)
	defer patience.Stop()
	defer stuck.Stop()
	look := time.NewTicker(firstWords / 10)
	defer look.Stop()
	for cut := false; !ok; {
		select {
		case <-p.left:
		case <-look.C: // somebody may have been silent for too long meanwhile
		case <-stuck.C:
			cut = true
		case <-patience.C:
			return nil, false
		case <-p.closing:
			return nil, false
		}
		out, ok = p.enter(c, cut)
	}
	return out, ok
}

// enter gives c a place, and returns the caller that loses its own for it, nil if none does. ok is false if there is no place:
// every other caller is being answered, and none may be cut short. cut allows that for a long answer.
func (p *places) enter(c *conn, cut bool) (out *conn, ok bool) {
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
		out = p.least(theirs, cut)
	case len(p.open) >= p.most:
		out = p.least(func(*conn) bool { return true }, cut)
	default:
		p.take(c)
		return nil, true
	}
	if out == nil {
		return nil, false
	}
	if stage(out.stage.Load()) == idle {
		p.moved = time.Now()
	}
	p.remove(out)
	p.take(c)
	return out, true
}

// take gives c a place. Its time for a request begins now: it may have waited in line for longer. The caller holds p.mu.
func (p *places) take(c *conn) {
	c.since.Store(stamp(time.Now()))
	p.open = append(p.open, c)
}

// least returns the caller that can be spared first: of those who came least far, the oldest. The caller holds p.mu.
func (p *places) least(of func(*conn) bool, cut bool) (least *conn) {
	now, lowest := time.Now(), answering+1
	for _, c := range p.open {
		if !of(c) || stage(c.stage.Load()) >= lowest { // a look at the socket, which costs a call of the kernel, only raises it
			continue
		}
		if at := c.at(); at < lowest && p.spares(c, at, now, cut) {
			least, lowest = c, at
		}
		if lowest == silent {
			break
		}
	}
	return least
}

// spares reports whether a caller at that stage may lose its place now: one that is being answered only if it does not read, and one
// that has not asked only after the time that it has for that. In a crowd that moves on, a reader is slow because the machine is busy.
func (p *places) spares(c *conn, at stage, now time.Time, cut bool) bool {
	age := time.Duration(stamp(now) - c.since.Load())
	switch {
	case at == answering && !p.line:
		return age >= slowReader
	case at == answering:
		begun := c.write.Load()
		stalled := begun != 0 && time.Duration(stamp(now)-begun) >= slowReader
		return stalled && now.Sub(p.moved) >= slowReader || cut && age >= stuckLine
	case at == silent:
		return age >= c.words
	case at == idle || !p.line:
		return true
	}
	return at == beginning && age >= firstWords // another one is not kept waiting by its caller
}

// leave ends a caller's place.
func (p *places) leave(c *conn) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.remove(c) {
		p.moved = time.Now()
	}
}

// remove forgets a caller, and reports whether it had a place. The caller holds p.mu.
func (p *places) remove(c *conn) bool {
	i := slices.Index(p.open, c)
	if i < 0 {
		return false
	}
	p.open = slices.Delete(p.open, i, i+1)
	select {
	case p.left <- struct{}{}:
	default:
	}
	return true
}
