package upstream

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"time"
)

// ProbeTCP passes where a connection can be made. Nothing is sent.
func ProbeTCP(ctx context.Context, addr netip.AddrPort) error {
	c, err := dial(ctx, addr)
	if err != nil {
		return err
	}
	_ = c.Close() // it carried nothing
	return nil
}

// ProbeTLS passes where a handshake succeeds and the certificate is valid for serverName, a DNS name or an IP address.
// Before the handshake first is sent, where the server wants something (a PROXY header); after it nothing is. roots nil: those of the system.
func ProbeTLS(serverName string, roots *x509.CertPool, first []byte) Probe {
	config := &tls.Config{ServerName: serverName, RootCAs: roots}
	return func(ctx context.Context, addr netip.AddrPort) error {
		begun := time.Now()
		c, err := dial(ctx, addr)
		if err != nil {
			return err
		}
		defer c.Close()
		if len(first) > 0 {
			if _, err := c.Write(first); err != nil {
				return explain("send what comes first", err, begun)
			}
		}
		if err := tls.Client(c, config).HandshakeContext(ctx); err != nil {
			return explain("tls handshake with "+serverName, err, begun)
		}
		return nil
	}
}

// dial connects without keepalive, which a connection of a moment does not need.
func dial(ctx context.Context, addr netip.AddrPort) (net.Conn, error) {
	begun := time.Now()
	d := net.Dialer{KeepAlive: -1}
	c, err := d.DialContext(ctx, "tcp", addr.String())
	if err != nil {
		return nil, explain("connect", err, begun)
	}
	return c, nil
}

// explain leaves away what the reader knows: the address stands beside it.
func explain(what string, err error, begun time.Time) error {
	var op *net.OpError
	var sys *os.SyscallError
	var timeout net.Error
	switch {
	case errors.Is(err, context.DeadlineExceeded), errors.As(err, &timeout) && timeout.Timeout():
		return fmt.Errorf("%s: no answer in %s", what, time.Since(begun).Round(time.Millisecond))
	case errors.As(err, &sys):
		err = sys.Err
	case errors.As(err, &op):
		err = op.Err
	}
	return fmt.Errorf("%s: %w", what, err)
}
