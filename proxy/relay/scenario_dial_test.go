package relay

import (
	"net/netip"
	"time"

	"github.com/stretchr/testify/require"
)

var dialScenarios = []scenario{
	{"refused, then next", "the first address refuses, the second takes the connection with all its bytes", true, refusedThenNext},
	{"blackholed, then next", "the first address does not answer within its timeout, the second does", true, blackholedThenNext},
	{"all refused", "no address takes the connection: the client is reset, each attempt was reported", true, allRefused},
	{"no endpoint", "the policy has no address at all", false, noEndpoint},
	{"policy refuses", "the policy gives a reason of its own instead of an address", false, policyRefuses},
	{"client reset while dialing", "a client that goes away ends the attempt at once", false, resetWhileDialing},
	{"client reset while dialing, with data", "bytes that came before the reset are delivered once connected, then the reset", false, dataThenResetWhileDialing},
	{"ended while dialing", "closeAll ends a connection that waits for its upstream", false, endedWhileDialing},
}

func refusedThenNext(r *rig) {
	r.policy.endpoints = []*Endpoint{r.endpoint(refusing(r, r.at)), r.endpoint(refusing(r, r.at)), r.policy.endpoints[0]}
	c, u := r.pair()
	c.send("hello")
	u.want("hello")
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	e := r.closed(ClientClosed, 5, 0)
	require.Equal(r, []Reason{ConnectRefused, ConnectRefused, None}, e.Log.dialed)
	require.Equal(r, 3, e.Attempts)
	require.Equal(r, localListenAddr(r.origin), e.Flow.Endpoint.Addr)
}

func blackholedThenNext(r *rig) {
	lateConnect(r)
	begun := time.Now()
	c, u := r.pair()
	require.GreaterOrEqual(r, time.Since(begun), 190*time.Millisecond)
	require.Less(r, time.Since(begun), 3*time.Second)
	u.send("welcome")
	c.want("welcome")
	u.Close()
	c.wantEnd(sawFIN)
	c.Close()
	e := r.closed(UpstreamClosed, 0, 7)
	require.Equal(r, []Reason{ConnectTimeout, None}, e.Log.dialed)
	require.GreaterOrEqual(r, e.FirstByte-e.Connect, 190*time.Millisecond, "only the successful attempt counts")
}

func allRefused(r *rig) {
	r.policy.endpoints = nil
	for range 3 {
		r.policy.endpoints = append(r.policy.endpoints, r.endpoint(refusing(r, r.at)))
	}
	c := r.dial()
	c.wantEnd(sawRST)
	e := r.closed(ConnectRefused, 0, 0)
	require.False(r, e.Connected)
	require.Equal(r, []Reason{ConnectRefused, ConnectRefused, ConnectRefused}, e.Log.dialed)
	require.Equal(r, 3, e.Attempts)
	require.Equal(r, netip.AddrPort{}, e.Local)
}

func noEndpoint(r *rig) {
	r.policy.endpoints = nil
	c := r.dial()
	c.wantEnd(sawRST)
	require.Zero(r, r.closed(NoAddress, 0, 0).Attempts)
}

func policyRefuses(r *rig) {
	r.policy.dial = func(*Flow) (*Endpoint, Reason) { return nil, LimitUpstream }
	c := r.dial()
	c.wantEnd(sawRST)
	require.Zero(r, r.closed(LimitUpstream, 0, 0).Attempts)
}

func resetWhileDialing(r *rig) {
	r.needsLinux()
	dead, _ := blackhole(r, r.at)
	r.policy.endpoints = []*Endpoint{{Addr: dead, Timeout: time.Minute}, r.policy.endpoints[0]}
	c := r.dial()
	eventually(r, "the connection", func() bool { return r.relay.Stats().Active == 1 })
	c.reset()
	e := r.closed(Probe, 0, 0)
	require.False(r, e.Connected)
	require.Equal(r, 1, e.Attempts)
	require.Contains(r, []Reason{ClientReset, Probe}, e.Log.dialed[0])
	require.Less(r, e.Duration, 5*time.Second)
}

func dataThenResetWhileDialing(r *rig) {
	r.needsLinux()
	lateConnect(r)
	c := r.dial()
	c.send("keep this")
	c.settle()
	c.reset()
	u := r.accept()
	u.want("keep this")
	u.wantEnd(sawRST)
	r.closed(ClientReset, 9, 0)
}

func endedWhileDialing(r *rig) {
	dead, _ := blackhole(r, r.at)
	r.policy.endpoints = []*Endpoint{{Addr: dead, Timeout: time.Minute}, r.policy.endpoints[0]}
	c := r.dial()
	eventually(r, "the attempt", func() bool {
		r.policy.mu.Lock()
		defer r.policy.mu.Unlock()
		for _, l := range r.policy.flows {
			return len(l.pending) > 0
		}
		return false
	})
	r.relay.eng.closeAll(DrainTimeout)
	c.wantGone()
	e := r.closed(DrainTimeout, 0, 0)
	require.Equal(r, []Reason{DrainTimeout}, e.Log.dialed)
}
