package relay

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// mover hands the relay of a rig over to another one, again and again, each on the next of some engines.
type mover struct {
	r       *rig
	engines []string
	every   time.Duration
	sure    bool // none fails: the keeper of the test is that of both relays, and is told by the new one of what it does not want

	mu    sync.Mutex // held during a hand-over
	now   *Relay
	pools []*Warm

	count, conns int
	restarts     int // of count
	failed       int
	longest      time.Duration
}

// start begins to hand over, until the returned function is called, which leaves the last relay in the rig: see rig.during.
func (m *mover) start(r *rig) (end func()) {
	m.r, m.now = r, r.relay
	stop, ended := make(chan struct{}), sync.WaitGroup{}
	ended.Go(func() {
		for {
			select {
			case <-stop:
				return
			case <-time.After(m.every):
			}
			if !m.once() {
				return
			}
		}
	})
	return func() {
		close(stop)
		ended.Wait()
		r.relay = m.now
		require.Positive(r, m.conns, "no connection was handed over")
		r.Logf("%d hand-overs, %d of them restarts, of %d connections, the longest took %v; %d of them failed", m.count, m.restarts, m.conns, m.longest, m.failed)
	}
}

// once hands over once, or fails to: see pass. It reports whether that went well.
func (m *mover) once() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	old, o := m.now, m.r.opts
	o.Engine = m.engines[m.count%len(m.engines)]
	o.Loops = 1 + (m.count+1)%3
	h, err := m.pass(old, o)
	if errors.Is(err, errInjected) {
		m.failed++
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
	m.conns += h.conns
	m.longest = max(m.longest, h.pause)
	return true
}

// pass hands over: one time in three as a restart does. An upgrade fails in one of two cases, a restart in one of four.
func (m *mover) pass(old *Relay, o Options) (handed, error) {
	if rand.IntN(3) == 0 {
		m.restarts++
		return restart(old, o, m.pools, !m.sure && rand.IntN(4) == 0)
	}
	var fail failAt
	switch n := rand.IntN(4); {
	case m.sure:
	case n == 0:
		fail.old = 1 + rand.IntN(12)
	case n == 1:
		fail.now = 1 + rand.IntN(12)
	}
	return handOver(old, o, m.pools, fail)
}

// setWarm is Relay.SetWarm of whichever relay there is now.
func (m *mover) setWarm(pools []*Warm) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pools = pools
	m.now.SetWarm(pools)
}

// Random exchanges go on while one relay after the other takes over, as by an upgrade or by a restart, or fails to.
//
//	L4FWD_HANDOVER_SECONDS=30  how long, for each list of engines (1)
//	L4FWD_HANDOVER_EVERY=1000  milliseconds between two of them (40)
func TestRandomRelayUnderHandovers(t *testing.T) {
	length := time.Duration(envInt(t, "L4FWD_HANDOVER_SECONDS", 1)) * time.Second
	every := time.Duration(envInt(t, "L4FWD_HANDOVER_EVERY", 40)) * time.Millisecond
	seed := uint64(envInt(t, "L4FWD_RANDOM_SEED", int(time.Now().UnixNano()&0xffffffff)))
	for name, list := range map[string][]string{"epoll": {"epoll"}, "uring": {"uring"}, "both": {"epoll", "uring"}} {
		for kind, set := range map[string]func(*randomRun, *rig, *mover){
			"plain":  func(*randomRun, *rig, *mover) {},
			"warm":   func(run *randomRun, r *rig, m *mover) { m.sure = true; run.warmBy(r, m.setWarm) },
			"header": func(run *randomRun, _ *rig, _ *mover) { run.header, run.resets = "a header for the origin ", 0 },
		} {
			if kind != "plain" && name != "both" && length < 5*time.Second {
				continue
			}
			t.Run(name+"_"+kind, func(t *testing.T) {
				if apart(t) {
					return
				}
				r := newRig(t, list[0], loopback4)
				m := &mover{engines: list, every: every}
				r.during = m.start
				run := &randomRun{seed: seed, resets: 10, until: length}
				set(run, r, m)
				run.through(r)
			})
		}
	}
}
