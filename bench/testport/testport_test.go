package testport

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
)

// Each address has a port of its own, below those of connections, and one can listen there.
func TestFoundPortsAreFreeAndDiffer(t *testing.T) {
	seen := map[uint16]bool{}
	for range 50 {
		addr := netip.MustParseAddrPort(Free(t))
		require.False(t, seen[addr.Port()])
		seen[addr.Port()] = true
		require.True(t, addr.Port() >= first && addr.Port() <= last, addr)
	}
	ln, err := Listen("127.0.0.2")
	require.NoError(t, err)
	defer ln.Close()
	require.Equal(t, "127.0.0.2", ln.Addr().(*net.TCPAddr).IP.String())
	_, err = Find("192.0.2.1") // an address of nobody
	require.ErrorContains(t, err, "find a free port of 192.0.2.1 between 10000 and 29999")
}
