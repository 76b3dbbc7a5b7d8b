package relay

import (
	"context"
	"errors"
	"net"
	"os"
	"syscall"

	"golang.org/x/sys/unix"
)

// attempt tries one endpoint. On success the socket is the caller's.
func (e *portable) attempt(ctx context.Context, ep *Endpoint) (*net.TCPConn, Reason) {
	// An attempt that is cut short may have connected already: its socket is to leave by a reset, not by a FIN.
	d := net.Dialer{Timeout: ep.timeout(), Control: func(_, _ string, raw syscall.RawConn) error {
		return raw.Control(func(fd uintptr) {
			unix.SetsockoptLinger(int(fd), unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
			if ep.Local.IsValid() {
				bindWithoutPort(int(fd))
			}
		})
	}}
	if ep.Local.IsValid() {
		d.LocalAddr = &net.TCPAddr{IP: ep.Local.AsSlice(), Zone: ep.Local.Zone()}
	}
	d.SetMultipathTCP(false)
	// Not DialTCP: even with no local address it binds, which takes a port from all destinations and, with many
	// connections in TIME-WAIT, searches for a free one for milliseconds.
	conn, err := d.DialContext(ctx, "tcp", ep.Addr.String())
	if err != nil {
		if r := cutShort(ctx); r != None {
			return nil, r
		}
		return nil, dialReason(err)
	}
	sock := conn.(*net.TCPConn)
	sock.SetLinger(-1)
	e.tuneSocket(sock)
	return sock, None
}

// dialReason maps an error of connect(2), or of socket(2) before it.
func dialReason(err error) Reason {
	var errno syscall.Errno
	if errors.Is(err, os.ErrDeadlineExceeded) || errors.Is(err, context.DeadlineExceeded) || !errors.As(err, &errno) {
		var timeout net.Error
		if errors.As(err, &timeout) && timeout.Timeout() {
			return ConnectTimeout
		}
		return Internal
	}
	switch errno {
	case syscall.ECONNREFUSED, syscall.ECONNRESET:
		// net.Dialer asks for the socket's error last of all, so an upstream that accepts and resets at once looks
		// like one that does not accept.
		return ConnectRefused
	case syscall.ETIMEDOUT:
		return ConnectTimeout
	case syscall.EHOSTUNREACH, syscall.ENETUNREACH, syscall.EACCES, syscall.EPERM:
		return ConnectUnreachable
	case syscall.EADDRNOTAVAIL:
		return NoPorts
	case syscall.EMFILE, syscall.ENFILE:
		return LimitConnections
	}
	return Internal
}

// cutShort is why the client's side, or the operator, ended the dialing; None if neither did.
func cutShort(ctx context.Context) Reason {
	var by endedBy
	if errors.As(context.Cause(ctx), &by) {
		return Reason(by)
	}
	return None
}
