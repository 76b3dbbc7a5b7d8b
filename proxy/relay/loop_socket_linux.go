package relay

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"strconv"
	"syscall"
	"time"
	"unsafe"

	"golang.org/x/sys/unix"
)

// sockaddr is room for an address of either family in the kernel's layout.
type sockaddr struct {
	raw unix.RawSockaddrAny
	len uint32
}

// room prepares s for an address that the kernel writes.
func (s *sockaddr) room() { s.len = unix.SizeofSockaddrAny }

// set stores an address. A zone that is no number is looked up, which takes system calls: only link-local addresses have one.
func (s *sockaddr) set(a netip.AddrPort) {
	port := a.Port()
	if a.Addr().Unmap().Is4() {
		p := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		*p = unix.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().Unmap().As4()}
		*(*[2]byte)(unsafe.Pointer(&p.Port)) = [2]byte{byte(port >> 8), byte(port)}
		s.len = unix.SizeofSockaddrInet4
		return
	}
	p := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.raw))
	*p = unix.RawSockaddrInet6{Family: unix.AF_INET6, Addr: a.Addr().As16(), Scope_id: zoneIndex(a.Addr().Zone())}
	*(*[2]byte)(unsafe.Pointer(&p.Port)) = [2]byte{byte(port >> 8), byte(port)}
	s.len = unix.SizeofSockaddrInet6
}

// zoneIndex returns the interface index that a zone names, 0 (no interface) if there is none of that name.
func zoneIndex(zone string) uint32 {
	if zone == "" {
		return 0
	}
	if n, err := strconv.ParseUint(zone, 10, 32); err == nil {
		return uint32(n)
	}
	ifi, err := net.InterfaceByName(zone)
	if err != nil {
		return 0 // connect then fails as unreachable
	}
	return uint32(ifi.Index)
}

// addr reads the address back; IPv4 mapped into IPv6 is unmapped.
func (s *sockaddr) addr() netip.AddrPort {
	switch s.raw.Addr.Family {
	case unix.AF_INET:
		p := (*unix.RawSockaddrInet4)(unsafe.Pointer(&s.raw))
		b := (*[2]byte)(unsafe.Pointer(&p.Port))
		return netip.AddrPortFrom(netip.AddrFrom4(p.Addr), uint16(b[0])<<8|uint16(b[1]))
	case unix.AF_INET6:
		p := (*unix.RawSockaddrInet6)(unsafe.Pointer(&s.raw))
		b := (*[2]byte)(unsafe.Pointer(&p.Port))
		return netip.AddrPortFrom(netip.AddrFrom16(p.Addr).Unmap(), uint16(b[0])<<8|uint16(b[1]))
	}
	return netip.AddrPort{}
}

// localAddr returns the address a socket is bound to, the zero value if it is closed.
func localAddr(fd int32) netip.AddrPort {
	var s sockaddr
	s.room()
	if _, e := raw3(unix.SYS_GETSOCKNAME, uintptr(fd), uintptr(unsafe.Pointer(&s.raw)), uintptr(unsafe.Pointer(&s.len))); e != 0 {
		return netip.AddrPort{}
	}
	return s.addr()
}

// listenBacklog is capped by net.core.somaxconn: listen(2).
const listenBacklog = 65535

// openListeners opens n sockets that share addr by SO_REUSEPORT, so that each loop accepts from a queue of its own. It
// returns the address that is bound, with the port that the kernel chose.
func openListeners(addr netip.AddrPort, n int, k Keepalive) ([]int, netip.AddrPort, error) {
	// SO_REUSEPORT would let a second process of the same user take half of the connections without a word. A socket
	// without it finds out whether the port is free.
	probe, err := listenSocket(addr, false, k)
	if err != nil {
		return nil, addr, err
	}
	bound := localAddr(int32(probe))
	addr = netip.AddrPortFrom(addr.Addr(), bound.Port())
	if bound.Addr() == netip.IPv4Unspecified() {
		addr = bound // a host without IPv6: see listenSocket
	}
	if err := unix.Close(probe); err != nil {
		return nil, addr, os.NewSyscallError("close", err)
	}
	var fds []int
	for range n {
		fd, err := listenSocket(addr, true, k)
		if err == nil {
			err = os.NewSyscallError("listen", unix.Listen(fd, listenBacklog))
			fds = append(fds, fd)
		}
		if err != nil {
			closeAllFDs(fds)
			return nil, addr, err
		}
	}
	return fds, addr, nil
}

// closeAllFDs closes descriptors that nothing else knows.
func closeAllFDs(fds []int) {
	for _, fd := range fds {
		sysClose(int32(fd))
	}
}

// listenSocket returns a bound socket. TCP_NODELAY and the keepalive set on it are inherited by what it accepts.
func listenSocket(addr netip.AddrPort, reusePort bool, k Keepalive) (int, error) {
	family := unix.AF_INET6
	if addr.Addr().Is4() {
		family = unix.AF_INET
	}
	// IPPROTO_TCP, never MPTCP, which Go's net would choose for a listener.
	fd, err := unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, unix.IPPROTO_TCP)
	if errors.Is(err, unix.EAFNOSUPPORT) && addr.Addr() == netip.IPv6Unspecified() {
		return listenSocket(netip.AddrPortFrom(netip.IPv4Unspecified(), addr.Port()), reusePort, k) // a host without IPv6
	}
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	if err := setupListener(fd, addr, reusePort, k); err != nil {
		sysClose(int32(fd))
		return -1, err
	}
	return fd, nil
}

// setupListener sets the options of a new listening socket and binds it.
func setupListener(fd int, addr netip.AddrPort, reusePort bool, k Keepalive) error {
	set := func(level, name, v int) error {
		return os.NewSyscallError("setsockopt", unix.SetsockoptInt(fd, level, name, v))
	}
	errs := []error{set(unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)}
	if reusePort {
		errs = append(errs, set(unix.SOL_SOCKET, unix.SO_REUSEPORT, 1))
	}
	if !addr.Addr().Is4() {
		only := 1
		if addr.Addr() == netip.IPv6Unspecified() {
			only = 0
		}
		if domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN); err == nil && domain == unix.AF_INET6 {
			errs = append(errs, set(unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, only))
		}
	}
	inheritOptions(fd, k)
	if err := errors.Join(errs...); err != nil {
		return err
	}
	var sa sockaddr
	sa.set(addr)
	if _, e := raw3(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&sa.raw)), uintptr(sa.len)); e != 0 {
		return os.NewSyscallError("bind", e)
	}
	return nil
}

// inheritOptions sets what accepted sockets are to inherit. Failing to is no reason not to serve.
func inheritOptions(fd int, k Keepalive) {
	_ = unix.SetsockoptInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	setKeepalive(int32(fd), k)
	limitUnsent(int32(fd))
}

// notSentMax is how many bytes the kernel takes from us for a peer beyond what is on its way already. Without a limit it
// takes as much as its autotuning allows, megabytes for every reader that is slow or stuck. What is on its way is
// not limited, so neither is the throughput of a long path.
const notSentMax = 512 << 10

// limitUnsent sets TCP_NOTSENT_LOWAT, tcp(7).
func limitUnsent(fd int32) {
	_ = sysSetInt(fd, unix.IPPROTO_TCP, unix.TCP_NOTSENT_LOWAT, notSentMax)
}

// setKeepalive sets TCP keepalive, tcp(7). It fails only where the peer is gone, which the next call on the socket tells.
func setKeepalive(fd int32, k Keepalive) {
	_ = sysSetInt(fd, unix.SOL_SOCKET, unix.SO_KEEPALIVE, 1)
	_ = sysSetInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPIDLE, int32(k.Idle.Seconds()))
	_ = sysSetInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPINTVL, int32(k.Interval.Seconds()))
	_ = sysSetInt(fd, unix.IPPROTO_TCP, unix.TCP_KEEPCNT, int32(k.Count))
}

// closedProbes is after how many window probes a peer counts as one that does not read. They are sent one, three and seven
// retransmission timeouts after the window closed, so after 1.4 s at the earliest.
const closedProbes = 3

// doesNotRead reports whether the peer has acknowledged all that was sent and keeps its window closed for what is left:
// tcp(7), TCP_INFO.
func doesNotRead(fd int) bool {
	info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
	return err == nil && info.Unacked == 0 && info.Notsent_bytes > 0 && info.Backoff >= closedProbes
}

// acknowledgementOf asks the kernel how the peer of a socket acknowledges what it is sent: tcp(7), TCP_INFO.
func acknowledgementOf(fd int32) (a acknowledgement) {
	if n, e := sysQueued(fd, unix.TIOCOUTQ); e != 0 || n == 0 {
		return a
	}
	info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
	if err != nil {
		return a
	}
	return acknowledgement{
		bytes:      info.Bytes_acked,
		inFlight:   info.Unacked > 0,
		closed:     info.Unacked == 0 && info.Notsent_bytes > 0,
		unanswered: info.Probes > 0,
		silent:     time.Duration(info.Last_ack_recv) * time.Millisecond,
	}
}

// inheritedListener duplicates a listening socket that was handed in, and checks that it is one.
func inheritedListener(fd int, k Keepalive) (int, netip.AddrPort, error) {
	if v, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN); err != nil || v != 1 {
		return -1, netip.AddrPort{}, fmt.Errorf("descriptor %d is not a listening socket", fd)
	}
	dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 3)
	if err != nil {
		return -1, netip.AddrPort{}, os.NewSyscallError("dup", err)
	}
	if err := unix.SetNonblock(dup, true); err != nil {
		sysClose(int32(dup))
		return -1, netip.AddrPort{}, os.NewSyscallError("fcntl", err)
	}
	inheritOptions(dup, k)
	return dup, localAddr(int32(dup)), nil
}

// connectReason translates what connect or socket failed with.
func connectReason(e syscall.Errno) Reason {
	switch e {
	case unix.ECONNREFUSED, unix.ECONNRESET:
		return ConnectRefused
	case unix.ETIMEDOUT:
		return ConnectTimeout
	case unix.EHOSTUNREACH, unix.ENETUNREACH, unix.EHOSTDOWN, unix.ENETDOWN, unix.EACCES, unix.EPERM, unix.EAFNOSUPPORT, unix.EINVAL:
		return ConnectUnreachable
	case unix.EADDRNOTAVAIL, unix.EADDRINUSE, unix.EAGAIN:
		return NoPorts
	case unix.EMFILE, unix.ENFILE:
		return LimitConnections
	}
	return Internal
}
