package relay

import (
	"context"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// engines names the engines this system has.
func engines() []string {
	all := []string{"portable"}
	if epollSupported {
		all = append(all, "epoll", "uring")
	}
	return all
}

// testLoops is how many loops an engine gets that has any.
const testLoops = 2

var (
	loopback4 = netip.MustParseAddr("127.0.0.1")
	loopback6 = netip.IPv6Loopback()
)

// rig is a relay under test with an origin behind it. A scenario changes opts and policy before the first dial, which
// starts the relay.
type rig struct {
	*testing.T
	at     netip.Addr // where everything listens
	origin *net.TCPListener
	tally  *Tally // of the origin's endpoint
	policy *testPolicy
	opts   Options
	relay  *Relay
	during func(r *rig) (end func()) // not nil: called with the start; end is called before the relay is closed
	after  func()
}

func newRig(t *testing.T, engine string, at netip.Addr) *rig {
	r := &rig{T: t, at: at, origin: listenAt(t, at), tally: NewTally(8)}
	r.policy = newTestPolicy(r.endpoint(localListenAddr(r.origin)))
	r.opts = Options{
		Engine:    engine,
		Loops:     testLoops,
		Listeners: []Listener{{Name: "test", Addr: netip.AddrPortFrom(at, 0)}},
		Handler:   r.policy,
	}
	t.Cleanup(r.close)
	return r
}

func (r *rig) endpoint(at netip.AddrPort) *Endpoint { return &Endpoint{Addr: at, Tally: r.tally} }

func (r *rig) start() *Relay {
	r.Helper()
	if r.relay == nil {
		var err error
		r.relay, err = Start(r.opts)
		require.NoError(r, err)
		if r.during != nil {
			r.after = r.during(r)
		}
	}
	return r.relay
}

// close ends the relay and checks what must be true of every scenario.
func (r *rig) close() {
	if r.relay == nil {
		return
	}
	if r.after != nil {
		r.after()
	}
	r.relay.Close(Operator)
	require.Zero(r, r.relay.Stats().Active, "open connections after Close")
	require.Zero(r, r.relay.Stats().Pipes, "pipes after Close")
	require.Zero(r, kept(r.relay.eng), "requests, buffers and pipes that the loops could not give back")
	require.Empty(r, r.policy.breaches(), "the contract of Handler")
}

// addr is where clients connect.
func (r *rig) addr() netip.AddrPort {
	a := r.start().Addrs()[0]
	if a.Addr().IsUnspecified() {
		return netip.AddrPortFrom(r.at, a.Port())
	}
	return a
}

// dial connects a client to the relay.
func (r *rig) dial() *peer {
	r.Helper()
	return newPeer(r, dialRaw(r, r.addr(), false))
}

// dialSlow connects a client with a small receive buffer.
func (r *rig) dialSlow() *peer {
	r.Helper()
	return newPeer(r, dialRaw(r, r.addr(), true))
}

// slowOrigin gives the connections of the origin a small receive buffer.
func (r *rig) slowOrigin() {
	r.Helper()
	raw, err := r.origin.SyscallConn()
	require.NoError(r, err)
	require.NoError(r, raw.Control(func(fd uintptr) { require.NoError(r, smallBuffer(int(fd))) }))
}

// accept takes the next connection at the origin.
func (r *rig) accept() *peer {
	r.Helper()
	return acceptFrom(r, r.origin)
}

func acceptFrom(t testing.TB, ln *net.TCPListener) *peer {
	t.Helper()
	ln.SetDeadline(time.Now().Add(patience))
	c, err := ln.Accept()
	require.NoError(t, err)
	return newPeer(t, c)
}

// queue holds up the only loop with its first client until release is closed, and connects 20 more, which the kernel queues.
func (r *rig) queue() (peers []*peer, release chan struct{}) {
	r.Helper()
	first, release := make(chan struct{}), make(chan struct{})
	var once sync.Once
	r.opts.Loops = 1
	r.policy.accepted = func(*Flow) Reason {
		once.Do(func() { close(first); <-release })
		return None
	}
	peers = append(peers, r.dial())
	<-first
	for range 20 {
		peers = append(peers, r.dial())
	}
	return peers, release
}

// pair connects a client through the relay to the origin.
func (r *rig) pair() (c, u *peer) {
	r.Helper()
	c = r.dial()
	return c, r.accept()
}

// closed takes the next summary and checks it. The bytes are not checked where they are negative.
func (r *rig) closed(reason Reason, up, down int) ended {
	r.Helper()
	return r.closedBy([]Reason{reason}, up, down)
}

// closedBy is closed for the cases where the order of events is not the test's to decide.
func (r *rig) closedBy(reasons []Reason, up, down int) ended {
	r.Helper()
	e := r.policy.take(r)
	require.Contains(r, reasons, e.Reason, "reason: got %v of %+v", e.Reason, e.Summary)
	if up >= 0 {
		require.EqualValues(r, up, e.Up, "bytes up")
	}
	if down >= 0 {
		require.EqualValues(r, down, e.Down, "bytes down")
	}
	return e
}

// idle waits until no connection is open.
func (r *rig) idle() {
	r.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(r, r.relay.Wait(ctx))
}

// all runs functions at the same time and returns when each has ended.
func (r *rig) all(fs ...func()) {
	r.Helper()
	var wg sync.WaitGroup
	for _, f := range fs {
		wg.Go(f)
	}
	wg.Wait()
	if r.Failed() {
		r.FailNow()
	}
}

func (r *rig) needsLinux() {
	if runtime.GOOS != "linux" {
		r.Skip("what is expected here is how Linux behaves")
	}
}

func listenAt(t testing.TB, at netip.Addr) *net.TCPListener {
	t.Helper()
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", netip.AddrPortFrom(at, 0).String())
	require.NoError(t, err)
	t.Cleanup(func() { ln.Close() })
	return ln.(*net.TCPListener)
}

func localListenAddr(ln net.Listener) netip.AddrPort { return addrPort(ln.Addr()) }
