package relay

import (
	"errors"
	"io"
	"net"
	"os"
	"syscall"
	"time"
)

// relay runs both halves and decides how the connection ends. None: the upstream's connection is to be replaced.
func (c *portableConn) relay(preface []byte) (reason Reason, orderly bool) {
	c.active.Store(int64(time.Since(c.opened)))
	cut := c.supervise(c.startHalves(preface))
	if cut == None && c.disproved() && c.halves[client].state != halfCut {
		return None, false
	}
	if up := &c.halves[client]; up.state == halfReplaced {
		c.because(UpstreamReset)
		up.state = halfDead
	}
	return c.verdict(cut)
}

// startHalves begins to move bytes both ways; preface is sent to the upstream first. Each half is sent on the channel when
// it has ended.
func (c *portableConn) startHalves(preface []byte) <-chan *portableHalf {
	ended := make(chan *portableHalf, 2)
	for s, first := range [2][]byte{client: preface} {
		h := &c.halves[s]
		h.c, h.from, h.src, h.dst = c, side(s), c.ends[s], c.ends[side(s).other()]
		go func() {
			h.state = h.run(first)
			ended <- h
		}()
	}
	return ended
}

// supervise watches the clock and the operator until both halves have ended. It returns why it ended them itself, None if
// they ended by themselves.
func (c *portableConn) supervise(ended <-chan *portableHalf) (cut Reason) {
	kill := c.ctx.Done()
	limit, timeout := c.eng.tuning.Load().IdleTimeout, IdleTimeout
	timer := time.NewTimer(limit)
	defer timer.Stop()
	look := time.NewTicker(abandonedCheck)
	defer look.Stop()
	for running := 2; running > 0; {
		select {
		case h := <-ended:
			running--
			if h.state == halfCut || h.state == halfReplaced && h.from == upstream {
				c.interrupt() // nobody is left to take what the other half brings
			}
			limit, timeout = c.eng.tuning.Load().HalfCloseTimeout, HalfCloseTimeout
			timer.Reset(limit)
		case <-timer.C:
			if left := limit - c.idleFor(); left > 0 {
				timer.Reset(left)
				continue
			}
			cut, kill = timeout, nil
			c.interrupt()
		case <-look.C:
			if cut == None {
				if cut = c.broke(); cut != None {
					kill = nil
					c.interrupt()
				}
			}
		case <-kill:
			cut, kill = c.killed(), nil
			c.interrupt()
		}
	}
	return cut
}

// idleFor is how long no byte has moved.
func (c *portableConn) idleFor() time.Duration {
	return time.Since(c.opened) - time.Duration(c.active.Load())
}

// abandonedCheck is how often a connection looks whether its client has reset it while its upstream takes nothing.
const abandonedCheck = 250 * time.Millisecond

// broke returns why the connection is to end although neither half has found that out: the client has reset it while its
// upstream does not read, or a peer is lost. None: it is not to end.
func (c *portableConn) broke() Reason {
	if c.halves[client].busy.Load() && c.abandoned() {
		return ClientReset
	}
	limit := c.eng.tuning.Load().Keepalive.UserTimeout
	for s, sock := range c.ends {
		if c.debts[s].overdue(acknowledgementBy(sock), int64(time.Since(c.opened)), limit) {
			return lostBy[s]
		}
	}
	return None
}

// abandoned reports whether the client has reset the connection while its upstream does not read.
func (c *portableConn) abandoned() bool {
	return socketClosed(c.ends[client]) && peerDoesNotRead(c.ends[upstream])
}

// interrupt wakes both halves wherever they wait.
func (c *portableConn) interrupt() {
	for _, sock := range c.ends {
		sock.SetDeadline(past)
	}
}

// verdict judges the connection after both halves have ended.
func (c *portableConn) verdict(cut Reason) (reason Reason, orderly bool) {
	up, down := &c.halves[client], &c.halves[upstream]
	switch {
	case cut == ClientReset || cut == ClientLost || cut == UpstreamLost:
		return cut, false
	case cut != None:
		// In the middle of something, a FIN would make a stream that is cut short look complete: see core.orderly.
		if up.state == halfShut || down.state == halfShut {
			return cut, up.state == down.state
		}
		still := cut == IdleTimeout || c.idleFor() >= quiet
		return cut, still && up.held == 0 && down.held == 0 && !underWay(c.ends[client]) && !underWay(c.ends[upstream])
	case up.state == halfShut && down.state == halfShut:
		return Reason(c.reason.Load()), true
	}
	// One end was reset. The other is reset as well, but not before it has acknowledged what it was sent: a reset
	// discards what is still on its way.
	c.lingers.Store(true)
	for s, sock := range c.ends {
		awaitAcked(c.ctx, sock, side(s))
	}
	if c.ctx.Err() != nil { // meanwhile
		return c.killed(), false
	}
	return Reason(c.reason.Load()), false
}

// underWay reports whether the peer of a socket was sent bytes that it has not acknowledged.
func underWay(sock *net.TCPConn) bool {
	a := acknowledgementBy(sock)
	return a.inFlight || a.closed
}

// run moves bytes until the source has no more or the destination takes no more. A FIN is passed on here, after
// all that came before it was written.
func (h *portableHalf) run(first []byte) halfState {
	if s := h.deliver(first); s != halfOpen || h.held > 0 {
		return s
	}
	buf := make([]byte, 32<<10)
	for {
		n, err := h.src.Read(buf)
		if n > 0 && h.from == upstream {
			h.c.proveAlive()
			h.c.first.CompareAndSwap(0, int64(max(time.Since(h.c.opened), 1)))
		}
		if s := h.deliver(buf[:n]); s != halfOpen || h.held > 0 {
			return s
		}
		if err != nil {
			return h.sourceEnded(err)
		}
	}
}

// deliver writes b. It returns halfOpen if all was written, or, with held set, if it was interrupted.
func (h *portableHalf) deliver(b []byte) halfState {
	if len(b) == 0 {
		return halfOpen
	}
	c := h.c
	if h.from == client && !c.remember(b) {
		return halfReplaced
	}
	h.busy.Store(true)
	n, err := h.dst.Write(b)
	h.busy.Store(false)
	h.bytes.Add(uint64(n))
	c.active.Store(int64(time.Since(c.opened)))
	c.flow.Endpoint.Tally.add(0, h.from == client, uint64(n), 0)
	if err == nil {
		return halfOpen
	}
	h.held = len(b) - n
	if errors.Is(err, os.ErrDeadlineExceeded) {
		return halfOpen
	}
	// The destination was reset. What it sent before is still to be read: the other half goes on until it finds the end.
	c.broken[h.from.other()].Store(true)
	if h.from == client && proof(c.proof.Load()) != proved {
		return halfReplaced // unless the other half finds an answer
	}
	c.because(failureBy(err, h.from.other()))
	return halfDead
}

// failureBy returns why the end s of a connection ended for which err was found.
func failureBy(err error, s side) Reason {
	var errno syscall.Errno
	if errors.As(err, &errno) && lostErrno(errno) {
		return lostBy[s]
	}
	return resetBy[s]
}

// sourceEnded passes the end of the source on, if it was a FIN.
func (h *portableHalf) sourceEnded(err error) halfState {
	c := h.c
	switch {
	case errors.Is(err, os.ErrDeadlineExceeded):
		return halfOpen
	case h.from == upstream && (!errors.Is(err, io.EOF) || !c.finSent[upstream].Load()) && c.proveDead():
		return halfReplaced
	case !errors.Is(err, io.EOF) || c.wasReset(h.from):
		c.because(failureBy(err, h.from))
		return halfCut
	}
	c.because(closedBy[h.from])
	c.finSent[h.from.other()].Store(true) // before the FIN: see wasReset
	h.dst.CloseWrite()                    // fails only if the destination is gone, which the other half finds out
	return halfShut
}

// wasReset tells a reset from a FIN after a read returned EOF. The error of a reset is reported once, and if a write to
// the same end took it, a read finds an end of file instead (tcp(7)). Passing that on as a FIN would make a truncated
// stream look complete.
//
// A closed socket means a reset, unless both FINs were exchanged: therefore its state is asked before finSent, which is
// set before the FIN is sent.
func (c *portableConn) wasReset(s side) bool {
	return c.broken[s].Load() || socketClosed(c.ends[s]) && !c.finSent[s].Load()
}
