package proxy

import (
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/relay"
)

// Warm says how many connections to an upstream are kept established for clients to come; the zero value keeps none.
// relay.Warm says what happens with one that proves dead.
type Warm struct {
	Connections int           // over all loops, which share them; each has one at least
	MaxIdle     time.Duration // a connection that no client took for so long is replaced; 0: 20s
}

const defaultMaxIdle = 20 * time.Second

// WarmResults lists the values of the label result of l4fwd_warm_used_total.
func WarmResults() []string { return warmResults[:] }

// What a client got where connections are kept warm.
const (
	warmHit   = iota // a warm connection
	warmMiss         // its own: no warm one was ready
	warmStale        // a warm one that proved dead, and then its own
	warmKinds
)

var warmResults = [warmKinds]string{warmHit: "hit", warmMiss: "miss", warmStale: "stale"}

// warmCell is what a loop counts.
type warmCell struct {
	used  [warmKinds]atomic.Uint64
	rests atomic.Uint64
	_     [64]byte
}

// warmKeeper is the relay.Keeper of an upstream.
type warmKeeper struct {
	pool    relay.Warm
	target  *target
	traffic *traffic     // of connections that have no listener yet; nothing is counted there
	ready   atomic.Int64 // connections that wait for a client
	warned  atomic.Bool  // that connections can't be kept was logged
	fault   atomic.Pointer[string]
}

// restsLong is the rest that is logged: that after the third or fourth failure in a row.
const restsLong = time.Second

// keepWarm makes the keeper of the upstream's warm connections, if it is to have some.
func (t *target) keepWarm() {
	if t.opts.Warm.Connections <= 0 {
		return
	}
	w := &warmKeeper{target: t, traffic: newTraffic("", t.opts.Name, t.counters.loops)}
	w.pool = relay.Warm{Count: t.opts.Warm.Connections, MaxIdle: t.opts.Warm.MaxIdle, Keeper: w, Rest: w.rest}
	if w.pool.MaxIdle <= 0 {
		w.pool.MaxIdle = defaultMaxIdle
	}
	t.warm = w
}

// warmPool returns the pool for the endpoints of the target, nil if it has none.
func (t *target) warmPool() *relay.Warm {
	if t.warm == nil {
		return nil
	}
	return &t.warm.pool
}

// pools returns the pools of the upstreams that listeners use.
func (t *table) pools() (all []*relay.Warm) {
	for _, at := range t.used() {
		if p := at.warmPool(); p != nil {
			all = append(all, p)
		}
	}
	return all
}

// Next picks an address as for a client.
func (w *warmKeeper) Next(int) *relay.Endpoint {
	set := w.target.set
	a := set.Pick(nil)
	if a == nil {
		w.note("there is no address")
		return nil
	}
	if !set.Usable(a, time.Now()) {
		a.Release()
		w.note("no address is usable")
		return nil
	}
	return a.Tag.(*endpoints).of(w.traffic)
}

// Tried counts an attempt like one of a client.
func (w *warmKeeper) Tried(loop int, ep *relay.Endpoint, failure relay.Reason, took time.Duration) {
	t, e := w.target, ep.Tag.(*endpoints)
	if failure == relay.None {
		e.connected(loop, took)
		e.waiting.Add(1)
		w.ready.Add(1)
		return
	}
	if blamesAddress(failure) {
		t.server.policy.failed(t, e.addr, failure)
	}
	e.addr.Release()
	if failure != relay.Operator {
		t.counters.dialErrors[failure].Add(1)
		w.note(fmt.Sprintf("%s: %s", e.addr.Addr, failure))
	}
}

// Left ends the use of the address that began with Next, or with the pick for the client whose connection proved dead.
func (w *warmKeeper) Left(loop int, ep *relay.Endpoint, why relay.Leave) {
	e := ep.Tag.(*endpoints)
	e.addr.Release()
	if why == relay.LeftDead {
		w.count(loop, warmStale)
		return
	}
	e.waiting.Add(-1)
	w.ready.Add(-1)
	if why == relay.LeftEnded {
		w.note(fmt.Sprintf("%s ends connections on which nothing is sent", e.addr.Addr))
	}
}

// Choose takes a connection to the address that was picked, unless that address is out, or to another one of equal standing.
func (w *warmKeeper) Choose(f *relay.Flow, chosen *relay.Endpoint, ready []*relay.Endpoint) *relay.Endpoint {
	from := chosen.Tag.(*endpoints).addr
	for _, o := range ready {
		if o.Tag.(*endpoints).addr == from && w.target.set.Usable(from, time.Now()) {
			return chosen
		}
	}
	for _, o := range slices.Backward(ready) {
		e := o.Tag.(*endpoints)
		if e.addr == from {
			continue
		}
		if w.target.set.Exchange(from, e.addr) {
			return e.of(w.target.server.policy.ruleOf(f).traffic(w.target))
		}
	}
	return nil
}

// rest logs once that connections can't be kept warm, and once that they can again.
func (w *warmKeeper) rest(loop int, d time.Duration) {
	t := w.target
	if d > 0 {
		t.counters.warm[loop].rests.Add(1)
	}
	switch {
	case d == 0 && w.warned.CompareAndSwap(true, false):
		w.fault.Store(nil)
		t.server.policy.access.event(func() {
			t.log.Info("connections to the upstream are kept warm again", zap.String("upstream", t.opts.Name))
		})
	case d == 0:
		w.fault.Store(nil)
	case d >= restsLong && w.warned.CompareAndSwap(false, true):
		why := w.lastFault()
		t.server.policy.access.event(func() {
			t.log.Warn("connections to the upstream can't be kept warm: clients wait for theirs meanwhile; it is tried again at intervals of up to a minute",
				zap.String("upstream", t.opts.Name), zap.String("why", why))
		})
	}
}

// note remembers what went wrong.
func (w *warmKeeper) note(fault string) { w.fault.Store(&fault) }

// lastFault is what went wrong last; empty if nothing did since connections were good.
func (w *warmKeeper) lastFault() string {
	if why := w.fault.Load(); why != nil {
		return *why
	}
	return ""
}

// count counts what a client got.
func (w *warmKeeper) count(loop, kind int) {
	w.target.counters.warm[loop].used[kind].Add(1)
}

// dialed counts the first attempt of a client.
func (w *warmKeeper) dialed(f *relay.Flow) {
	switch {
	case f.Attempts != 1:
	case f.Warm:
		w.count(f.Loop, warmHit)
	default:
		w.count(f.Loop, warmMiss)
	}
}

// replaceWarm has the warm connections closed whose address is not used any more, and others made.
func (t *target) replaceWarm() {
	if t.warm == nil || !t.server.started.Load() {
		return
	}
	t.server.relay.ReleaseWarm(func(ep *relay.Endpoint) bool {
		e := ep.Tag.(*endpoints)
		return e.target == t && !t.set.Usable(e.addr, time.Now())
	})
}

// WarmStatus is the state of an upstream's warm connections.
type WarmStatus struct {
	Wanted int    `json:"wanted"`
	Ready  int64  `json:"ready"`
	Why    string `json:"why,omitempty"` // what went wrong last, since they were good
}

// warmStatus is nil if no connection is kept warm.
func (t *target) warmStatus() *WarmStatus {
	if t.warm == nil {
		return nil
	}
	s := &WarmStatus{Wanted: t.warm.wanted(), Ready: t.warm.ready.Load()}
	if s.Ready < int64(s.Wanted) {
		s.Why = t.warm.lastFault()
	}
	return s
}

// wanted is how many connections the loops keep together.
func (w *warmKeeper) wanted() int { return w.target.server.relay.WarmTotal(&w.pool) }

// CloseWarm closes the warm connections for good: a drain begins. From now on clients wait for their own connection.
func (s *Server) CloseWarm() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.noWarm = true
	s.relay.SetWarm(nil)
}

// warmStats adds the figures of the warm connections.
func (u *upstreamCounters) warmStats(st *Stats) {
	for kind, name := range warmResults {
		var n uint64
		for _, c := range u.warm {
			n += c.used[kind].Load()
		}
		st.WarmUsed[[2]string{u.name, name}] = n
	}
	for _, c := range u.warm {
		st.WarmRests[u.name] += c.rests.Load()
	}
}
