package handoff

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// fdOf returns a descriptor of a socket or a file.
func fdOf(t *testing.T, from interface{ File() (*os.File, error) }) int {
	t.Helper()
	f, err := from.File()
	require.NoError(t, err)
	t.Cleanup(func() { f.Close() })
	return int(f.Fd())
}

// Only a socket that accepts streams, where the state says that it does, is taken over.
func TestASocketIsCheckedBeforeItIsUsed(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	at := l.Addr().(*net.TCPAddr).AddrPort()
	c, err := net.Dial("tcp4", at.String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	udp, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { udp.Close() })
	path := filepath.Join(t.TempDir(), "s")
	u, err := net.Listen("unix", path)
	require.NoError(t, err)
	t.Cleanup(func() { u.Close() })
	packets, err := unix.Socket(unix.AF_UNIX, unix.SOCK_SEQPACKET, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(packets) })
	require.NoError(t, unix.Bind(packets, &unix.SockaddrUnix{Name: path + "2"}))
	require.NoError(t, unix.Listen(packets, 1))
	null, err := os.Open(os.DevNull)
	require.NoError(t, err)
	t.Cleanup(func() { null.Close() })

	listens := fdOf(t, l.(*net.TCPListener))
	other := netip.AddrPortFrom(at.Addr(), at.Port()^1)
	for want, s := range map[string]Socket{
		"": {Use: UseRelay, Name: "in", Addr: at, FD: listens},
		"it listens on " + at.String() + ", not on " + other.String(): {Use: UseRelay, Name: "in", Addr: other, FD: listens},
		"it listens on " + at.String() + ", not on 127.0.0.2:0":       {Use: UseHealth, Name: "tcp:127.0.0.2:0", FD: listens},
		`the socket of relay "client": it does not listen`:            {Use: UseRelay, Name: "client", Addr: at, FD: fdOf(t, c.(*net.TCPConn))},
		`the socket of relay "udp": it is no stream socket`:           {Use: UseRelay, Name: "udp", Addr: at, FD: fdOf(t, udp.(*net.UDPConn))},
		`the socket of admin "unix:packets": it is no stream socket`:  {Use: UseAdmin, Name: "unix:packets", FD: packets},
		`the socket of relay "null": socket operation on non-socket`:  {Use: UseRelay, Name: "null", Addr: at, FD: int(null.Fd())},
		"it listens on unix:" + path:                                  {Use: UseAdmin, Name: "unix:/elsewhere", FD: fdOf(t, u.(*net.UnixListener))},
		"it listens on unix:" + path + ", not on " + at.String():      {Use: UseRelay, Name: "in", Addr: at, FD: fdOf(t, u.(*net.UnixListener))},
		"it has no address":            {Use: UseHealth, Name: "tcp:nowhere", FD: listens},
		"it listens on " + at.String(): {Use: UseAdmin, Name: "unix:" + path, FD: listens},
	} {
		if err := s.Check(); want == "" {
			require.NoError(t, err)
		} else {
			require.ErrorContains(t, err, want)
		}
	}
	require.NoError(t, (&Socket{Use: UseAdmin, Name: "unix:" + path, FD: fdOf(t, u.(*net.UnixListener))}).Check())
	require.NoError(t, (&Socket{Use: UseHealth, Name: "tcp:127.0.0.1:0", FD: listens}).Check())
}
