package probe

import (
	"context"
	"net"
	"net/netip"
)

// Port tests whether this process could listen on an address: it does, and stops at once. A listener that is open already,
// the daemon's for instance, makes it fail with EADDRINUSE.
func Port(addr netip.AddrPort) error {
	var c net.ListenConfig
	c.SetMultipathTCP(false) // as the daemon listens
	l, err := c.Listen(context.Background(), "tcp", addr.String())
	if err != nil {
		return err
	}
	return l.Close()
}
