package relay

import (
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// unacked is how many sent bytes the relay's side has not acknowledged.
func (p *peer) unacked() int { return unacked(p.TCPConn) }

// blackhole returns the address of a listener whose queue is full, so that the kernel drops every SYN to it, and the
// function that empties the queue: the kernel answers the next SYN then, which is sent again after about a second.
func blackhole(t testing.TB, at netip.Addr) (addr netip.AddrPort, open func() *net.TCPListener) {
	t.Helper()
	ln := listenAt(t, at)
	control := func(f func(fd int) error) {
		raw, err := ln.SyscallConn()
		require.NoError(t, err)
		require.NoError(t, raw.Control(func(fd uintptr) { err = f(int(fd)) }))
		require.NoError(t, err)
	}
	control(func(fd int) error { return unix.Listen(fd, 0) }) // listen again changes the backlog, listen(2)
	addr = localListenAddr(ln)
	queued := uint32(0)
	// Asked of the kernel, since on a busy machine a connection that takes long proves nothing.
	full := func() (yes bool) {
		control(func(fd int) error {
			info, err := unix.GetsockoptTCPInfo(fd, unix.IPPROTO_TCP, unix.TCP_INFO)
			if err == nil { // tcp_get_info() of a listener: clients in the queue, and its length
				queued, yes = info.Unacked, info.Unacked > info.Sacked
			}
			return err
		})
		return yes
	}
	eventually(t, "the listener's queue to fill", func() bool {
		if full() {
			return true
		}
		if c, err := net.DialTimeout("tcp", addr.String(), 150*time.Millisecond); err == nil {
			t.Cleanup(func() { c.Close() })
		}
		return false
	})
	return addr, func() *net.TCPListener {
		control(func(fd int) error { return unix.Listen(fd, 16) })
		for range queued {
			c, err := ln.Accept()
			require.NoError(t, err)
			c.Close()
		}
		return ln
	}
}

// socketsTo returns duplicates of this process's connected sockets whose peer is at addr.
func socketsTo(t testing.TB, addr netip.AddrPort) (fds []int) {
	t.Helper()
	var found []int
	for fd := range 4096 {
		if sa, err := unix.Getpeername(fd); err == nil && sockaddrPort(sa) == addr {
			found = append(found, fd)
		}
	}
	for _, fd := range found {
		dup, err := unix.FcntlInt(uintptr(fd), unix.F_DUPFD_CLOEXEC, 0)
		require.NoError(t, err)
		t.Cleanup(func() { unix.Close(dup) })
		fds = append(fds, dup)
	}
	return fds
}

// listenersAt returns this process's listening sockets at addr.
func listenersAt(addr netip.AddrPort) (fds []int) {
	for fd := range 4096 {
		accepts, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ACCEPTCONN)
		if err != nil || accepts == 0 {
			continue
		}
		if sa, err := unix.Getsockname(fd); err == nil && sockaddrPort(sa) == addr {
			fds = append(fds, fd)
		}
	}
	return fds
}

// memoryAborts is how many connections of this system the kernel has reset because it had no memory left for TCP
// (net.ipv4.tcp_mem), which hits relayed bytes like any other.
func memoryAborts() int {
	b, _ := os.ReadFile("/proc/net/netstat")
	lines := strings.Split(string(b), "\n")
	if len(lines) < 2 {
		return 0
	}
	names, values := strings.Fields(lines[0]), strings.Fields(lines[1])
	if i := slices.Index(names, "TCPAbortOnMemory"); i >= 0 && i < len(values) {
		n, _ := strconv.Atoi(values[i])
		return n
	}
	return 0
}

// cpuTime is what the process has used so far.
func cpuTime() time.Duration {
	var u unix.Rusage
	unix.Getrusage(unix.RUSAGE_SELF, &u)
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

// kept is what a closed engine could not give back: requests that the kernel has, buffers, pipes.
func kept(e engine) int64 {
	switch e := e.(type) {
	case *epoll:
		return e.shared.kept.Load()
	case *uring:
		return e.shared.kept.Load()
	}
	return 0
}

// unread is how many bytes the kernel holds that the peer has not read, tcp(7) SIOCINQ.
func unread(t testing.TB, p *peer) int {
	t.Helper()
	raw, err := p.SyscallConn()
	require.NoError(t, err)
	var n int
	require.NoError(t, raw.Control(func(fd uintptr) { n, err = unix.IoctlGetInt(int(fd), unix.TIOCINQ) }))
	require.NoError(t, err)
	return n
}
