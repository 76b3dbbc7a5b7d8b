package netns

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// space makes a namespace, or skips the test where that is not allowed.
func space(t *testing.T) *Space {
	t.Helper()
	s, err := New()
	skipIf(t, err, unix.EPERM, unix.EACCES, unix.ENOSYS, unix.EINVAL)
	require.NoError(t, err)
	t.Cleanup(s.Close)
	return s
}

// skipIf skips the test where the machine does not allow, or does not know, what it needs.
func skipIf(t *testing.T, err error, refusals ...error) {
	t.Helper()
	for _, r := range refusals {
		if errors.Is(err, r) {
			t.Skipf("needs root (CAP_SYS_ADMIN) and a kernel with veth: %v", err)
		}
	}
}

// id is the namespace of the calling thread.
func id(t *testing.T) string {
	t.Helper()
	link, err := os.Readlink(ownSpace)
	require.NoError(t, err)
	return link
}

func pair(t *testing.T, a, b *Space) {
	t.Helper()
	err := Join(End{a, "to-b", []netip.Prefix{netip.MustParsePrefix("198.18.7.1/24"), netip.MustParsePrefix("198.18.7.2/24")}},
		End{b, "to-a", []netip.Prefix{netip.MustParsePrefix("198.18.7.100/24")}})
	skipIf(t, err, unix.EOPNOTSUPP)
	require.NoError(t, err)
}

func TestVethCarriesAConnection(t *testing.T) {
	a, b := space(t), space(t)
	pair(t, a, b)
	var l net.Listener
	require.NoError(t, b.Do(func() (err error) { l, err = net.Listen("tcp4", "198.18.7.100:0"); return err }))
	defer l.Close()
	_, err := net.DialTimeout("tcp4", l.Addr().String(), 1)
	require.Error(t, err, "the namespaces are not to be reached from outside")
	require.NoError(t, a.Do(func() error {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(198, 18, 7, 2)}}
		c, err := d.Dial("tcp4", l.Addr().String())
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = c.Write([]byte("through"))
		return err
	}))
	c, err := l.Accept()
	require.NoError(t, err)
	defer c.Close()
	got, err := io.ReadAll(c)
	require.NoError(t, err)
	assert.Equal(t, "through", string(got))
	assert.Equal(t, "198.18.7.2", c.RemoteAddr().(*net.TCPAddr).IP.String())
}

func TestNothingIsLeftBehind(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	home := id(t)
	a, b := space(t), space(t)
	pair(t, a, b)
	var inside string
	require.NoError(t, a.Do(func() error { inside = id(t); return nil }))
	assert.NotEqual(t, home, inside)
	assert.Equal(t, home, id(t), "the thread came back")
	_, err := net.InterfaceByName("to-b")
	assert.Error(t, err, "no device is ever outside")
	assert.True(t, held(t, inside))
	a.Close()
	b.Close()
	assert.False(t, held(t, inside), "a thread or a file still holds the namespace")
	assert.Error(t, a.Do(func() error { return nil }))
	assert.Equal(t, home, id(t))
}

// held reports whether a thread or an open file of this process keeps a namespace alive.
func held(t *testing.T, space string) bool {
	t.Helper()
	for _, pattern := range []string{"/proc/self/task/*/ns/net", "/proc/self/fd/*"} {
		files, err := filepath.Glob(pattern)
		require.NoError(t, err)
		for _, f := range files {
			if link, err := os.Readlink(f); err == nil && link == space {
				return true
			}
		}
	}
	return false
}

func TestSettingsAreTheNamespacesOwn(t *testing.T) {
	const setting = "net/ipv4/ip_local_port_range"
	before, err := os.ReadFile("/proc/sys/" + setting)
	require.NoError(t, err)
	s := space(t)
	err = s.Set(setting, "20000 20999")
	skipIf(t, err, unix.EROFS, unix.EACCES)
	require.NoError(t, err)
	require.NoError(t, s.Do(func() error {
		got, err := os.ReadFile("/proc/sys/" + setting)
		assert.Equal(t, "20000\t20999\n", string(got))
		return err
	}))
	after, err := os.ReadFile("/proc/sys/" + setting)
	require.NoError(t, err)
	assert.Equal(t, string(before), string(after))
}

func TestErrorsSayWhatWasTried(t *testing.T) {
	s := space(t)
	err := s.Do(func() error { return up("nonsense") })
	assert.ErrorContains(t, err, "find nonsense")
	err = s.Do(func() error { return address("lo", netip.MustParsePrefix("127.0.0.1/8")) })
	assert.ErrorContains(t, err, fmt.Sprint("give lo the address 127.0.0.1/8: ", syscall.Errno(unix.EEXIST)))
}

// TestNoSpaceIsWhereTheProcessIs: the bench runs over loopback and over veth by the same code.
func TestNoSpaceIsWhereTheProcessIs(t *testing.T) {
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	var none *Space
	home, inside := id(t), ""
	require.NoError(t, none.Do(func() error { inside = id(t); return nil }))
	assert.Equal(t, home, inside)
	none.Close()
}

// TestTunHandsOverPackets: a datagram sent in one namespace is one packet, and received in another once it is written there.
func TestTunHandsOverPackets(t *testing.T) {
	a, b := space(t), space(t)
	var files [2]*os.File
	for i, e := range []End{
		{a, "to-b", []netip.Prefix{netip.MustParsePrefix("198.18.7.1/24")}},
		{b, "to-a", []netip.Prefix{netip.MustParsePrefix("198.18.7.100/24")}},
	} {
		f, err := Tun(e)
		skipIf(t, err, unix.ENOENT, unix.ENODEV, unix.ENXIO, unix.EPERM)
		require.NoError(t, err)
		defer f.Close()
		files[i] = f
	}
	var to, from net.PacketConn
	require.NoError(t, b.Do(func() (err error) { to, err = net.ListenPacket("udp4", "198.18.7.100:0"); return err }))
	defer to.Close()
	require.NoError(t, a.Do(func() (err error) { from, err = net.ListenPacket("udp4", "198.18.7.1:0"); return err }))
	defer from.Close()
	_, err := from.WriteTo([]byte("through"), to.LocalAddr())
	require.NoError(t, err)
	require.NoError(t, files[0].SetReadDeadline(time.Now().Add(5*time.Second)))
	packet := make([]byte, 2048)
	n := 0
	for n == 0 || packet[0]>>4 != 4 { // the kernel sends IPv6 packets of its own
		n, err = files[0].Read(packet)
		require.NoError(t, err)
	}
	assert.Equal(t, 20+8+len("through"), n)
	_, err = files[1].Write(packet[:n])
	require.NoError(t, err)
	require.NoError(t, to.SetDeadline(time.Now().Add(5*time.Second)))
	n, sender, err := to.ReadFrom(packet)
	require.NoError(t, err)
	assert.Equal(t, "through", string(packet[:n]))
	assert.Equal(t, from.LocalAddr().String(), sender.String())
}

func TestTunEndsWithItsFile(t *testing.T) {
	s := space(t)
	f, err := Tun(End{s, "gone", []netip.Prefix{netip.MustParsePrefix("198.18.7.1/24")}})
	skipIf(t, err, unix.ENOENT, unix.ENODEV, unix.ENXIO, unix.EPERM)
	require.NoError(t, err)
	ended := make(chan error)
	go func() {
		for {
			if _, err := f.Read(make([]byte, 2048)); err != nil {
				ended <- err
				return
			}
		}
	}()
	require.NoError(t, s.Do(func() error { i, err := net.InterfaceByName("gone"); assert.Equal(t, 1500, i.MTU); return err }))
	f.Close()
	require.ErrorIs(t, <-ended, os.ErrClosed)
	require.NoError(t, s.Do(func() error { _, err := net.InterfaceByName("gone"); assert.Error(t, err); return nil }))
	_, err = Tun(End{In: s, Name: "a-name-that-is-too-long"})
	assert.ErrorContains(t, err, "make the TUN device a-name-that-is-too-long: ")
}
