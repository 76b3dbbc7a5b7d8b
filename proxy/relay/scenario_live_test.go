package relay

import (
	"net/netip"
	"time"

	"github.com/stretchr/testify/require"
)

var liveScenarios = []scenario{
	{"close one", "the operator ends one connection among others, in each phase", false, closeOne},
	{"flows", "live connections are shown with what they have moved", false, flowsShown},
	{"local address", "the upstream is connected to from the address the policy names", true, localAddress},
	{"local address of another host", "an address that is not ours is no_ports", false, localAddressForeign},
	{"tune limits", "a new limit of connections goes for newcomers", false, tuneLimit},
	{"tune timeouts", "a new idle timeout goes for new connections", false, tuneTimeout},
}

func closeOne(r *rig) {
	dead, _ := blackhole(r, r.at)
	r.policy.dial = func(f *Flow) (*Endpoint, Reason) {
		if f.Listener.Tag == "dead" {
			return &Endpoint{Addr: dead, Timeout: time.Minute}, None
		}
		return r.policy.endpoints[0], None
	}
	r.policy.preface = func(*Flow, []byte) Verdict { return Verdict{More: true} }
	r.policy.accepted = func(f *Flow) Reason { f.Preface = f.Listener.Name == "preface"; return None }
	r.opts.Listeners = append(r.opts.Listeners,
		Listener{Name: "preface", Addr: r.opts.Listeners[0].Addr},
		Listener{Name: "dialing", Addr: r.opts.Listeners[0].Addr, Tag: "dead"})
	c, u := r.pair()
	others := []*peer{r.dialAt(r.relay.Addrs()[1]), r.dialAt(r.relay.Addrs()[2])}
	gone, goneUp := r.pair()
	gone.send("x")
	goneUp.want("x")
	eventually(r, "all connections", func() bool { return r.relay.Stats().Active == 4 })

	var id uint64
	r.relay.Flows(func(s *Summary) {
		if s.Client == addrPort(gone.LocalAddr()) {
			id = s.ID
		}
	})
	require.NotZero(r, id)
	require.Equal(r, 1, r.relay.CloseWhere(func(f *Flow) bool { return f.ID == id }, AddressRemoved))
	gone.wantGone()
	goneUp.wantGone()
	require.Equal(r, id, r.closed(AddressRemoved, 1, 0).ID)
	require.Equal(r, 2, r.relay.CloseWhere(func(f *Flow) bool { return f.Listener.Name != "test" }, Operator))
	for _, p := range others {
		p.wantGone()
		r.closed(Operator, 0, 0)
	}
	c.send("still here")
	u.want("still here")
	require.Equal(r, "test", r.finish(c, u, 10, 0))
}

func flowsShown(r *rig) {
	c, u := r.pair()
	c.send("hello")
	u.want("hello")
	u.send("bye")
	c.want("bye")
	waiting, silent := r.pair()
	shown := map[netip.AddrPort]ended{}
	look := func() bool {
		clear(shown)
		r.relay.Flows(func(s *Summary) { shown[s.Client] = ended{Summary: *s, Flow: *s.Flow, Local: s.Local()} })
		s := shown[addrPort(c.LocalAddr())] // what was delivered is counted a moment later
		return len(shown) == 2 && shown[addrPort(waiting.LocalAddr())].Connected && s.Up == 5 && s.Down == 3
	}
	eventually(r, "both connections", look)
	s := shown[addrPort(c.LocalAddr())]
	require.EqualValues(r, 5, s.Up)
	require.Equal(r, None, s.Reason)
	require.Equal(r, addrPort(u.RemoteAddr()), s.Local)
	require.Equal(r, r.policy.endpoints[0], s.Flow.Endpoint)
	require.Positive(r, s.Duration)
	require.Positive(r, s.FirstByte)
	r.finish(waiting, silent, 0, 0)
	require.Equal(r, "test", r.finish(c, u, 5, 3))
}

func localAddress(r *rig) {
	r.needsLinux() // where all of 127.0.0.0/8 is this host
	local := loopback6
	if r.at.Is4() {
		local = netip.MustParseAddr("127.0.0.77")
	}
	r.policy.endpoints[0].Local = local
	c, u := r.pair()
	require.Equal(r, local, addrPort(u.RemoteAddr()).Addr())
	c.send("hello")
	u.want("hello")
	c.Close()
	u.wantEnd(sawFIN)
	u.Close()
	require.Equal(r, local, r.policy.take(r).Local.Addr())
}

func localAddressForeign(r *rig) {
	r.policy.endpoints[0].Local = netip.MustParseAddr("192.0.2.1") // RFC 5737: nobody's
	second := *r.policy.endpoints[0]
	second.Local = netip.Addr{}
	r.policy.endpoints = append(r.policy.endpoints, &second)
	c, u := r.pair()
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	require.Equal(r, []Reason{NoPorts, None}, r.policy.take(r).Log.dialed)
}

func tuneLimit(r *rig) {
	c, u := r.pair()
	r.relay.Tune(Tuning{MaxConnections: 1})
	r.dial().wantGone()
	r.closed(LimitConnections, 0, 0)
	eventually(r, "the refused to be gone", func() bool { return r.relay.Stats().Active == 1 })
	r.relay.Tune(Tuning{MaxConnections: 2})
	c2, u2 := r.pair()
	r.relay.Tune(Tuning{MaxConnections: 1})
	c2.send("still here")
	u2.want("still here")
	r.finish(c2, u2, 10, 0)
	r.finish(c, u, 0, 0)
}

func tuneTimeout(r *rig) {
	r.opts.IdleTimeout = time.Minute
	c, u := r.pair()
	c.send("x") // its timer runs once bytes do
	u.want("x")
	r.relay.Tune(Tuning{IdleTimeout: 300 * time.Millisecond})
	c2, u2 := r.pair()
	c2.wantEnd(sawFIN)
	u2.wantEnd(sawFIN)
	r.closed(IdleTimeout, 0, 0)
	c.send("still here")
	u.want("still here")
	r.finish(c, u, 11, 0)
}
