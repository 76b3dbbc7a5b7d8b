package proxy

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/miekg/dns"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// darken listens at addr with a full queue, so that the kernel drops every SYN.
func darken(t *testing.T, addr string) {
	ln := listen(t, addr)
	t.Cleanup(func() { ln.Close() })
	raw, err := ln.(*net.TCPListener).SyscallConn()
	require.NoError(t, err)
	require.NoError(t, raw.Control(func(fd uintptr) { require.NoError(t, unix.Listen(int(fd), 0)) }))
	// Asked of the kernel, since on a busy machine a connection that takes long proves nothing.
	full := func() (yes bool) {
		require.NoError(t, raw.Control(func(fd uintptr) {
			info, err := unix.GetsockoptTCPInfo(int(fd), unix.IPPROTO_TCP, unix.TCP_INFO)
			yes = err == nil && info.Unacked > info.Sacked // of a listener: clients in the queue, and its length
		}))
		return yes
	}
	for end := time.Now().Add(15 * time.Second); !full(); {
		require.True(t, time.Now().Before(end), "the queue of %s does not fill", addr)
		if c, err := net.DialTimeout("tcp", addr, 150*time.Millisecond); err == nil {
			t.Cleanup(func() { c.Close() })
		}
	}
}

// Three of four addresses answer nothing. Clients used to wait for the whole connect timeout, up to 7 of 10 of them just
// after a start.
func TestDarkAddressesCostAtMostTheirStagger(t *testing.T) {
	const stagger = 200 * time.Millisecond
	eachEngine(t, func(t *testing.T, engine string) {
		port := greeter(t, "127.0.0.84:0", "good").Port()
		for i := 81; i <= 83; i++ {
			darken(t, fmt.Sprintf("127.0.0.%d:%d", i, port))
		}
		ns := startNameserver(t)
		ns.say(dns.RcodeSuccess, false, "127.0.0.81", "127.0.0.82", "127.0.0.83", "127.0.0.84")
		s := start(t, engine, "model.test", port, func(o *Options) {
			o.DNS.Servers = []netip.AddrPort{ns.addr}
			o.Upstreams[0].ConnectTimeout, o.Upstreams[0].Stagger = 5*time.Second, stagger
		})
		require.Eventually(t, func() bool { return s.UpstreamsReady() == nil }, 5*time.Second, time.Millisecond)

		// Just after the start nothing is known of any address.
		slowest := slices.Max(waits(t, s, 40, 0))
		assert.Less(t, slowest, 4*stagger, "at the start")

		time.Sleep(time.Second)
		slowest = time.Hour
		for range 3 { // a busy machine delays one of 300 by itself; the fault delayed some of every 300 by seconds
			slowest = min(slowest, slices.Max(waits(t, s, 300, 5*time.Millisecond)))
			if slowest < 2*stagger {
				break
			}
		}
		assert.Less(t, slowest, 2*stagger, "later")
		st := s.Stats()
		assert.NotZero(t, st.Dials[[2]string{"up", "outpaced"}], "attempts that lost are counted")
		assert.Zero(t, st.Dials[[2]string{"up", "connect_timeout"}])
	})
}

// waits lets n clients come, one each pause, and returns how long each waited for the upstream's greeting.
func waits(t *testing.T, s *Server, n int, pause time.Duration) (all []time.Duration) {
	var mu sync.Mutex
	var clients sync.WaitGroup
	for range n {
		clients.Go(func() {
			begun := time.Now()
			c, _, err := greeting(s)
			if assert.NoError(t, err) {
				c.Close()
			}
			mu.Lock()
			defer mu.Unlock()
			all = append(all, time.Since(begun))
		})
		time.Sleep(pause)
	}
	clients.Wait()
	return all
}
