package handoff

import (
	"errors"
	"net/netip"

	"golang.org/x/sys/unix"
)

// listeningOn returns where a socket accepts streams: an address, or a path in the file system.
func listeningOn(fd int) (addr netip.AddrPort, path string, err error) {
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return addr, "", err
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	switch {
	case err != nil:
		return addr, "", err
	case kind != unix.SOCK_STREAM:
		return addr, "", errors.New("it is no stream socket")
	case accepts == 0:
		return addr, "", errors.New("it does not listen")
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return addr, "", err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), "", nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), "", nil
	case *unix.SockaddrUnix:
		return addr, sa.Name, nil
	}
	return addr, "", errors.New("it is neither a TCP nor a Unix socket")
}
