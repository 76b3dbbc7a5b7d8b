package relay

import (
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

	mu    sync.Mutex // held during a hand-over
	pools []*Warm

	count, conns int
	longest      time.Duration
}

// start begins to hand over, until the returned function is called, which leaves the last relay in the rig.
func (m *mover) start() (end func()) {
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
	return func() { close(stop); ended.Wait() }
}

// once hands over once. It reports whether that went well.
func (m *mover) once() bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	old, o := m.r.relay, m.r.opts
	o.Engine = m.engines[m.count%len(m.engines)]
	o.Loops = 1 + (m.count+1)%3
	h, err := handOver(old, o, m.pools)
	if err != nil {
		m.r.Errorf("hand-over %d: %v", m.count, err)
		return false
	}
	if n := kept(old.eng); n != 0 || old.Stats().Active != 0 || old.Stats().Pipes != 0 {
		m.r.Errorf("hand-over %d left %d requests, buffers and pipes: %+v", m.count, n, old.Stats())
	}
	m.r.relay = h.relay
	m.conns += h.conns
	m.longest = max(m.longest, h.pause)
	return true
}

// setWarm is Relay.SetWarm of whichever relay there is.
func (m *mover) setWarm(pools []*Warm) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.pools = pools
	m.r.start().SetWarm(pools)
}

// Random exchanges go on while one relay after the other takes over.
//
//	L4FWD_HANDOVER_SECONDS=30  how long, for each list of engines (2)
//	L4FWD_HANDOVER_EVERY=1000  milliseconds between two of them (50)
func TestRandomRelayUnderHandovers(t *testing.T) {
	length := time.Duration(envInt(t, "L4FWD_HANDOVER_SECONDS", 2)) * time.Second
	every := time.Duration(envInt(t, "L4FWD_HANDOVER_EVERY", 50)) * time.Millisecond
	seed := uint64(envInt(t, "L4FWD_RANDOM_SEED", int(time.Now().UnixNano()&0xffffffff)))
	for name, list := range map[string][]string{"epoll": {"epoll"}, "uring": {"uring"}, "both": {"epoll", "uring"}} {
		for kind, set := range map[string]func(*randomRun, *rig, *mover){
			"plain":  func(*randomRun, *rig, *mover) {},
			"warm":   func(run *randomRun, r *rig, m *mover) { run.warmBy(r, m.setWarm) },
			"header": func(run *randomRun, _ *rig, _ *mover) { run.header, run.resets = "a header for the origin ", 0 },
		} {
			t.Run(name+"_"+kind, func(t *testing.T) {
				if apart(t) {
					return
				}
				r := newRig(t, list[0], loopback4)
				m := &mover{r: r, engines: list, every: every}
				r.start()
				run := &randomRun{seed: seed, resets: 10, until: length}
				set(run, r, m)
				end := m.start()
				run.through(r)
				end()
				require.Positive(t, m.conns, "no connection was handed over")
				t.Logf("%d hand-overs of %d connections, the longest took %v", m.count, m.conns, m.longest)
			})
		}
	}
}
