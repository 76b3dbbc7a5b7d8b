package relay

import (
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// testKeeper is the Keeper of the tests: an endpoint, and a record of what it was told. It watches the contract of Keeper.
type testKeeper struct {
	next   func() *Endpoint
	choose func(chosen *Endpoint, ready []*Endpoint) *Endpoint // nil: the one chosen, if it is there

	mu      sync.Mutex
	asked   int // Next gave an endpoint, Tried is to come
	ready   int
	tried   map[Reason]int
	left    map[Leave]int
	stale   int
	resting time.Duration
	rests   int
	faults  []string
}

func (k *testKeeper) Next(int) *Endpoint {
	k.mu.Lock()
	defer k.mu.Unlock()
	ep := k.next()
	if ep != nil {
		k.asked++
	}
	return ep
}

func (k *testKeeper) Tried(_ int, _ *Endpoint, failure Reason, took time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.asked--; k.asked < 0 || took < 0 {
		k.faults = append(k.faults, fmt.Sprintf("Tried without Next: %v", failure))
	}
	k.tried[failure]++
	if failure == None {
		k.ready++
	}
}

func (k *testKeeper) Left(_ int, _ *Endpoint, why Leave) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.left[why]++
	if why == LeftDead {
		if k.stale++; k.stale > k.left[LeftUsed] {
			k.faults = append(k.faults, "more LeftDead than LeftUsed")
		}
		return
	}
	if k.ready--; k.ready < 0 {
		k.faults = append(k.faults, "more Left than Tried")
	}
}

func (k *testKeeper) Choose(_ *Flow, chosen *Endpoint, ready []*Endpoint) *Endpoint {
	k.mu.Lock()
	defer k.mu.Unlock()
	switch {
	case k.choose != nil:
		return k.choose(chosen, ready)
	case slices.ContainsFunc(ready, func(ep *Endpoint) bool { return ep.Addr == chosen.Addr }):
		return chosen
	}
	return nil
}

func (k *testKeeper) rest(_ int, d time.Duration) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.resting = d
	k.rests++
}

// got reads the record.
func (k *testKeeper) got(f func() int) int {
	k.mu.Lock()
	defer k.mu.Unlock()
	return f()
}

func (k *testKeeper) isReady(t testing.TB, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%d connections in the pool", n), func() bool { return k.got(func() int { return k.ready }) == n })
}

// warmed starts the relay with a pool of n connections a loop to the origin, and waits for them.
func (r *rig) warmed(n int) *testKeeper {
	r.Helper()
	k := r.keeper()
	w := r.pool(k, n)
	r.start().SetWarm([]*Warm{w})
	k.isReady(r, n*r.loops())
	return k
}

func (r *rig) loops() int {
	if r.opts.Engine == "portable" {
		return 1
	}
	return r.opts.Loops
}

// pool gives the origin's endpoint a pool.
func (r *rig) pool(k *testKeeper, n int) *Warm {
	ep := r.policy.endpoints[0]
	ep.Warm = &Warm{Count: n * r.loops(), MaxIdle: time.Hour, Keeper: k, Rest: k.rest}
	r.policy.dial = func(f *Flow) (*Endpoint, Reason) {
		if f.Failure != None {
			return nil, f.Failure
		}
		return ep, None
	}
	return ep.Warm
}

func (r *rig) keeper() *testKeeper {
	k := &testKeeper{next: func() *Endpoint { return r.policy.endpoints[0] }, tried: map[Reason]int{}, left: map[Leave]int{}}
	r.Cleanup(func() { // before the rig's: cleanups run backwards
		if r.relay == nil {
			return
		}
		r.relay.StopAccepting()
		k.mu.Lock()
		defer k.mu.Unlock()
		require.Zero(r, k.asked, "attempts without an end")
		require.Zero(r, k.ready, "connections in the pool after StopAccepting")
		require.Empty(r, k.faults)
	})
	return k
}

// waiting accepts the n connections that the pool has made, by the address of the relay's end.
func (r *rig) waiting(n int) map[netip.AddrPort]*peer {
	r.Helper()
	all := map[netip.AddrPort]*peer{}
	for range n {
		u := r.accept()
		all[remoteAddrPort(u)] = u
	}
	return all
}

// local returns the address of the relay's upstream socket of the only connection.
func (r *rig) local() (at netip.AddrPort) {
	r.Helper()
	eventually(r, "an upstream", func() bool {
		r.relay.Flows(func(s *Summary) { at = s.Local() })
		return at.IsValid()
	})
	return at
}
