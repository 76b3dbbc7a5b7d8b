package relay

import (
	"net"
	"strings"
	"syscall"

	"github.com/stretchr/testify/require"
)

var admitScenarios = []scenario{
	{"policy turns away", "the policy refuses a client before a byte is read: it is reset, and counted", true, turnedAway},
	{"max connections", "a client too many is reset without asking the policy; a free place is used again", true, maxConnections},
	{"listener by descriptor", "a listening socket handed over is used; the relay owns a duplicate of it", false, listenerByDescriptor},
	{"address in use", "a listener that cannot be opened is named in the error, and the others are released", false, addressInUse},
}

func turnedAway(r *rig) {
	r.policy.accepted = func(*Flow) Reason { return SourceDenied }
	c := r.dial()
	c.wantEnd(sawRST)
	e := r.closed(SourceDenied, 0, 0)
	require.Equal(r, localAddrPort(c), e.Client)
	require.Zero(r, e.Attempts)
	require.Equal(r, 1, e.Log.accepted)
}

func maxConnections(r *rig) {
	r.opts.MaxConnections = 2
	c1, u1 := r.pair()
	r.pair()
	for range 3 {
		c3 := r.dial()
		c3.wantEnd(sawRST)
		e := r.closed(LimitConnections, 0, 0)
		require.Equal(r, localAddrPort(c3), e.Client)
		require.Zero(r, e.Log.accepted, "Accepted is not asked")
	}
	eventually(r, "the refused to be gone", func() bool { return r.relay.Stats().Active == 2 })
	c1.Close()
	u1.wantEnd(sawFIN)
	u1.Close()
	r.closed(Probe, 0, 0)
	eventually(r, "a free place", func() bool { return r.relay.Stats().Active == 1 })
	c4, u4 := r.pair()
	c4.send("in")
	u4.want("in")
}

func listenerByDescriptor(r *rig) {
	ln := listenAt(r, r.at)
	f, err := ln.File()
	require.NoError(r, err)
	r.opts.Listeners[0].FD = int(f.Fd())
	r.opts.Listeners[0].Addr = localListenAddr(ln)
	require.Equal(r, localListenAddr(ln), r.start().Addrs()[0])
	ln.Close() // the relay's is the last
	f.Close()
	c, u := r.pair()
	c.send("through")
	u.want("through")
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 7, 0)
}

func addressInUse(r *rig) {
	taken, free := localListenAddr(listenAt(r, r.at)), listenAt(r, r.at)
	again := localListenAddr(free)
	free.Close()
	r.opts.Listeners = []Listener{{Name: "a", Addr: again}, {Name: "b", Addr: taken}}
	_, err := Start(r.opts)
	require.ErrorIs(r, err, syscall.EADDRINUSE)
	require.True(r, strings.Contains(err.Error(), taken.String()), "%q names the address", err)
	ln, err := net.Listen("tcp", again.String())
	require.NoError(r, err, "the first listener is released")
	ln.Close()
}
