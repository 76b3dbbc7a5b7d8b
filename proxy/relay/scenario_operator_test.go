package relay

import (
	"context"
	"slices"
	"time"

	"github.com/stretchr/testify/require"
)

// An operator sees each connection in its state and ends exactly the one that was meant, whatever it is doing. Its reason is the
// operator's, it is reported once, and nothing of it is left: see rig.close.
var operatorScenarios = []scenario{
	{"operator, preface", "while the client's first bytes are awaited", true, operatorPreface},
	{"operator, dialing", "while the upstream does not answer", false, operatorDialing},
	{"operator, dialing twice", "while a second attempt runs beside the first", false, operatorDialingTwice},
	{"operator, at rest", "between two exchanges: the peers see a proper end", true, operatorAtRest},
	{"operator, half-closed", "after the client's FIN, and after the upstream's", false, operatorHalfClosed},
	{"operator, spliced", "while bytes wait in a pipe for an upstream that does not read", false, operatorSpliced},
	{"operator, closing", "while the rest goes to a client that does not read, after the upstream's reset", false, operatorClosing},
	{"operator, warm", "on a connection from the pool; those that wait are not listed and stay", false, operatorWarm},
	{"operator, storm", "while connections come and go, and others list and close at the same time", false, operatorStorm},
}

// looks lists the connections.
func (r *rig) looks() (all []Look) {
	r.Helper()
	_, err := r.start().Look(context.Background(), func() {}, func(k *Look) {
		flow := *k.Flow // which is the relay's
		all = append(all, *k)
		all[len(all)-1].Flow = &flow
	})
	require.NoError(r, err)
	return all
}

// betweenExchanges waits until a loop takes the only connection for one that is between two exchanges. Beside load it may count a
// message later than its peers see it.
func (r *rig) betweenExchanges() {
	r.Helper()
	eventually(r, "a quiet connection", func() bool {
		all := r.looks()
		return len(all) == 1 && all[0].Idle >= quiet+10*time.Millisecond
	})
}

// operate waits until the only connection is in a state, ends it, and checks that it is reported once.
func (r *rig) operate(state LookState, up, down int, ok ...func(*Look) bool) Look {
	r.Helper()
	var k Look
	eventually(r, "one connection in the state "+state.String(), func() bool {
		all := r.looks()
		if len(all) != 1 || all[0].State != state {
			return false
		}
		k = all[0]
		return !slices.ContainsFunc(ok, func(f func(*Look) bool) bool { return !f(&k) })
	})
	require.Equal(r, None, k.Reason)
	require.False(r, r.relay.CloseOne(k.ID+1, Operator), "another id")
	require.False(r, r.relay.CloseOne(0, Operator))
	require.True(r, r.relay.CloseOne(k.ID, Operator))
	e := r.closed(Operator, up, down)
	require.Equal(r, k.ID, e.Flow.ID)
	eventually(r, "the end", func() bool { return len(r.looks()) == 0 })
	require.False(r, r.relay.CloseOne(k.ID, Operator), "it has ended")
	require.GreaterOrEqual(r, r.relay.LastID(), k.ID)
	r.idle()
	return k
}

func operatorPreface(r *rig) {
	wantsPreface(r, Verdict{})
	c := r.dial()
	c.send("x")
	r.operate(LookPreface, 0, 0)
	c.wantGone()
}

func operatorDialing(r *rig) {
	dead, _ := blackhole(r, r.at)
	r.policy.endpoints = []*Endpoint{{Addr: dead, Timeout: time.Minute}}
	c := r.dial()
	k := r.operate(LookDialing, 0, 0)
	require.False(r, k.Legs[upstream].Known && k.Legs[upstream].RTT > 0)
	c.wantGone()
}

func operatorDialingTwice(r *rig) {
	r.policy.endpoints = []*Endpoint{dark(r, 20*time.Millisecond), dark(r, 0)}
	c := r.dial()
	r.operate(LookDialing, 0, 0, func(k *Look) bool { return k.Attempts == 2 })
	c.wantGone()
}

func operatorAtRest(r *rig) {
	c, u := r.pair()
	c.send("hello")
	u.want("hello")
	u.send("answer")
	c.want("answer")
	k := r.operate(LookRelaying, 5, 6, func(k *Look) bool { return k.Idle > quiet })
	require.Equal(r, StallNone, k.Stalls)
	c.wantEnd(sawFIN)
	u.wantEnd(sawFIN)
}

func operatorHalfClosed(r *rig) {
	c, u := r.pair()
	c.send("request")
	c.fin()
	u.want("request")
	r.operate(LookHalfClosedUp, 7, 0)
	c.wantGone()
	u.wantGone()

	c, u = r.pair()
	u.send("greeting")
	u.fin()
	c.want("greeting")
	r.operate(LookHalfClosedDown, 0, 8)
	c.wantGone()
	u.wantGone()
}

func operatorSpliced(r *rig) {
	r.needsLinux()
	r.slowOrigin()
	c, u := r.pair()
	r.all(func() { c.sendStream(1, 8*mib) }, func() { u.wantStream(1, 8*mib) })
	c.floodUntil(400*time.Millisecond, 2, 64*mib)
	loops := r.opts.Engine != "portable" // which does not say where the runtime has a pipe
	k := r.operate(LookRelaying, -1, 0, func(k *Look) bool {
		return k.Stalls == StallUpstream && (!loops || k.Splice[client] && k.Legs[upstream].Held > 0)
	})
	require.True(r, k.Legs[client].Known && k.Legs[upstream].Known)
	c.wantGone()
	u.wantGone()
}

func operatorClosing(r *rig) {
	r.needsLinux()
	c := r.dialSlow()
	u := r.accept()
	u.sendStream(1, 20<<10) // more than the client's window, less than the kernel takes for it
	eventually(r, "all that the upstream sent given to the kernel", func() bool {
		all := r.looks()
		return len(all) == 1 && all[0].Down == 20<<10
	})
	u.reset()
	r.operate(LookClosing, 0, -1)
	c.wantGone()
}

func operatorWarm(r *rig) {
	k := r.warmed(1)
	require.Empty(r, r.looks())
	require.False(r, r.relay.CloseOne(0, Operator))
	all := r.waiting(r.loops())
	c := r.dial()
	c.send("hello")
	u := all[r.local()]
	u.want("hello")
	r.accept() // in its place
	seen := r.operate(LookRelaying, 5, 0)
	require.True(r, seen.Flow.Warm)
	c.wantGone()
	u.wantGone()
	k.isReady(r, r.loops())
}

func operatorStorm(r *rig) {
	r.start()
	ctx, cancel := context.WithCancel(context.Background())
	var operators []func()
	for range 3 {
		operators = append(operators, func() {
			for ctx.Err() == nil {
				for _, k := range r.looks() {
					if k.ID%2 == 0 {
						r.relay.CloseOne(k.ID, Operator)
					}
				}
			}
		})
	}
	const n = 200
	operators = append(operators, func() {
		for range n {
			c := r.dial()
			_, _ = c.Write([]byte("hello"))
			c.Close()
		}
	}, func() {
		for ctx.Err() == nil {
			r.origin.SetDeadline(time.Now().Add(100 * time.Millisecond))
			if u, err := r.origin.Accept(); err == nil {
				u.Close()
			}
		}
	})
	operators = append(operators, func() {
		defer cancel()
		for range n {
			r.policy.take(r)
		}
	})
	r.all(operators...)
	r.idle()
	require.Empty(r, r.looks())
}
