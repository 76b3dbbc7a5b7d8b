package relay

import (
	"io"
	"net/netip"

	"github.com/stretchr/testify/require"
)

const mib = 1 << 20

var basicScenarios = []scenario{
	{"echo small", "a request and its answer, a few bytes each, are copied rather than spliced", true, echoSmall},
	{"echo large", "an upstream echoes 8 MiB while they arrive; bulk is spliced where the engine can", true, echoLarge},
	{"full duplex", "both sides send 4 MiB of their own at the same time", true, fullDuplex},
	{"server first", "the upstream greets before the client says a word", true, serverFirst},
	{"ping-pong", "10,000 exchanges of one byte, each waiting for the one before", false, pingPong},
	{"dual stack", "a listener on [::] takes an IPv4 client, whose address is not mapped into IPv6", false, dualStack},
	{"bulk then small", "a connection that went from messages to bulk and back again loses nothing", false, bulkThenSmall},
}

func echoSmall(r *rig) {
	c, u := r.pair()
	c.send("hello")
	u.want("hello")
	u.send("hello to you")
	c.want("hello to you")
	c.fin()
	u.wantEnd(sawFIN)
	from, to := localAddrPort(c), remoteAddrPort(u)
	u.Close()
	c.wantEnd(sawFIN)

	e := r.closed(ClientClosed, 5, 12)
	require.True(r, e.Connected)
	require.Equal(r, 1, e.Attempts)
	require.Equal(r, from, e.Client)
	require.Equal(r, to, e.Local)
	require.Equal(r, Bytes{Up: 5, Down: 12}, r.tally.Sum())
}

func echoLarge(r *rig) {
	const n = 8 * mib
	c, u := r.pair()
	r.all(
		func() { c.sendStream(1, n); c.fin() },
		func() {
			_, err := io.Copy(u.TCPConn, u.TCPConn)
			require.NoError(r, err)
			u.Close()
		},
		func() { c.wantStream(1, n); c.wantEnd(sawFIN) },
	)
	r.closed(ClientClosed, n, n)
	b := r.tally.Sum()
	require.EqualValues(r, n, b.Up)
	require.EqualValues(r, n, b.Down)
	if r.opts.Engine != "portable" {
		require.Greater(r, b.SplicedUp, uint64(n/2), "upload by splice")
		require.Greater(r, b.SplicedDown, uint64(n/2), "download by splice")
	} else {
		require.Zero(r, b.SplicedUp+b.SplicedDown)
	}
}

func fullDuplex(r *rig) {
	const n = 4 * mib
	c, u := r.pair()
	r.all(
		func() { c.sendStream(1, n); c.fin() },
		func() { u.sendStream(2, n); u.fin() },
		func() { c.wantStream(2, n); c.wantEnd(sawFIN) },
		func() { u.wantStream(1, n); u.wantEnd(sawFIN) },
	)
	r.closedBy([]Reason{ClientClosed, UpstreamClosed}, n, n)
}

func serverFirst(r *rig) {
	c, u := r.pair()
	u.send("220 ready\r\n")
	c.want("220 ready\r\n")
	c.send("QUIT\r\n")
	u.want("QUIT\r\n")
	u.Close()
	c.wantEnd(sawFIN)
	c.Close()
	e := r.closed(UpstreamClosed, 6, 11)
	require.Positive(r, e.FirstByte)
}

func pingPong(r *rig) {
	const rounds = 10_000
	c, u := r.pair()
	turn := func(p *peer, first bool) func() {
		return func() {
			b := []byte{0}
			for i := range rounds {
				if first {
					_, err := p.Write([]byte{byte(i)})
					require.NoError(r, err)
				}
				_, err := io.ReadFull(p, b)
				require.NoError(r, err)
				require.Equal(r, byte(i), b[0])
				if !first {
					_, err = p.Write(b)
					require.NoError(r, err)
				}
			}
		}
	}
	r.all(turn(c, true), turn(u, false))
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	r.closed(ClientClosed, rounds, rounds)
	require.Equal(r, Bytes{Up: rounds, Down: rounds}, r.tally.Sum())
}

func dualStack(r *rig) {
	r.opts.Listeners[0].Addr = netip.AddrPortFrom(netip.IPv6Unspecified(), 0)
	for _, at := range []netip.Addr{loopback4, loopback6} {
		r.at = at
		c, u := r.pair()
		c.send("x")
		u.want("x")
		c.fin()
		u.wantEnd(sawFIN)
		u.Close()
		c.wantEnd(sawFIN)
		from := localAddrPort(c)
		require.Equal(r, from, r.closed(ClientClosed, 1, 0).Client)
		require.Equal(r, at, from.Addr())
	}
}

func bulkThenSmall(r *rig) {
	c, u := r.pair()
	for i := range uint64(4) {
		r.all(func() { u.sendStream(i, 2*mib) }, func() { c.wantStream(i, 2*mib) })
		for range 50 {
			u.send("small message")
			c.want("small message")
			c.send("ok")
			u.want("ok")
		}
	}
	u.Close()
	c.wantEnd(sawFIN)
	c.Close()
	r.closed(UpstreamClosed, 4*50*2, 4*(2*mib+50*13))
}
