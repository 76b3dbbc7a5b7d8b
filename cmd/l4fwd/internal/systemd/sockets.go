package systemd

import (
	"errors"
	"fmt"
	"net/netip"

	"golang.org/x/sys/unix"
)

// Socket is a listening socket from the service manager.
type Socket struct {
	Name string // FileDescriptorName= of the socket unit
	FD   int
	Addr netip.AddrPort // where it listens
}

// firstSocket is SD_LISTEN_FDS_START, sd_listen_fds(3).
const firstSocket = 3

// listeningOn returns the address on which a socket accepts TCP connections.
func listeningOn(fd int) (netip.AddrPort, error) {
	accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
	if err != nil {
		return netip.AddrPort{}, err
	}
	kind, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_TYPE)
	if err != nil {
		return netip.AddrPort{}, err
	}
	if accepts == 0 || kind != unix.SOCK_STREAM { // ListenSequentialPacket= listens, too
		return netip.AddrPort{}, errors.New("does not listen")
	}
	sa, err := unix.Getsockname(fd)
	if err != nil {
		return netip.AddrPort{}, err
	}
	switch sa := sa.(type) {
	case *unix.SockaddrInet4:
		return netip.AddrPortFrom(netip.AddrFrom4(sa.Addr), uint16(sa.Port)), nil
	case *unix.SockaddrInet6:
		return netip.AddrPortFrom(netip.AddrFrom16(sa.Addr), uint16(sa.Port)), nil
	}
	return netip.AddrPort{}, errors.New("is not a TCP socket")
}

// Assign returns the socket of each of n listeners, nil for one that has to open its own. A socket goes to the listener of
// its name, else to the first listener that is left. It is an error to have more sockets than listeners.
func Assign(n int, sockets []Socket, name func(i int) string) ([]*Socket, error) {
	if len(sockets) > n {
		return nil, fmt.Errorf("the service manager passed %d sockets, but the configuration has %d listeners; "+
			"name as many under listeners, or remove a ListenStream=", len(sockets), n)
	}
	assigned := make([]*Socket, n)
	var rest []*Socket
	for i := range sockets {
		s := &sockets[i]
		if !assign(s, assigned, func(i int) bool { return name(i) == s.Name }) {
			rest = append(rest, s)
		}
	}
	for _, s := range rest {
		assign(s, assigned, func(int) bool { return true })
	}
	return assigned, nil
}

// assign gives the socket to the first listener that fits and has none, and reports whether there is one.
func assign(s *Socket, assigned []*Socket, fits func(i int) bool) bool {
	for i := range assigned {
		if assigned[i] == nil && fits(i) {
			assigned[i] = s
			return true
		}
	}
	return false
}
