package relay

import (
	"context"
	"net"
	"runtime"
	"syscall"
	"time"

	"github.com/stretchr/testify/require"
)

var lifeScenarios = []scenario{
	{"stop accepting", "open connections go on, new ones are refused", true, stopAccepting},
	{"stop accepting, queued", "clients that the kernel had connected already are served", false, stopAcceptingQueued},
	{"close with open connections", "Close ends connections in every phase, and may be called again", false, closeWithOpen},
	{"alive", "a relay that turns says so", false, aliveTurns},
	{"many short connections", "1,000 connections of all kinds leave no descriptor, goroutine or count behind", false, manyShort},
}

func stopAccepting(r *rig) {
	c, u := r.pair()
	at := r.addr()
	r.relay.StopAccepting()
	_, err := net.DialTimeout("tcp", at.String(), patience)
	require.ErrorIs(r, err, syscall.ECONNREFUSED)
	r.all(func() { c.sendStream(1, mib) }, func() { u.wantStream(1, mib) })
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, mib, 0)
	r.idle()
}

func stopAcceptingQueued(r *rig) {
	peers, release := r.queue()
	r.all(
		func() { r.relay.StopAccepting() },
		func() { time.Sleep(20 * time.Millisecond); close(release) }, // whichever is first, nobody may be lost
	)
	for _, c := range peers {
		c.send("me, too")
		c.fin()
	}
	for range peers {
		u := r.accept()
		u.want("me, too")
		u.wantEnd(sawFIN)
		u.Close()
	}
	for _, c := range peers {
		c.wantEnd(sawFIN)
		r.closed(ClientClosed, 7, 0)
	}
}

func closeWithOpen(r *rig) {
	dead, _ := blackhole(r, r.at)
	r.policy.dial = func(f *Flow) (*Endpoint, Reason) {
		if f.Listener.Tag == "dead" {
			return &Endpoint{Addr: dead, Timeout: time.Minute}, None
		}
		return r.policy.endpoints[0], None
	}
	more := Listener{Name: "preface", Addr: r.opts.Listeners[0].Addr, Tag: "preface"}
	r.policy.wants = func(f *Flow) bool { return f.Listener.Tag == "preface" }
	dialing := Listener{Name: "dialing", Addr: r.opts.Listeners[0].Addr, Tag: "dead"}
	r.opts.Listeners = append(r.opts.Listeners, more, dialing)
	r.start()
	var peers []*peer
	for i := range 30 {
		peers = append(peers, newPeer(r, dialRaw(r, r.relay.Addrs()[i%3], false)))
	}
	eventually(r, "all connections", func() bool { return r.relay.Stats().Active == 30 })
	r.relay.Close(Operator)
	r.relay.Close(Internal)
	require.Zero(r, r.relay.Stats().Active)
	for _, p := range peers {
		p.wantGone()
		r.closed(Operator, 0, 0)
	}
}

func aliveTurns(r *rig) {
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	require.NoError(r, r.start().Alive(ctx))
	r.pair()
	require.NoError(r, r.relay.Alive(ctx))
}

// shortKinds are the ways in which manyShort ends a connection.
var shortKinds = []struct {
	ends []Reason
	run  func(c, u *peer)
}{
	{[]Reason{ClientClosed}, func(c, u *peer) {
		c.send("hello")
		c.fin()
		u.want("hello")
		u.wantEnd(sawFIN)
		u.send("bye")
		u.Close()
		c.want("bye")
		c.wantEnd(sawFIN)
	}},
	{[]Reason{UpstreamClosed}, func(c, u *peer) { u.send("bye"); u.Close(); c.want("bye"); c.wantEnd(sawFIN); c.Close() }},
	{[]Reason{Probe}, func(c, u *peer) { c.Close(); u.wantEnd(sawFIN); u.Close() }},
	{[]Reason{Probe}, func(c, u *peer) { c.reset(); u.wantEnd(sawRST) }},
	// The reset may be what the relay learns of its connect: see accept and RST.
	{[]Reason{UpstreamReset, ConnectRefused}, func(c, u *peer) { u.reset(); c.wantEnd(sawRST) }},
	{[]Reason{ClientReset}, func(c, u *peer) { c.send("x"); u.want("x"); c.reset(); u.wantEnd(sawRST) }},
	{[]Reason{UpstreamReset, ClientReset}, func(c, u *peer) { u.send("y"); c.want("y"); u.reset(); c.reset() }},
	{[]Reason{UpstreamClosed}, func(c, u *peer) {
		u.sendStream(1, 200_000)
		u.Close()
		c.wantStream(1, 200_000)
		c.wantEnd(sawFIN)
		c.Close()
	}},
}

func manyShort(r *rig) {
	c, u := r.pair() // one stays open, so that all that is made once is made
	c.send("x")
	u.want("x")
	u.send("y")
	c.want("y")
	fds, routines := openFDs(), runtime.NumGoroutine()
	for range 1000 / len(shortKinds) {
		for _, k := range shortKinds {
			c, u := r.pair()
			k.run(c, u)
			c.Close()
			u.Close()
			r.closedBy(k.ends, -1, -1)
		}
	}
	eventually(r, "the connections' end", func() bool { return r.relay.Stats().Active == 1 })
	eventually(r, "the goroutines' end", func() bool { return runtime.NumGoroutine() <= routines+1 })
	after := settledFDs(fds)
	// Pipes may be pooled; the relay counts them.
	require.LessOrEqual(r, len(after), len(fds)+2*r.relay.Stats().Pipes, "descriptors")
}
