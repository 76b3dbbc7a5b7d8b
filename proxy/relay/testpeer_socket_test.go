package relay

import (
	"net"
	"net/netip"
	"os"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// dialRaw connects to addr. Other than net.Dialer it does not ask for the socket's error: a peer that is reset in the
// instant of connecting is to see what came before the reset.
func dialRaw(t testing.TB, addr netip.AddrPort, slow bool) net.Conn {
	t.Helper()
	fd := socket(t, addr.Addr())
	f := os.NewFile(uintptr(fd), "peer")
	defer f.Close()
	if slow {
		require.NoError(t, smallBuffer(fd))
	}
	return connectRaw(t, fd, f, addr)
}

// dialSmall connects with a small receive buffer and segments that fit it. Those of loopback, 64 KiB, are larger than its window
// ever gets: the kernel then sends at its persist timer only, 2 KB every 200 ms (RFC 9293, 3.8.6.2.1), which no relay can help.
func dialSmall(t testing.TB, addr netip.AddrPort) net.Conn {
	t.Helper()
	fd := socket(t, addr.Addr())
	f := os.NewFile(uintptr(fd), "peer")
	defer f.Close()
	require.NoError(t, smallBuffer(fd))
	require.NoError(t, unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_MAXSEG, 1400))
	return connectRaw(t, fd, f, addr)
}

// connectRaw connects the socket fd, which is f's too.
func connectRaw(t testing.TB, fd int, f *os.File, addr netip.AddrPort) net.Conn {
	t.Helper()
	require.NoError(t, unix.SetNonblock(fd, true))
	if err := unix.Connect(fd, sockaddrOf(addr)); err != nil {
		require.ErrorIs(t, err, unix.EINPROGRESS)
		fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}
		for {
			n, err := unix.Poll(fds, int(patience.Milliseconds()))
			if err == unix.EINTR {
				continue
			}
			require.NoError(t, err)
			require.Equal(t, 1, n, "connect to the relay: timeout")
			break
		}
	}
	c, err := net.FileConn(f) // a duplicate
	require.NoError(t, err)
	return c
}

// refusing returns an address where nobody listens, and keeps it so: the port is bound.
func refusing(t testing.TB, at netip.Addr) netip.AddrPort {
	t.Helper()
	fd := socket(t, at)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, sockaddrOf(netip.AddrPortFrom(at, 0))))
	bound, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return sockaddrPort(bound)
}

func socket(t testing.TB, at netip.Addr) int {
	t.Helper()
	family := unix.AF_INET
	if at.Is6() {
		family = unix.AF_INET6
	}
	fd, err := unix.Socket(family, unix.SOCK_STREAM, 0)
	require.NoError(t, err)
	unix.CloseOnExec(fd)
	return fd
}

func smallBuffer(fd int) error { return unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_RCVBUF, 4096) }

func sockaddrOf(a netip.AddrPort) unix.Sockaddr {
	if a.Addr().Is4() {
		return &unix.SockaddrInet4{Addr: a.Addr().As4(), Port: int(a.Port())}
	}
	return &unix.SockaddrInet6{Addr: a.Addr().As16(), Port: int(a.Port())}
}

func sockaddrPort(sa unix.Sockaddr) netip.AddrPort {
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port))
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr).Unmap(), uint16(sa.Port))
	}
	return netip.AddrPort{}
}
