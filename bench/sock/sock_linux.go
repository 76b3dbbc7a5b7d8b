package sock

import (
	"fmt"
	"net/netip"
	"syscall"
	"unsafe"

	"golang.org/x/sys/unix"
)

func raw3(n, a, b, c uintptr) (int, syscall.Errno) {
	r, _, e := syscall.RawSyscall(n, a, b, c)
	return int(r), e
}

func raw6(n, a, b, c, d, e, f uintptr) (int, syscall.Errno) {
	r, _, errno := syscall.RawSyscall6(n, a, b, c, d, e, f)
	return int(r), errno
}

func sockaddr(a netip.AddrPort) syscall.RawSockaddrInet4 {
	sa := syscall.RawSockaddrInet4{Family: unix.AF_INET, Addr: a.Addr().As4()}
	p := (*[2]byte)(unsafe.Pointer(&sa.Port))
	p[0], p[1] = byte(a.Port()>>8), byte(a.Port())
	return sa
}

func setInt(fd, level, opt int, v int32) syscall.Errno {
	_, e := raw6(unix.SYS_SETSOCKOPT, uintptr(fd), uintptr(level), uintptr(opt), uintptr(unsafe.Pointer(&v)), 4, 0)
	return e
}

// Listen opens a non-blocking listener on addr. TCP_NODELAY is inherited by what it accepts.
func Listen(addr netip.AddrPort) (fd int, bound netip.AddrPort, err error) {
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, bound, fmt.Errorf("open listener: %w", err)
	}
	setInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	setInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	sa := &unix.SockaddrInet4{Port: int(addr.Port()), Addr: addr.Addr().As4()}
	if err = unix.Bind(fd, sa); err == nil {
		err = unix.Listen(fd, 16384)
	}
	if err != nil {
		unix.Close(fd)
		return -1, bound, fmt.Errorf("listen on %s: %w", addr, err)
	}
	got, err := unix.Getsockname(fd)
	if err != nil {
		unix.Close(fd)
		return -1, bound, fmt.Errorf("read listener's address: %w", err)
	}
	return fd, netip.AddrPortFrom(addr.Addr(), uint16(got.(*unix.SockaddrInet4).Port)), nil
}

// Accept takes one connection from a listener, non-blocking; EAGAIN when there is none.
func Accept(fd int) (int, syscall.Errno) {
	return raw6(unix.SYS_ACCEPT4, uintptr(fd), 0, 0, unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0, 0)
}

// Dial starts a connection from source (its port left to connect, so that ports are shared between destinations) to
// dest. The connection is usually still under way when it returns.
func Dial(source netip.Addr, dest netip.AddrPort) (int, syscall.Errno) {
	fd, e := raw3(unix.SYS_SOCKET, unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	if e != 0 {
		return -1, e
	}
	setInt(fd, unix.IPPROTO_TCP, unix.TCP_NODELAY, 1)
	if source.IsValid() {
		setInt(fd, unix.IPPROTO_IP, unix.IP_BIND_ADDRESS_NO_PORT, 1)
		src := sockaddr(netip.AddrPortFrom(source, 0))
		if _, e = raw3(unix.SYS_BIND, uintptr(fd), uintptr(unsafe.Pointer(&src)), 16); e != 0 {
			Close(fd)
			return -1, e
		}
	}
	dst := sockaddr(dest)
	if _, e = raw3(unix.SYS_CONNECT, uintptr(fd), uintptr(unsafe.Pointer(&dst)), 16); e != 0 && e != syscall.EINPROGRESS {
		Close(fd)
		return -1, e
	}
	return fd, 0
}

// Recv reads into b; 0 without an error is the end of the stream.
func Recv(fd int, b []byte) (int, syscall.Errno) {
	return raw6(unix.SYS_RECVFROM, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), 0, 0, 0)
}

// Discard drops up to n bytes of the stream in the kernel, without copying them (MSG_TRUNC, tcp(7)).
func Discard(fd, n int) (int, syscall.Errno) {
	return raw6(unix.SYS_RECVFROM, uintptr(fd), 0, uintptr(n), unix.MSG_TRUNC, 0, 0)
}

// Send writes what fits of b.
func Send(fd int, b []byte) (int, syscall.Errno) {
	return raw6(unix.SYS_SENDTO, uintptr(fd), uintptr(unsafe.Pointer(&b[0])), uintptr(len(b)), unix.MSG_NOSIGNAL, 0, 0)
}

// Abort closes fd by a reset: what is under way either way is lost (SO_LINGER of 0, socket(7)).
func Abort(fd int) {
	linger := unix.Linger{Onoff: 1}
	raw6(unix.SYS_SETSOCKOPT, uintptr(fd), unix.SOL_SOCKET, unix.SO_LINGER, uintptr(unsafe.Pointer(&linger)), unsafe.Sizeof(linger), 0)
	Close(fd)
}

// Close closes fd: an ordinary FIN, unless unread bytes make the kernel send a reset.
func Close(fd int) { raw3(unix.SYS_CLOSE, uintptr(fd), 0, 0) }
