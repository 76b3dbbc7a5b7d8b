package relay

import (
	"context"
	"errors"
	"sync"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// dial connects to the first endpoint that answers, in the order of the policy. What the client sends meanwhile, its FIN
// included, waits in the kernel.
func (c *portableConn) dial() Reason {
	ctx, cancel := context.WithCancelCause(c.ctx)
	defer cancel(nil)
	unwatch := c.watchReset(cancel)
	defer unwatch()

	for {
		if c.ctx.Err() != nil {
			return c.killed()
		}
		ep, r := c.nextEndpoint()
		if ep == nil {
			return r
		}
		if c.fromPool() {
			unwatch()
			return cutShort(ctx)
		}
		if c.race(ctx, ep) {
			unwatch()
			return cutShort(ctx) // in the instant of connecting
		}
		if r := cutShort(ctx); r != None {
			return r
		}
	}
}

// nextEndpoint asks the policy. Without an endpoint there is a reason.
func (c *portableConn) nextEndpoint() (*Endpoint, Reason) {
	c.mu.Lock()
	defer c.mu.Unlock()
	ep, r := c.eng.opts.Handler.Dial(&c.flow)
	if ep == nil {
		if r == None {
			r = Internal
		}
		return nil, r
	}
	c.flow.Endpoint = ep
	c.flow.Attempts++
	return ep, None
}

// greet sends what the upstream is to get first. It returns false if the kernel did not take it.
func (c *portableConn) greet() bool {
	f := c.flow.Endpoint.Header
	if f == nil {
		return true
	}
	b := f(&c.flow, addrPort(c.ends[client].LocalAddr()), nil)
	if len(b) == 0 {
		return true
	}
	sock := c.ends[upstream]
	sock.SetWriteDeadline(time.Now().Add(DefaultConnectTimeout))
	defer sock.SetWriteDeadline(time.Time{})
	switch _, err := sock.Write(b); {
	case errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE):
		c.broken[upstream].Store(true) // the write took the error, see wasReset
		return true
	default:
		return err == nil
	}
}

// watchReset cancels the dialing when the client resets the connection. It peeks, so that nothing is taken from the
// kernel: the first byte or the FIN ends the watch, and a reset behind unread bytes waits until they were delivered.
// The returned function ends the watch as well, and may be called again.
func (c *portableConn) watchReset(cancel context.CancelCauseFunc) (unwatch func()) {
	sock := c.ends[client]
	raw, err := sock.SyscallConn()
	if err != nil {
		return func() {}
	}
	var watch sync.WaitGroup
	watch.Go(func() {
		var one [1]byte
		raw.Read(func(fd uintptr) bool {
			_, _, err := unix.Recvfrom(int(fd), one[:], unix.MSG_PEEK|unix.MSG_DONTWAIT)
			switch err {
			case nil:
			case unix.EAGAIN, unix.EINTR:
				return false
			default: // the error was taken by this call, nobody else will see it
				cancel(endedBy(ClientReset))
			}
			return true
		})
	})
	return sync.OnceFunc(func() {
		sock.SetReadDeadline(past)
		watch.Wait()
		sock.SetReadDeadline(time.Time{})
	})
}
