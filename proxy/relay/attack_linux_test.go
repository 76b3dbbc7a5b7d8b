package relay

import (
	"io"
	"net"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// These are what an attack on the running daemon found, each with its story.

// Readers that take nothing used to keep every pipe, and splicing was over for everybody else.
func TestStuckReadersLeavePipes(t *testing.T) {
	r := newRig(t, "epoll", loopback4)
	var stuck []*peer
	for range pipesMax + 10 {
		c := r.dialSlow()
		u := r.accept()
		stuck = append(stuck, c)
		go func() { _, _ = io.Copy(u.TCPConn, io.LimitReader(zeros{}, 64<<20)) }() // ends with the connection
	}
	eventually(t, "all are stuck", func() bool {
		before := r.tally.Sum().Down
		time.Sleep(100 * time.Millisecond)
		return r.tally.Sum().Down == before
	})
	before := r.tally.Sum().SplicedUp
	c, u := r.pair()
	go func() { c.sendStream(1, 16<<20); c.fin() }()
	u.wantStream(1, 16<<20)
	assert.Greater(t, r.tally.Sum().SplicedUp-before, uint64(8<<20), "an honest flow is spliced")
	u.wantEnd(sawFIN) // else the upstream may end first
	u.fin()
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 16<<20, 0)
	for _, s := range stuck {
		s.reset()
	}
	for range stuck {
		r.closedBy([]Reason{ClientReset}, -1, -1)
	}
}

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { return len(p), nil }

// A read stops at the mark of urgent data. That used to look like a drained socket, or to a splice like the end: what
// came after the urgent byte was lost behind an orderly FIN.
func TestUrgentDataHidesNothing(t *testing.T) {
	for _, bulk := range []int{0, 32 << 20} {
		r := newRig(t, "epoll", loopback4)
		c, u := r.pair()
		done := make(chan struct{})
		go func() {
			defer close(done)
			c.sendStream(3, bulk)
			c.send("abc")
			raw, err := c.SyscallConn()
			if !assert.NoError(t, err) {
				return
			}
			err = raw.Control(func(fd uintptr) { assert.NoError(t, unix.Send(int(fd), []byte("X"), unix.MSG_OOB)) })
			assert.NoError(t, err)
			c.send("def")
			c.fin()
		}()
		u.wantStream(3, bulk)
		u.want("abcdef") // the urgent byte itself is out of band
		u.wantEnd(sawFIN)
		<-done
		u.fin()
		c.wantEnd(sawFIN)
		r.closed(ClientClosed, bulk+6, 0)
	}
}

// A listening socket that was handed in stays open in the process it came from. The loop used to close its own
// descriptor only, and the kernel went on reporting clients to it: a drain spun.
func TestInheritedListenerStopsQuietly(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	f, err := ln.(*net.TCPListener).File()
	require.NoError(t, err)
	defer f.Close()
	p := newTestPolicy(&Endpoint{Addr: refusing(t, loopback4)})
	r, err := Start(Options{Engine: "epoll", Loops: 2, Handler: p, Listeners: []Listener{{Name: "in", FD: int(f.Fd())}}})
	require.NoError(t, err)
	defer r.Close(Operator)
	assert.Equal(t, addrPort(ln.Addr()), r.Addrs()[0])
	r.StopAccepting()
	c, err := net.Dial("tcp", ln.Addr().String()) // queued in the socket that the other process still has
	require.NoError(t, err)
	defer c.Close()
	before := cpuTime()
	time.Sleep(500 * time.Millisecond)
	assert.Less(t, cpuTime()-before, 200*time.Millisecond)
	assert.Zero(t, r.Stats().AcceptPauses)
}

// A client that has ended behind bytes that its upstream does not take used to be kept for the idle timeout.
func TestEndBehindHeldBytesIsHalfClosed(t *testing.T) {
	r := newRig(t, "epoll", loopback4)
	r.opts.HalfCloseTimeout = 300 * time.Millisecond
	r.opts.IdleTimeout = time.Hour
	r.slowOrigin()
	c, u := r.pair()
	held := func() bool {
		var yes atomic.Bool
		r.relay.eng.(*epoll).all(func(l *loop) {
			l.conns.each(func(c *conn) {
				if c.halves[client].held() {
					yes.Store(true)
				}
			})
		})
		return yes.Load()
	}
	// So many bytes that the upstream is stuck, and so few that the client's FIN still gets through to the relay. How much the
	// relay's socket takes beside what is held depends on the kernel and on how fast the bytes come.
	chunk, sent := make([]byte, 16<<10), uint64(0)
	for stuck := time.Duration(0); stuck < 200*time.Millisecond; {
		if r.tally.Sum().Up == sent {
			_, err := c.Write(chunk)
			require.NoError(t, err)
			sent, stuck = sent+uint64(len(chunk)), 0
		}
		if stuck += 2 * time.Millisecond; !held() {
			stuck = 0
		}
		time.Sleep(2 * time.Millisecond)
	}
	c.send("not read before what is held is gone")
	c.settle()
	c.fin()
	began := time.Now()
	r.closed(HalfCloseTimeout, -1, 0)
	assert.Less(t, time.Since(began), settled/2, "left to the timer that looks at every connection")
	u.reset()
}

// A kernel that is full of data for readers that do not read is a kernel that resets everybody. What it takes for one
// of them is bounded.
func TestUnsentDataIsBounded(t *testing.T) {
	r := newRig(t, "epoll", loopback4)
	c := r.dialSlow()
	u := r.accept()
	sent, _ := u.flood(9, 64<<20)
	t.Logf("a stuck reader holds up %d KiB on its way", sent>>10)
	s := r.tally.Sum().Down
	assert.Less(t, s, uint64(notSentMax+(2<<20)), "delivered to the kernel for a client that does not read")
	c.reset()
	r.closedBy([]Reason{ClientReset}, -1, -1)
}
