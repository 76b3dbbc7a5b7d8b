package relay

import (
	"context"
	"errors"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"sync"
	"testing"
	"time"
)

// movingEngine is an engine whose connections are handed over to another one every few milliseconds, unseen by the test.
type movingEngine struct {
	r    *rig
	sure bool // no hand-over fails, see mover

	mu    sync.RWMutex // locked during a hand-over
	now   *Relay
	opts  Options
	pools []*Warm
	over  bool // no further hand-over
	count int
}

// moves puts a movingEngine into the place of a rig's engine: see rig.during.
func moves(to []string, sure bool) func(*rig) func() {
	return func(r *rig) func() {
		inner := &Relay{eng: r.relay.eng, kind: r.relay.kind, handler: r.relay.handler}
		inner.cur.Store(r.relay.cur.Load())
		m := &movingEngine{r: r, sure: sure, now: inner, opts: r.opts}
		r.relay.eng = m
		stop, ended := make(chan struct{}), sync.WaitGroup{}
		ended.Go(func() {
			for m.move(to) {
				select {
				case <-stop:
					return
				case <-time.After(3 * time.Millisecond):
				}
			}
		})
		return func() { close(stop); ended.Wait() }
	}
}

// move hands over once. It reports whether another one is to follow.
func (m *movingEngine) move(to []string) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.over {
		return false
	}
	m.count++
	o := m.opts
	o.Engine = to[m.count%len(to)]
	var fail failAt
	if !m.sure && rand.IntN(4) == 0 {
		fail = []failAt{{old: 1 + rand.IntN(12)}, {now: 1 + rand.IntN(12)}}[rand.IntN(2)]
	}
	old := m.now
	h, err := handOver(old, o, m.pools, fail)
	if errors.Is(err, errInjected) {
		return true
	}
	if err != nil {
		m.r.Errorf("hand-over %d: %v", m.count, err)
		return false
	}
	if n := kept(old.eng); n != 0 || old.Stats().Active != 0 || old.Stats().Pipes != 0 {
		m.r.Errorf("hand-over %d left %d requests, buffers and pipes: %+v", m.count, n, old.Stats())
	}
	m.now = h.relay
	return true
}

// eng returns the engine of this moment. The caller unlocks.
func (m *movingEngine) eng() (e engine, unlock func()) {
	m.mu.RLock()
	return m.now.eng, m.mu.RUnlock
}

func (m *movingEngine) addrs() []netip.AddrPort {
	e, unlock := m.eng()
	defer unlock()
	return e.addrs()
}

func (m *movingEngine) setListeners(next []listening, opened func()) error {
	return errors.New("a moving engine does not change its listeners")
}

func (m *movingEngine) stopAccepting() {
	m.mu.Lock()
	m.over = true
	m.mu.Unlock()
	m.now.eng.stopAccepting()
}

func (m *movingEngine) tune(t Tuning) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.opts.Tuning = t
	m.now.eng.tune(t)
}

func (m *movingEngine) setWarm(pools []*Warm) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pools = pools
	m.now.eng.setWarm(pools)
}

func (m *movingEngine) releaseWarm(match func(*Endpoint) bool) {
	e, unlock := m.eng()
	defer unlock()
	e.releaseWarm(match)
}

func (m *movingEngine) warmTotal(w *Warm) int {
	e, unlock := m.eng()
	defer unlock()
	return e.warmTotal(w)
}

func (m *movingEngine) closeWhere(match func(*Flow) bool, reason Reason) int {
	e, unlock := m.eng()
	defer unlock()
	return e.closeWhere(match, reason)
}

func (m *movingEngine) flows(f func(*Summary)) {
	e, unlock := m.eng()
	defer unlock()
	e.flows(f)
}

func (m *movingEngine) look(ctx context.Context, ready func(), f func(*Look)) (time.Duration, error) {
	e, unlock := m.eng()
	defer unlock()
	return e.look(ctx, ready, f)
}

func (m *movingEngine) closeOne(id uint64, reason Reason) bool {
	e, unlock := m.eng()
	defer unlock()
	return e.closeOne(id, reason)
}

func (m *movingEngine) lastID() uint64 {
	e, unlock := m.eng()
	defer unlock()
	return e.lastID()
}

func (m *movingEngine) closeAll(reason Reason) {
	e, unlock := m.eng()
	defer unlock()
	e.closeAll(reason)
}

func (m *movingEngine) alive(ctx context.Context) error {
	e, unlock := m.eng()
	defer unlock()
	return e.alive(ctx)
}

func (m *movingEngine) stats() Stats {
	e, unlock := m.eng()
	defer unlock()
	return e.stats()
}

func (m *movingEngine) stop() {
	m.now.eng.stop()
	if n := kept(m.now.eng); n != 0 {
		m.r.Errorf("%d requests, buffers and pipes are left at the end", n)
	}
}

// Whatever happens to a connection, its peers see the same, and the policy is told the same, while one process after the other
// has it. The whole table takes minutes: L4FWD_HANDOVERS=1.
func TestScenariosUnderHandovers(t *testing.T) {
	table, engines := slices.Concat(basicScenarios, closeScenarios, prefaceScenarios), map[string][]string{"both": {"epoll", "uring"}}
	if os.Getenv("L4FWD_HANDOVERS") != "" {
		table = slices.Concat(table, resetScenarios, dialScenarios, raceScenarios, instantScenarios, admitScenarios, headerScenarios,
			timeoutScenarios)
		engines["epoll"], engines["uring"] = []string{"epoll"}, []string{"uring"}
	}
	for name, to := range engines {
		t.Run(name, func(t *testing.T) {
			if apart(t) {
				return
			}
			runTable(t, table, to[0], moves(to, false))
		})
	}
}
