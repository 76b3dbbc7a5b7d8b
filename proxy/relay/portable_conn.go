package relay

import (
	"context"
	"errors"
	"io"
	"net"
	"net/netip"
	"os"
	"time"
)

// newPortableConn returns the connection of an accepted client, whose socket it owns.
func newPortableConn(e *portable, l *Listener, sock *net.TCPConn) *portableConn {
	c := &portableConn{
		eng:    e,
		ends:   [2]*net.TCPConn{client: sock},
		opened: time.Now(),
		flow:   Flow{ID: e.ids.Add(1), Listener: l, Client: addrPort(sock.RemoteAddr())},
	}
	c.ctx, c.kill = context.WithCancelCause(context.Background())
	return c
}

// accepted asks the policy whether the client may enter.
func (c *portableConn) accepted() Reason {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.eng.opts.Handler.Accepted(&c.flow)
}

// judge gives the policy the first bytes of the client.
func (c *portableConn) judge(b []byte) Verdict {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.eng.opts.Handler.Preface(&c.flow, b)
}

// closeIf ends the connection if match returns true for it.
func (c *portableConn) closeIf(match func(*Flow) bool, r Reason) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.over || !match(&c.flow) {
		return false
	}
	c.kill(endedBy(r))
	return true
}

// show gives f the summary as of now.
func (c *portableConn) show(f func(*Summary)) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if !c.over {
		s := c.summary(None)
		f(&s)
	}
}

// preface collects the client's first bytes until the policy has seen enough, and returns those to be passed on.
func (c *portableConn) preface() ([]byte, Reason) {
	wait := c.flow.await()
	if c.flow.Preface {
		wait = c.eng.tuning.Load().PrefaceTimeout
	}
	if wait == 0 {
		return nil, None
	}
	sock := c.ends[client]
	sock.SetReadDeadline(c.opened.Add(wait))
	defer sock.SetReadDeadline(time.Time{})
	unhook := context.AfterFunc(c.ctx, func() { sock.SetReadDeadline(past) })
	defer unhook()

	return c.readPreface(sock)
}

// readPreface reads until there is a verdict on the first bytes, or, without a preface, until the client has sent anything.
func (c *portableConn) readPreface(sock *net.TCPConn) ([]byte, Reason) {
	buf := make([]byte, bufferMin)
	closed, expired := Probe, c.flow.silent()
	for n := 0; ; {
		if n == len(buf) {
			buf = append(buf, make([]byte, n)...)
		}
		m, err := sock.Read(buf[n:])
		if err != nil {
			if !c.flow.Preface && c.ctx.Err() == nil && errors.Is(err, os.ErrDeadlineExceeded) {
				return nil, None
			}
			return nil, c.prefaceFailed(err, closed, expired)
		}
		n += m
		c.said.Store(true)
		if !c.flow.Preface {
			return buf[:n], None
		}
		switch v := c.judge(buf[:n]); {
		case v.More && n == MaxPreface:
			return nil, HelloBad
		case v.More:
			closed, expired = v.ends()
		case v.Refuse != None:
			return nil, v.Refuse
		default:
			return buf[min(max(v.Skip, 0), n):n], None
		}
	}
}

// prefaceFailed says why reading ended without a verdict; closed and expired are the last one's.
func (c *portableConn) prefaceFailed(err error, closed, expired Reason) Reason {
	switch {
	case c.ctx.Err() != nil:
		return c.killed()
	case errors.Is(err, os.ErrDeadlineExceeded):
		return expired
	case !errors.Is(err, io.EOF) && closed != Probe:
		return ClientReset
	}
	return closed
}

// killed is the reason given to kill.
func (c *portableConn) killed() Reason {
	var by endedBy
	if errors.As(context.Cause(c.ctx), &by) {
		return Reason(by)
	}
	return Internal
}

// because notes why the connection ends, by the rule of conn.because.
func (c *portableConn) because(r Reason) {
	for {
		first := c.reason.Load()
		if !overrides(r, Reason(first)) || c.reason.CompareAndSwap(first, uint32(r)) {
			return
		}
	}
}

// tuneSocket sets what both legs have in common; TCP_NODELAY is Go's default. An error means that the peer is gone, which
// the next read or write tells better.
func (e *portable) tuneSocket(sock *net.TCPConn) {
	k := e.tuning.Load().Keepalive
	sock.SetKeepAliveConfig(net.KeepAliveConfig{Enable: true, Idle: k.Idle, Interval: k.Interval, Count: k.Count})
}

// summary makes the summary as of now, by the rules of conn.summary. The caller holds mu.
func (c *portableConn) summary(r Reason) Summary {
	s := Summary{
		Flow:      &c.flow,
		Reason:    r,
		Connected: c.ends[upstream] != nil,
		Up:        c.halves[client].bytes.Load(),
		Down:      c.halves[upstream].bytes.Load(),
		Opened:    c.opened,
		Connect:   c.connect,
		FirstByte: time.Duration(c.first.Load()),
		Duration:  time.Since(c.opened),
	}
	if s.Up == 0 && s.Down == 0 && !c.said.Load() && (r == ClientClosed || r == ClientReset) {
		s.Reason = Probe
	}
	if sock := c.ends[upstream]; sock != nil {
		s.addresses = socketAddresser{sock}
	}
	return s
}

// socketAddresser knows the local address of one socket.
type socketAddresser struct{ sock *net.TCPConn }

// localAddr returns the local address of the socket, whichever descriptor is asked for.
func (a socketAddresser) localAddr(int32) netip.AddrPort { return addrPort(a.sock.LocalAddr()) }
