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
// See relay.Warm for what happens with one that proves dead.
type Warm struct {
	Connections int           // over all loops, which share them; each has one at least
	MaxIdle     time.Duration // after which one that nobody took is replaced; 0: 20s
}

const defaultMaxIdle = 20 * time.Second

// WarmResults lists the values of the label result of l4fwd_warm_used_total.
func WarmResults() []string { return warmResults[:] }

// How a client fared where connections are kept warm.
const (
	warmHit   = iota // it got one
	warmMiss         // there was none for it
	warmStale        // it got one that proved dead, and then a fresh one
	warmKinds
)

var warmResults = [warmKinds]string{warmHit: "hit", warmMiss: "miss", warmStale: "stale"}

// warmCell is what a loop counts.
type warmCell struct {
	used  [warmKinds]atomic.Uint64
	rests atomic.Uint64
	_     [64]byte
}

// warmer is the relay.Keeper of an upstream.
type warmer struct {
	pool   relay.Warm
	target *target
	pair   *pair        // of connections that have no listener yet; nothing is counted there
	ready  atomic.Int64 // connections that wait
	told   atomic.Bool  // an operator, that it rests for long
	why    atomic.Pointer[string]
}

// restsLong is the rest that an operator hears of: that after the third failure in a row, or the fourth.
const restsLong = time.Second

func (t *target) warmUp() {
	if t.opts.Warm.Connections <= 0 {
		return
	}
	w := &warmer{target: t, pair: newPair("", t.opts.Name, t.account.loops)}
	w.pool = relay.Warm{Count: t.opts.Warm.Connections, MaxIdle: t.opts.Warm.MaxIdle, Keeper: w, Rest: w.rest}
	if w.pool.MaxIdle <= 0 {
		w.pool.MaxIdle = defaultMaxIdle
	}
	t.warm = w
}

// warmPool returns the pool that endpoints of the target name, nil if it has none.
func (t *target) warmPool() *relay.Warm {
	if t.warm == nil {
		return nil
	}
	return &t.warm.pool
}

// pools are those of the upstreams that listeners use.
func (t *table) pools() (all []*relay.Warm) {
	used := make(map[string]bool)
	for _, ln := range t.opts.Listeners {
		for _, name := range ln.upstreams() {
			used[name] = true
		}
	}
	for _, t := range t.targets {
		if p := t.warmPool(); p != nil && used[t.opts.Name] {
			all = append(all, p)
		}
	}
	return all
}

// Next chooses an address as for a client.
func (w *warmer) Next(int) *relay.Endpoint {
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
	return a.Tag.(*endpoints).of(w.pair)
}

// Tried counts attempts as those of clients are counted.
func (w *warmer) Tried(loop int, ep *relay.Endpoint, failure relay.Reason, took time.Duration) {
	t, e := w.target, ep.Tag.(*endpoints)
	switch failure {
	case relay.None:
		t.set.Connected(e.addr)
		t.account.connect.observe(loop, took)
		e.waiting.Add(1)
		w.ready.Add(1)
		return
	case relay.ConnectRefused, relay.ConnectTimeout, relay.ConnectUnreachable:
		t.server.policy.failed(t, e.addr, failure)
	}
	e.addr.Release()
	if failure != relay.Operator {
		t.account.dialErrors[failure].Add(1)
		w.note(fmt.Sprintf("%s: %s", e.addr.Addr, failure))
	}
}

// Left ends the use of the address that began with Next, or with the pick for the client whose connection proved dead.
func (w *warmer) Left(loop int, ep *relay.Endpoint, why relay.Leave) {
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

// Choose takes a connection to the address that was picked, unless that is out, or to another one of equal standing.
func (w *warmer) Choose(f *relay.Flow, chosen *relay.Endpoint, ready []*relay.Endpoint) *relay.Endpoint {
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
			return e.of(w.target.server.policy.ruleOf(f).pair(w.target))
		}
	}
	return nil
}

// rest tells an operator once that connections can't be kept, and once that they can again.
func (w *warmer) rest(loop int, d time.Duration) {
	t := w.target
	if d > 0 {
		t.account.warm[loop].rests.Add(1)
	}
	switch {
	case d == 0 && w.told.CompareAndSwap(true, false):
		w.why.Store(nil)
		t.server.policy.access.note(func() {
			t.log.Info("connections to the upstream are kept warm again", zap.String("upstream", t.opts.Name))
		})
	case d == 0:
		w.why.Store(nil)
	case d >= restsLong && w.told.CompareAndSwap(false, true):
		why := w.reason()
		t.server.policy.access.note(func() {
			t.log.Warn("connections to the upstream can't be kept warm: clients wait for theirs meanwhile; it is tried again at intervals of up to a minute",
				zap.String("upstream", t.opts.Name), zap.String("why", why))
		})
	}
}

func (w *warmer) note(why string) { w.why.Store(&why) }

// reason is what went wrong last, empty if nothing did since connections were good.
func (w *warmer) reason() string {
	if why := w.why.Load(); why != nil {
		return *why
	}
	return ""
}

// count counts how a client fared.
func (w *warmer) count(loop, kind int) {
	w.target.account.warm[loop].used[kind].Add(1)
}

// dialed counts the first attempt of a client.
func (w *warmer) dialed(f *relay.Flow) {
	switch {
	case f.Attempts != 1:
	case f.Warm:
		w.count(f.Loop, warmHit)
	default:
		w.count(f.Loop, warmMiss)
	}
}

// cool has the connections closed that wait at addresses no longer used, and others made.
func (t *target) cool() {
	if t.warm == nil || !t.server.started.Load() {
		return
	}
	t.server.relay.ReleaseWarm(func(ep *relay.Endpoint) bool {
		e := ep.Tag.(*endpoints)
		return e.target == t && !t.set.Usable(e.addr, time.Now())
	})
}

// WarmStatus is the state of an upstream's connections that wait for clients.
type WarmStatus struct {
	Wanted int    `json:"wanted"`
	Ready  int64  `json:"ready"`
	Why    string `json:"why,omitempty"` // what went wrong last, since they were good
}

func (t *target) warmStatus() *WarmStatus {
	if t.warm == nil {
		return nil
	}
	s := &WarmStatus{Wanted: t.warm.wanted(), Ready: t.warm.ready.Load()}
	if s.Ready < int64(s.Wanted) {
		s.Why = t.warm.reason()
	}
	return s
}

// wanted is how many the loops keep together.
func (w *warmer) wanted() int { return w.target.server.relay.WarmTotal(&w.pool) }

// CloseWarm closes the connections that wait for clients, for good: a drain begins. Clients wait for theirs from now on.
func (s *Server) CloseWarm() {
	s.reloading.Lock()
	defer s.reloading.Unlock()
	s.cold = true
	s.relay.SetWarm(nil)
}

func (a *account) warmStats(st *Stats) {
	for kind, name := range warmResults {
		var n uint64
		for _, c := range a.warm {
			n += c.used[kind].Load()
		}
		st.WarmUsed[[2]string{a.upstream, name}] = n
	}
	for _, c := range a.warm {
		st.WarmRests[a.upstream] += c.rests.Load()
	}
}
