package relay

import (
	"io"
	"net/netip"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// dark has the kernel drop everything that comes in for a peer, as if the path to it had been cut: it acknowledges nothing.
func (p *peer) dark() {
	p.t.Helper()
	raw, err := p.SyscallConn()
	require.NoError(p.t, err)
	drop := unix.SockFilter{Code: unix.BPF_RET | unix.BPF_K}
	require.NoError(p.t, raw.Control(func(fd uintptr) {
		assert.NoError(p.t, unix.SetsockoptSockFprog(int(fd), unix.SOL_SOCKET, unix.SO_ATTACH_FILTER, &unix.SockFprog{Len: 1, Filter: &drop}))
	}))
}

// A connection with one byte on its way to a peer that had gone was open for a quarter of an hour, and ended as reset.
func darkPath(r *rig) {
	r.opts.Keepalive = Keepalive{Idle: time.Second, Interval: time.Second, Count: 2, UserTimeout: time.Second}
	r.slowOrigin()
	want, live := map[netip.AddrPort]Reason{}, map[netip.AddrPort]*peer{}
	connect := func(reason Reason) (c, u *peer) {
		c, u = r.pair()
		c.send("ping")
		u.want("ping")
		u.send("pong")
		c.want("pong")
		want[localAddrPort(c)] = reason
		if live[localAddrPort(c)] = c; reason == ClientLost {
			live[localAddrPort(c)] = u
		}
		return c, u
	}

	c, _ := connect(ClientLost) // idle
	c.dark()
	_, u := connect(UpstreamLost)
	u.dark()

	c, u = connect(ClientLost) // with a byte on its way
	c.dark()
	u.send("lost")
	c, u = connect(UpstreamLost)
	u.dark()
	c.send("lost")

	c, u = connect(UpstreamLost) // with a closed window
	c.flood(1, 64*mib)
	r.stuck(u)
	u.dark()
	slow, reader := connect(None)
	flooded, _ := slow.flood(1, 64*mib)

	c, u = connect(ClientLost)                         // in the middle of bulk
	go func() { _, _ = io.Copy(u.TCPConn, zeros{}) }() // ends with the connection
	_, err := io.CopyN(io.Discard, c, 8*mib)
	require.NoError(r, err)
	c.dark()

	c, u = connect(ClientLost) // half-closed
	c.fin()
	u.wantEnd(sawFIN)
	c.dark()
	u.send("lost")
	c, u = connect(UpstreamLost)
	u.fin()
	c.wantEnd(sawFIN)
	u.dark()
	c.send("lost")

	delete(want, localAddrPort(slow))
	for len(want) > 0 {
		e := r.policy.take(r)
		require.Contains(r, want, e.Client)
		require.Equal(r, want[e.Client], e.Reason, "%+v", e.Summary)
		require.Less(r, e.Duration, 12*time.Second)
		live[e.Client].rest()
		delete(want, e.Client)
	}
	r.all(
		func() { reader.wantStream(1, flooded); reader.wantEnd(sawFIN); reader.Close() },
		func() { slow.fin() },
	)
	slow.wantEnd(sawFIN)
	r.closed(ClientClosed, flooded+4, 4)
}

// An end that is passed on was looked at for the first time after 5 s, so that the peer was lost that much later.
func darkEnd(r *rig) {
	r.opts.Keepalive.UserTimeout = 500 * time.Millisecond
	c, u := r.pair()
	c.send("ping")
	u.want("ping")
	u.send("pong")
	c.want("pong")
	u.dark()
	c.fin()
	e := r.closed(UpstreamLost, 4, 4)
	require.Less(r, e.Duration, settled)
}

func darkPreface(r *rig) {
	r.opts.PrefaceTimeout = 300 * time.Millisecond
	r.policy.wants = func(*Flow) bool { return true }
	r.policy.preface = func(*Flow, []byte) Verdict { return Verdict{More: true} }
	c := r.dial()
	c.send("he")
	c.dark()
	r.closed(PrefaceTimeout, 0, 0)
}
