package relay

import (
	"net/netip"
	"time"

	"github.com/stretchr/testify/require"
)

var warmScenarios = []scenario{
	{"warm", "a client gets a connection that waited, and another one takes its place", true, warmHit},
	{"warm, header", "a connection from the pool begins with the header as any other", false, warmHeader},
	{"warm, preface", "what the policy has read goes to the connection from the pool", false, warmPreface},
	{"warm, bulk", "much in both directions, on a connection from the pool", false, warmBulk},
	{"warm, none left", "a client that finds none is connected as without a pool", false, warmNone},
	{"warm, greeting", "what an upstream says first waits with its connection", false, warmGreeting},
	{"warm, ended while waiting", "a connection that its peer ends leaves the pool, and the pool rests", false, warmEnded},
	{"warm, expiry", "a connection that nobody takes is replaced", false, warmExpiry},
	{"warm, dead by a FIN", "ended when it is used: the client gets a fresh one, and the same bytes go to it", false, func(r *rig) { warmDead(r, (*peer).fin) }},
	{"warm, dead by a reset", "reset when it is used: likewise", true, func(r *rig) { warmDead(r, (*peer).reset) }},
	{"warm, dead, client ended", "the client's FIN goes to the fresh one as well", false, warmDeadFIN},
	{"warm, dead behind a header", "the fresh one gets a header, too", false, warmDeadHeader},
	{"warm, dead twice", "the fresh one is believed", false, warmDeadTwice},
	{"warm, dead, no other", "if the fresh one can't be had, the client is told", false, warmDeadRefused},
	{"warm, dead after much", "a client that has sent more than is kept loses its connection", false, warmDeadLate},
	{"warm, dead behind its answer", "an answer that lies unread when a send fails is the answer", false, warmDeadUnread},
	{"warm, dead late", "an upstream that ends its direction late goes on as any other", false, warmEndedLate},
	{"warm, dead after a byte", "an upstream that has said something is believed", false, warmDeadAnswered},
	{"warm, dead, client reset", "a client that resets is not connected again", false, warmDeadClientReset},
	{"warm, dead, stuck", "nothing is lost while more than was sent is held", false, warmDeadHeld},
	{"warm, other address", "where the pool has none to the address chosen, the policy may take another", false, warmInstead},
	{"warm, released", "pools that are not wanted any more are closed, what was taken from them goes on", false, warmReleased},
	{"warm, cooled", "connections to an address are closed and replaced", false, warmCooled},
	{"warm, refused", "attempts that fail are made again after a while", false, warmRefused},
	{"warm, restarted", "an upstream that ends all that wait at once has failed once", false, warmRestarted},
	{"warm, nowhere", "a pool that has nowhere to connect to is no failure, and asks again when told to", false, warmNowhere},
	{"warm, idle timeout", "a connection from the pool times out like any other", false, warmIdle},
}

func warmHit(r *rig) {
	k := r.warmed(1)
	n := r.loops()
	all := r.waiting(n)
	c := r.dial()
	u := all[r.local()]
	require.NotNil(r, u, "the client's upstream is none of those that waited")
	c.send("hello")
	u.want("hello")
	u.send("answer")
	c.want("answer")
	k.isReady(r, n) // again
	fresh := r.accept()
	defer fresh.Close()
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	e := r.closed(ClientClosed, 5, 6)
	require.True(r, e.Flow.Warm)
	require.Equal(r, 1, e.Attempts)
	require.Zero(r, e.Connect)
	require.Equal(r, 1, k.got(func() int { return k.left[LeftUsed] }))
	require.EqualValues(r, 5, r.tally.Sum().Up)
}

// used dials, and returns the client and its end at the origin, which the pool of n had connected.
func (r *rig) used(n int) (c, u *peer, rest map[netip.AddrPort]*peer) {
	r.Helper()
	rest = r.waiting(n * r.loops())
	c = r.dial()
	at := r.local()
	u = rest[at]
	require.NotNil(r, u, "the client's upstream is none of those that waited")
	delete(rest, at)
	return c, u, rest
}

func warmHeader(r *rig) {
	heads(r, "HEAD")
	r.warmed(1)
	c, u, _ := r.used(1)
	u.want("HEAD")
	c.send("hello")
	u.want("hello")
	u.send("answer")
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.want("answer")
	r.closed(ClientClosed, 5, 6)
}

func warmPreface(r *rig) {
	wantsPreface(r, Verdict{Skip: 4})
	r.warmed(1)
	all := r.waiting(r.loops())
	c := r.dial()
	c.send("SKIPthe END;")
	u := all[r.local()]
	u.want("the END;")
	u.send("yes")
	c.want("yes")
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	r.closed(ClientClosed, 8, 3)
}

func warmBulk(r *rig) {
	r.warmed(1)
	c, u, _ := r.used(1)
	r.all(
		func() { c.sendStream(1, 8*mib); c.fin() }, func() { u.sendStream(2, 8*mib); u.fin() },
		func() { u.wantStream(1, 8*mib); u.wantEnd(sawFIN) }, func() { c.wantStream(2, 8*mib); c.wantEnd(sawFIN) },
	)
	r.closedBy([]Reason{ClientClosed, UpstreamClosed}, 8*mib, 8*mib)
}

func warmNone(r *rig) {
	k := r.keeper()
	r.pool(k, 1)
	k.next = func() *Endpoint { return nil }
	r.start().SetWarm([]*Warm{r.policy.endpoints[0].Warm})
	c, u := r.pair()
	c.send("hello")
	u.want("hello")
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	require.False(r, r.closed(ClientClosed, 5, 0).Flow.Warm)
}

func warmGreeting(r *rig) {
	r.warmed(1)
	all := r.waiting(r.loops())
	for _, u := range all {
		u.send("welcome")
	}
	c := r.dial()
	c.want("welcome")
	c.send("hello")
	u := all[r.local()]
	u.want("hello")
	u.fin()
	c.wantEnd(sawFIN)
	c.Close()
	r.closed(UpstreamClosed, 5, 7)
}

func warmEnded(r *rig) {
	k := r.warmed(1)
	n := r.loops()
	all := r.waiting(n)
	for _, u := range all {
		u.Close()
	}
	eventually(r, "a rest", func() bool {
		return k.got(func() int { return k.left[LeftEnded] }) == n && k.got(func() int { return k.rests }) >= n
	})
	require.Positive(r, k.got(func() int { return int(k.resting) }))
	k.isReady(r, n) // after the rest
	c := r.dial()
	all = r.waiting(n)
	c.send("hello")
	u := all[r.local()]
	u.want("hello")
	u.send("answer")
	c.want("answer")
	eventually(r, "the end of resting", func() bool { return k.got(func() int { return int(k.resting) }) == 0 })
	c.reset()
	u.wantGone()
	r.closed(ClientReset, 5, 6)
}

func warmExpiry(r *rig) {
	k := r.keeper()
	w := r.pool(k, 1)
	w.MaxIdle = 50 * time.Millisecond
	r.start().SetWarm([]*Warm{w})
	for range 4 * r.loops() {
		r.accept().wantEnd(sawFIN)
	}
	require.Zero(r, k.got(func() int { return k.rests }), "rests")
}

func warmInstead(r *rig) {
	r.opts.Loops = 1
	other := listenAt(r, r.at)
	there := r.endpoint(localListenAddr(other))
	k := r.keeper()
	w := r.pool(k, 1)
	there.Warm = w
	k.next = func() *Endpoint { return there }
	k.choose = func(chosen *Endpoint, ready []*Endpoint) *Endpoint {
		require.NotEqual(r, there, chosen)
		require.Equal(r, []*Endpoint{there}, ready)
		return there
	}
	r.start().SetWarm([]*Warm{w})
	k.isReady(r, 1)
	u := acceptFrom(r, other)
	c := r.dial()
	c.send("hello")
	u.want("hello")
	u.send("answer")
	c.want("answer")
	u.fin()
	c.wantEnd(sawFIN)
	c.Close()
	e := r.closed(UpstreamClosed, 5, 6)
	require.Same(r, there, e.Flow.Endpoint)
	require.True(r, e.Flow.Warm)
}

func warmReleased(r *rig) {
	k := r.warmed(2)
	c, u, rest := r.used(2)
	k.isReady(r, 2*r.loops())
	r.relay.SetWarm(nil)
	for _, w := range rest {
		w.wantEnd(sawFIN)
	}
	k.isReady(r, 0)
	c.send("hello")
	u.want("hello")
	u.send("answer")
	u.fin()
	c.want("answer")
	c.wantEnd(sawFIN)
	c.Close()
	r.closed(UpstreamClosed, 5, 6)
}

func warmCooled(r *rig) {
	k := r.warmed(1)
	n := r.loops()
	all := r.waiting(n)
	r.relay.ReleaseWarm(func(ep *Endpoint) bool { return ep == r.policy.endpoints[0] })
	for _, u := range all {
		u.wantEnd(sawFIN)
	}
	r.waiting(n)
	k.isReady(r, n)
	r.relay.ReleaseWarm(func(ep *Endpoint) bool { return false })
	k.isReady(r, n)
	require.Equal(r, n, k.got(func() int { return k.left[LeftReleased] }))
}

func warmRefused(r *rig) {
	k := r.keeper()
	w := r.pool(k, 3)
	refused := r.endpoint(refusing(r, r.at))
	tries := 0
	k.next = func() *Endpoint {
		if tries++; tries <= r.loops() {
			return refused
		}
		return r.policy.endpoints[0]
	}
	r.start().SetWarm([]*Warm{w})
	n := r.loops()
	k.isReady(r, 3*n)
	require.Equal(r, n, k.got(func() int { return k.tried[ConnectRefused] }))
	require.Positive(r, k.got(func() int { return k.rests }))
}

func warmRestarted(r *rig) {
	k := r.warmed(8)
	n := 8 * r.loops()
	for round := range 2 {
		for _, u := range r.waiting(n) {
			u.Close()
		}
		eventually(r, "all have left", func() bool {
			return k.got(func() int { return k.left[LeftEnded] }) == (round+1)*n
		})
		// Those of one instant may be seen in two turns, with one of the next round in between at most.
		require.LessOrEqual(r, k.got(func() int { return int(k.resting) }), int(restFor(3, 0)))
		k.isReady(r, n)
	}
}

func warmNowhere(r *rig) {
	k := r.keeper()
	w := r.pool(k, 1)
	k.next = func() *Endpoint { return nil }
	r.start().SetWarm([]*Warm{w})
	k.mu.Lock()
	k.next = func() *Endpoint { return r.policy.endpoints[0] }
	k.mu.Unlock()
	begun := time.Now()
	r.relay.ReleaseWarm(func(*Endpoint) bool { return false })
	k.isReady(r, r.loops())
	require.Less(r, time.Since(begun), restNone/2)
	require.Zero(r, k.got(func() int { return k.rests }), "rests")
}

func warmIdle(r *rig) {
	r.opts.IdleTimeout = 100 * time.Millisecond
	r.warmed(1)
	c, u, _ := r.used(1)
	c.send("hello")
	u.want("hello")
	c.wantGone()
	u.wantGone()
	r.closed(IdleTimeout, 5, 0)
}
