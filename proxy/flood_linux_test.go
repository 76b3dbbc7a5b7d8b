package proxy

import (
	"crypto/tls"
	"net/netip"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// flood is many clients that are sockets and nothing else, so that what memory grows by is the forwarder's.
type flood struct {
	*harness
	fds []int
}

// floods connects n clients from an address; a client that was reset counts as well.
func (d *harness) floods(n int, from string) *flood {
	d.Helper()
	f := &flood{harness: d}
	at := d.Addrs()[0]
	to := &syscall.SockaddrInet4{Port: int(at.Port()), Addr: at.Addr().As4()}
	for range n {
		fd, err := syscall.Socket(syscall.AF_INET, syscall.SOCK_STREAM|syscall.SOCK_CLOEXEC, 0)
		require.NoError(d, err)
		f.fds = append(f.fds, fd)
		require.NoError(d, syscall.Bind(fd, &syscall.SockaddrInet4{Addr: netip.MustParseAddr(from).As4()}))
		if err := syscall.Connect(fd, to); err != syscall.ECONNRESET { // turned away before connect(2) has returned
			require.NoError(d, err)
		}
		require.NoError(d, syscall.SetNonblock(fd, true))
	}
	d.T.Cleanup(f.leave)
	return f
}

func (f *flood) leave() {
	for _, fd := range f.fds {
		syscall.Close(fd)
	}
	f.fds = nil
}

// say has every second client say b, those that are open still.
func (f *flood) say(b []byte) {
	for i := 0; i < len(f.fds); i += 2 {
		_, _ = syscall.Write(f.fds[i], b) // it may have been reset
	}
}

// heap is the memory in use for objects and stacks.
func heap() int64 {
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc + m.StackInuse)
}

// greets wants a good client to be served soon.
func (d *harness) greets(name string) {
	d.Helper()
	begun := time.Now()
	c := tls.Client(d.dial(), &tls.Config{ServerName: name, InsecureSkipVerify: true})
	b := make([]byte, len(name))
	_, err := c.Read(b)
	require.NoError(d, err)
	require.Equal(d, name, string(b))
	require.Less(d, time.Since(begun), 2*time.Second)
	c.Close()
}

// Thousands of clients that say nothing, or a byte at a time, cost little memory until their time is up, and nobody else waits
// for them.
func TestAFloodOfClientsThatSayTooLittle(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		const clients = 2000
		one := tlsServer(t, "one.example")
		d := open(t, engine, Listener{Routes: twoRoutes()[:1]}, func(o *Options) {
			o.PrefaceTimeout, o.Access = 3*time.Second, AccessOff
		}, to("one", one))
		d.greets("one.example")
		before := heap()
		f := d.floods(clients, "127.0.0.1")
		hello := clientHello(t, "one.example")
		most := int64(6 << 10) // of a connection: a buffer of 4 KiB for its first bytes, and what it is itself
		if engine == "portable" {
			most = 20 << 10 // a buffer of 4 KiB, goroutines and a net.Conn
		}
		peak := int64(0)
		for i := range hello[:len(hello)-1] {
			f.say(hello[i : i+1])
			if i == 3 {
				d.greets("one.example")
				peak = d.Stats().Relay.Active
				require.LessOrEqual(t, heap()-before, peak*most, "memory of %d connections", peak)
			}
			time.Sleep(50 * time.Millisecond)
			if d.Stats().Relay.Active == 0 {
				break
			}
		}
		require.Greater(t, peak, int64(clients/2), "the flood never was one")
		require.Eventually(t, func() bool { return d.Stats().Relay.Active == 0 }, 5*time.Second, 10*time.Millisecond)
		st := d.Stats()
		require.EqualValues(t, clients, st.Refused[[2]string{"in", "preface_timeout"}])
		require.EqualValues(t, 2, one.accepted.Load(), "the good clients, and nobody else")
		f.leave()
		kept := int64(clients / 2 * 4 << 10) // the loops keep free buffers for the next
		require.Less(t, heap()-before, kept+4<<20, "what the flood leaves behind")
	})
}

// A client that opens thousands of connections gets those it may have; what is turned away holds nothing, and others are served.
func TestAFloodFromOneSource(t *testing.T) {
	eachEngine(t, func(t *testing.T, engine string) {
		const clients, most = 2000, 100
		one := tlsServer(t, "one.example")
		d := open(t, engine, Listener{Upstream: "one"}, func(o *Options) { o.PerSource, o.Access = most, AccessOff }, to("one", one))
		d.greets("one.example")
		f := d.floods(clients, "127.0.0.9")
		require.Eventually(t, func() bool { return d.refusals("limit_source") == clients-most }, 10*time.Second, 5*time.Millisecond)
		d.greets("one.example")
		require.Eventually(t, func() bool { return d.Stats().Relay.Active == most }, 5*time.Second, 5*time.Millisecond)
		r := d.policy.table.Load().rules[0]
		require.Equal(t, 1, r.counters.sources.Sources())
		f.leave()
		require.Eventually(t, func() bool { return d.Stats().Relay.Active == 0 }, 5*time.Second, 5*time.Millisecond)
		require.Zero(t, r.counters.sources.Sources())
		again := d.floods(most, "127.0.0.9")
		require.Eventually(t, func() bool { return d.Stats().Relay.Active == most }, 5*time.Second, 5*time.Millisecond)
		require.EqualValues(t, clients-most, d.refusals("limit_source"), "what left is not counted")
		again.leave()
	})
}
