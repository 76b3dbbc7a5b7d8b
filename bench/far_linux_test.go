package main

import (
	"crypto/sha256"
	"crypto/tls"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/bench/netns"
	"github.com/l4fwd/l4fwd/bench/peer"
	"github.com/l4fwd/l4fwd/bench/wire"
)

// farNetwork makes one, or skips the test where that is not allowed. Children die with the thread, which the test keeps.
func farNetwork(t *testing.T) *network {
	t.Helper()
	runtime.LockOSThread()
	t.Cleanup(runtime.UnlockOSThread)
	n, err := far()
	if err != nil {
		t.Skipf("no namespaces with TUN devices: %v", err)
	}
	t.Cleanup(n.close)
	return n
}

// dial connects from a namespace.
func dial(t *testing.T, from *netns.Space, to netip.AddrPort) net.Conn {
	t.Helper()
	var c net.Conn
	require.NoError(t, from.Do(func() (err error) { c, err = net.DialTimeout("tcp4", to.String(), 5*time.Second); return err }))
	t.Cleanup(func() { c.Close() })
	require.NoError(t, c.SetDeadline(time.Now().Add(10*time.Second)))
	return c
}

// listen listens in a namespace and hands each connection to serve, one after the other, until the test ends.
func listen(t *testing.T, in *netns.Space, ip netip.Addr, serve func(net.Conn)) netip.AddrPort {
	t.Helper()
	var l net.Listener
	require.NoError(t, in.Do(func() (err error) { l, err = net.Listen("tcp4", netip.AddrPortFrom(ip, 0).String()); return err }))
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			serve(c)
			c.Close()
		}
	}()
	t.Cleanup(func() { l.Close(); <-done })
	return l.Addr().(*net.TCPAddr).AddrPort()
}

const attempts = 5

// handshakeFrom is how long a client needs from before connect to the end of the handshake: the best of a few, since the machine may be busy.
func handshakeFrom(t *testing.T, n *network, to netip.AddrPort) time.Duration {
	t.Helper()
	best := time.Hour
	for range attempts {
		start := time.Now()
		c := dial(t, n.client, to)
		require.NoError(t, tls.Client(c, &tls.Config{InsecureSkipVerify: true}).Handshake())
		best = min(best, time.Since(start))
		c.Close()
	}
	return best
}

// TestFarShowsRoundTrips: a client waits for two round trips without a relay and with one that connects when it comes, and for one
// where a connection is ready. That is the difference that the scenario handshake is about.
func TestFarShowsRoundTrips(t *testing.T) {
	n := farNetwork(t)
	self, err := os.Executable()
	require.NoError(t, err)
	specs := []peer.Spec{peer.IOCopy(self, []string{roleEnv + "=iocopy"}, 1024), peer.DirectSpec()}
	origin, ready, err := startOrigin(t.Context(), n.origin, n.role, n.upstreams(specs))
	require.NoError(t, err)
	defer origin.stop()
	cold, err := peer.Start(t.Context(), specs[0], n.site(ready.Addrs[0], 1024)) // returns once it has shaken hands through it
	require.NoError(t, err)
	defer cold.Stop()
	ahead := make(chan net.Conn, attempts)
	for range attempts {
		ahead <- dial(t, n.proxy, ready.Addrs[0])
	}
	warm := listen(t, n.proxy, n.listen, func(client net.Conn) {
		up := <-ahead
		go func() {
			_, _ = io.Copy(up, client)
			up.Close()
		}()
		_, _ = io.Copy(client, up)
	})
	const roundTrip = 2 * farDelay
	assert.GreaterOrEqual(t, handshakeFrom(t, n, ready.Addrs[1]), 2*roundTrip, "no relay")
	assert.GreaterOrEqual(t, handshakeFrom(t, n, cold.Listen), 2*roundTrip, "one that connects then")
	best := handshakeFrom(t, n, warm)
	assert.GreaterOrEqual(t, best, roundTrip)
	assert.Less(t, best, 2*roundTrip, "one that is connected")
	assert.Empty(t, dropped(n.faults()))
}

// dropped is the faults that are no matter of how busy the machine is.
func dropped(faults []string) (kept []string) {
	return slices.DeleteFunc(faults, func(f string) bool { return !strings.Contains(f, "dropped") })
}

// TestFarKeepsTCPIntact: what arrives is what was sent, and nothing is sent twice because packets came late or out of order.
func TestFarKeepsTCPIntact(t *testing.T) {
	n := farNetwork(t)
	sent := make([]byte, 2<<20)
	_, _ = rand.NewChaCha8([32]byte{}).Read(sent)
	to := listen(t, n.origin, n.upstream, func(c net.Conn) { _, _ = c.Write(sent) })
	c := dial(t, n.proxy, to)
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, sha256.Sum256(sent), sha256.Sum256(got))
	info := tcpInfo(t, c)
	assert.GreaterOrEqual(t, time.Duration(info.Rtt)*time.Microsecond, 2*farDelay)
	assert.Zero(t, info.Rcv_ooopack, "packets out of order")
	assert.LessOrEqual(t, info.Rcv_mss, uint32(1460))
	assert.Empty(t, dropped(n.faults()))
	for _, device := range []string{"to-client", "to-proxy", "to-origin"} {
		_, err := net.InterfaceByName(device)
		assert.Error(t, err, "no device is ever outside")
	}
}

func tcpInfo(t *testing.T, c net.Conn) (info *unix.TCPInfo) {
	t.Helper()
	raw, err := c.(*net.TCPConn).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { info, err = unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO) }))
	require.NoError(t, err)
	return info
}

// TestOriginAnswersClientHellos, in pieces and one behind the other, and none that was altered.
func TestOriginAnswersClientHellos(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	origin, ready, err := startOrigin(t.Context(), nil, originRole, []string{"127.0.0.1"})
	require.NoError(t, err)
	defer origin.stop()
	hello := func(seq uint64) []byte {
		b, err := wire.NewHello(peer.RoutedName)
		require.NoError(t, err)
		wire.SealHello(b, wire.Header{Op: wire.Exchange, Up: uint32(len(b)), Down: 64, Seq: seq})
		return b
	}
	c := dial(t, nil, ready.Addrs[0])
	b := append(hello(1), hello(2)...)
	for _, piece := range [][]byte{b[:3], b[3:40], b[40 : len(b)-1], b[len(b)-1:]} {
		_, err := c.Write(piece)
		require.NoError(t, err)
		time.Sleep(time.Millisecond)
	}
	for seq := range uint64(2) {
		answer := make([]byte, 64)
		_, err := io.ReadFull(c, answer)
		require.NoError(t, err)
		h, err := wire.Open(answer)
		require.NoError(t, err)
		assert.Equal(t, seq+1, h.Seq)
	}
	b = hello(3)
	b[5] = 2
	_, err = c.Write(b)
	require.NoError(t, err)
	_, err = c.Read(make([]byte, 1))
	assert.ErrorIs(t, err, io.EOF, "an altered one ends the connection")
	c = dial(t, nil, ready.Addrs[0])
	_, err = c.Write(hello(4))
	require.NoError(t, err)
	_, err = io.ReadFull(c, make([]byte, 64))
	require.NoError(t, err, "and no other")
}
