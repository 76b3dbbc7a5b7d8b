package relay

import (
	"net"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// resetSocket returns a socket whose peer has reset it, after a FIN if it sent one.
func resetSocket(t *testing.T, fin bool) int32 {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Connect(fd, &unix.SockaddrInet4{Addr: [4]byte{127, 0, 0, 1}, Port: ln.Addr().(*net.TCPAddr).Port}))
	require.NoError(t, unix.SetNonblock(fd, true))
	peer, err := ln.Accept()
	require.NoError(t, err)
	if fin {
		require.NoError(t, peer.(*net.TCPConn).CloseWrite())
	}
	require.NoError(t, peer.(*net.TCPConn).SetLinger(0))
	require.NoError(t, peer.Close())
	polled := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	require.Eventually(t, func() bool {
		_, err := unix.Poll(polled, 0)
		return err == nil && polled[0].Revents&unix.POLLHUP != 0
	}, 5*time.Second, time.Millisecond)
	return int32(fd)
}

// An upstream that resets in the instant of connecting is found out by the event, which takes the error. The client's first
// bytes then met EPIPE, which was taken for an end in order.
func TestAWriteBehindAKnownResetIsNoEndInOrder(t *testing.T) {
	for name, test := range map[string]struct {
		fin, known bool
		reason     Reason
	}{
		"reset that was known":            {known: true, reason: UpstreamReset},
		"reset that the write found":      {reason: UpstreamReset},
		"FIN and reset, found by a write": {fin: true, reason: UpstreamClosed},
	} {
		t.Run(name, func(t *testing.T) {
			fd := resetSocket(t, test.fin)
			c := &conn{}
			c.ends[upstream] = end{fd: fd, wr: true}
			if test.known { // as dialEvent does
				require.Equal(t, unix.ECONNRESET, sysSocketError(fd))
				c.ends[upstream].reset = true
			}
			l := &loop{}
			assert.Zero(t, l.send(c, client, []byte("hello")))
			assert.Equal(t, test.reason, c.reason)
			assert.Equal(t, test.reason == UpstreamReset, c.ends[upstream].reset)
			assert.Equal(t, halfDead, c.halves[client].state)
		})
	}
}
