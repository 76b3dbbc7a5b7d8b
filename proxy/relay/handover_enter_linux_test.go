package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// sleepers is a rig on io_uring that has taken connections over, none of which enters the ring until wake.
func sleepers(t *testing.T, conns int) (r *rig, peers [][2]*peer) {
	t.Helper()
	usual := enterTurn
	enterTurn = 0
	t.Cleanup(func() { enterTurn = usual }) // after the relay has ended
	r = newRig(t, "uring", loopback4)
	r.start()
	for range conns {
		c, u := r.pair()
		c.send("x")
		u.want("x")
		peers = append(peers, [2]*peer{c, u})
	}
	r.movesTo("uring")
	return r, peers
}

// movesTo hands over to a relay of that engine.
func (r *rig) movesTo(engine string) {
	r.Helper()
	o := r.opts
	o.Engine = engine
	h, err := handOver(r.relay, o, nil, failAt{})
	require.NoError(r, err)
	r.relay = h.relay
}

// allTalk wants bytes to pass both ways on every connection, and the FIN of each client.
func allTalk(t *testing.T, peers [][2]*peer) {
	t.Helper()
	for _, p := range peers {
		p[0].send("there")
	}
	for _, p := range peers {
		p[1].want("there")
		p[1].send("back")
	}
	for _, p := range peers {
		p[0].want("back")
		p[0].fin()
	}
	for _, p := range peers {
		p[1].wantEnd(sawFIN)
		p[1].Close()
		p[0].Close()
	}
}

// Connections that have not entered the ring when the next upgrade begins go on: with the old process if it fails, with the new one, on any
// engine, if it does not.
func TestAnUpgradeWhileConnectionsEnterTheRing(t *testing.T) {
	fails := func(r *rig) {
		_, err := handOver(r.relay, r.opts, nil, failAt{old: 4}) // all stands still by then
		require.ErrorIs(r, err, errInjected)
	}
	for name, next := range map[string]func(r *rig){
		"one that fails":           fails,
		"to epoll":                 func(r *rig) { r.movesTo("epoll") },
		"on, and then none passes": func(r *rig) { r.movesTo("uring"); fails(r) },
	} {
		t.Run(name, func(t *testing.T) {
			if apart(t) {
				return
			}
			r, peers := sleepers(t, 20)
			for _, p := range peers[:5] { // what comes while nobody reads is there afterwards
				p[0].send("early")
				p[1].send("as early")
			}
			next(r)
			for _, p := range peers[:5] {
				p[1].want("early")
				p[0].want("as early")
			}
			allTalk(t, peers)
			r.close()
			r.relay = nil
		})
	}
}

// One that ends before it has entered the ring is forgotten, and its place may be another's by then.
func TestAConnectionThatEndsBeforeItEntersTheRing(t *testing.T) {
	if apart(t) {
		return
	}
	r, peers := sleepers(t, 20)
	require.Equal(t, 5, r.relay.CloseWhere(func(f *Flow) bool { return f.ID <= 5 }, Operator))
	require.Eventually(t, func() bool { return r.relay.Stats().Active == 15 }, patience, time.Millisecond)
	for _, p := range peers[:5] {
		p[0].wantGone()
		p[1].wantGone()
	}
	h, err := handOver(r.relay, r.opts, nil, failAt{old: 4}) // all stands still by then, and wakes up
	require.ErrorIs(t, err, errInjected)
	require.Nil(t, h.relay)
	allTalk(t, peers[5:])
	r.close()
	r.relay = nil
}
