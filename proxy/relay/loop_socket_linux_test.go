package relay

import (
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
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
