package relay

import (
	"net"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

func TestSockaddrRoundTrip(t *testing.T) {
	for in, want := range map[string]string{
		"127.0.0.1:443":           "127.0.0.1:443",
		"[::ffff:10.1.2.3]:65535": "10.1.2.3:65535",
		"[2001:db8::1]:1":         "[2001:db8::1]:1",
		"[fe80::1%7]:80":          "[fe80::1]:80",
	} {
		var s sockaddr
		s.set(netip.MustParseAddrPort(in))
		assert.Equal(t, want, s.addr().String(), in)
	}
	assert.Equal(t, uint32(7), zoneIndex("7"))
	assert.Equal(t, uint32(1), zoneIndex("lo"))
	assert.Zero(t, zoneIndex("no-such-interface"))
}

// Each error that connect(2) and socket(2) name has the reason an operator can act on.
func TestConnectReasons(t *testing.T) {
	for errno, want := range map[unix.Errno]Reason{
		unix.ECONNREFUSED: ConnectRefused, unix.ETIMEDOUT: ConnectTimeout, unix.EHOSTUNREACH: ConnectUnreachable,
		unix.ENETUNREACH: ConnectUnreachable, unix.EACCES: ConnectUnreachable, unix.EADDRNOTAVAIL: NoPorts,
		unix.EMFILE: LimitConnections, unix.ENFILE: LimitConnections, unix.ENOBUFS: Internal, unix.ENOMEM: Internal,
	} {
		assert.Equal(t, want, connectReason(errno), errno)
	}
}

// What io_uring's connect does when a reset comes in its last moment: it calls connect(2) anew, which drops what was received.
// A relay on kernel 6.12 took such a socket for one that had been read to its end.
func TestASocketConnectedAnewAfterAResetIsTold(t *testing.T) {
	for name, again := range map[string]bool{"asked for its error": false, "connected anew": true} {
		t.Run(name, func(t *testing.T) {
			fd, to := resetAfterAByte(t)
			if again {
				require.ErrorIs(t, unix.Connect(fd, to), unix.ECONNRESET)
			} else {
				require.Equal(t, unix.ECONNRESET, sysSocketError(int32(fd)))
			}
			require.Equal(t, again, disconnected(int32(fd)))
			n, e := sysRecv(int32(fd), make([]byte, 8))
			if again {
				require.Equal(t, unix.ENOTCONN, e)
			} else {
				require.Equal(t, 1, n)
			}
		})
	}
}

// resetAfterAByte is a socket whose connect(2) was begun, and whose peer has accepted, sent a byte and reset since.
func resetAfterAByte(t *testing.T) (fd int, to unix.Sockaddr) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_NONBLOCK|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	to = &unix.SockaddrInet4{Port: ln.Addr().(*net.TCPAddr).Port, Addr: [4]byte{127, 0, 0, 1}}
	require.ErrorIs(t, unix.Connect(fd, to), unix.EINPROGRESS)
	c, err := ln.Accept()
	require.NoError(t, err)
	_, err = c.Write([]byte("x"))
	require.NoError(t, err)
	require.NoError(t, c.(*net.TCPConn).SetLinger(0))
	require.NoError(t, c.Close())
	require.Eventually(t, func() bool { return sysPoll(int32(fd), 0)&unix.POLLHUP != 0 }, 5*time.Second, time.Millisecond)
	return fd, to
}

// Pipes are capped over all loops, and one that is given back is used again.
func TestPipesAreCapped(t *testing.T) {
	var s shared
	p := pipes{open: &s.pipes, max: 3, size: pipeSize}
	var got []*pipe
	for range 3 {
		q := p.get()
		if !assert.NotNil(t, q) {
			return
		}
		assert.GreaterOrEqual(t, int(q.size), pipeLeast)
		got = append(got, q)
	}
	assert.Nil(t, p.get(), "one too many")
	assert.True(t, p.scarce())
	p.put(got[0])
	assert.Same(t, got[0], p.get())
	p.destroy(got[1])
	got[1] = p.get()
	assert.NotNil(t, got[1], "a destroyed one makes room")
	assert.EqualValues(t, 3, s.pipes.Load())
	for _, q := range got {
		p.put(q)
	}
	p.close()
	assert.Zero(t, s.pipes.Load())
}
