package probe

import (
	"context"
	"net"
	"net/netip"
	"time"
)

// TCPResult is what a connect found.
type TCPResult struct {
	Local  netip.AddrPort // zero: not connected
	Remote netip.AddrPort
	Took   time.Duration // until it was connected, or failed
}

// TCP connects and closes the connection. Nothing is sent.
func TCP(ctx context.Context, addr netip.AddrPort) (TCPResult, error) {
	c, out, err := connect(ctx, addr)
	if err != nil {
		return out, err
	}
	_ = c.Close() // it carried nothing
	return out, nil
}

// connect connects without keepalive, which a connection of a moment does not need. The caller closes the connection.
func connect(ctx context.Context, addr netip.AddrPort) (net.Conn, TCPResult, error) {
	out := TCPResult{Remote: addr}
	d := net.Dialer{KeepAlive: -1}
	begun := time.Now()
	c, err := d.DialContext(ctx, "tcp", addr.String())
	out.Took = time.Since(begun)
	if err != nil {
		return nil, out, explain("connect", err, begun)
	}
	if local, ok := c.LocalAddr().(*net.TCPAddr); ok {
		out.Local = local.AddrPort()
	}
	return c, out, nil
}
