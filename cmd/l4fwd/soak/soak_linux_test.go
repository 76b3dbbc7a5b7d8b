package soak

import (
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestSoak has clients talk through two l4fwd behind a load balancer while upstream addresses die and come back, names
// change their addresses, configurations are reloaded and instances are drained and started again.
//
//	L4FWD_SOAK_SECONDS=600   how long (4), warming up included; below 20 it has only one of its halves
//	L4FWD_SOAK_SEED=7        the plans of an earlier run (the schedule remains the system's)
//
// It has two halves. In each, one instance lives from start to end and is measured before and after; the other is
// upgraded again and again, and drained and restarted, on another engine each time. Readiness is polled each 0.2 s, as a load balancer does
// whose interval is well below lame_duck.
//
// What a client may meet is told by soakVerdicts. Behind the last connection each must have had its access line with the
// bytes that it counted itself, nothing may be active, accepted and ended must agree, and memory, descriptors and goroutines
// must be what they were: see soakBounds.
func TestSoak(t *testing.T) {
	if testing.Short() {
		t.Skip("takes its time")
	}
	if underRace && os.Getenv("L4FWD_SOAK_SECONDS") == "" {
		t.Skip("under the race detector daemons and clients share too little time for the soak's clocks, its 20 s of patience among them; L4FWD_SOAK_SECONDS runs it")
	}
	seconds := soakInt(t, "L4FWD_SOAK_SECONDS", 4)
	seed := uint64(soakInt(t, "L4FWD_SOAK_SEED", int(time.Now().UnixNano()&0xffffffff)))
	t.Logf("seed %d, %d s", seed, seconds)
	require.NoError(t, adoptOrphans())
	s := newSoak(t, seed)
	half := time.Duration(seconds) * time.Second / 2
	halves := []int{0, 1}
	if !isolated() {
		t.Log("no dark paths: they take root and iptables")
	}
	if seconds < soakHalves {
		half, halves = 2*half, []int{int(seed % 2)}
	}
	warming := min(half/3, 20*time.Second)
	for _, lives := range halves {
		stays, drained := s.daemons[lives], s.daemons[1-lives]
		for stays.engine != soakEngines[lives] {
			stays.drain()
		}
		s.phase(warming, nil)
		before := stays.measured()
		s.phase(half-warming, drained)
		s.compare(stays, before)
	}
	for _, d := range s.daemons {
		d.signal(syscall.SIGTERM)
	}
	for _, d := range s.daemons {
		d.ends()
	}
	s.ledger.close()
	t.Log(s.summary(seconds))
	for i, f := range s.failures {
		if i == 8 {
			t.Logf("and %d more", len(s.failures)-i)
			break
		}
		t.Error(f)
	}
	require.Positive(t, s.count.get("connections served to their end"))
}

func soakInt(t *testing.T, name string, def int) int {
	text := os.Getenv(name)
	if text == "" {
		return def
	}
	n, err := strconv.Atoi(text)
	require.NoError(t, err, name)
	return n
}

// soakEngines are those of the instances while they live for a half.
var soakEngines = [2]string{"auto", "epoll"}

const (
	soakHalves    = 20 // seconds from which on a run has both halves
	soakWorkers   = 48
	soakLameDuck  = time.Second
	soakDrainTime = 2 * time.Second

	// What bounds a connection that gets no further. The longest, idle (12 s or 15 s), is below soakPatience, so no client ever waits in vain.
	soakUserTimeout = 4 * time.Second
	soakUnwatched   = 5 * time.Second // the age at which a connection gets keepalives towards its upstream
	soakHalfClose   = 12 * time.Second
	soakBusy        = 4 * time.Second  // a busy machine's part in a bound
	soakPatience    = 20 * time.Second // what hung for so long hangs: the machine may be busy
)

// soak is one run.
type soak struct {
	t       *testing.T
	seed    uint64
	begun   time.Time
	world   *soakWorld
	daemons [2]*soakDaemon
	ledger  *soakLedger
	count   soakCounts
	numbers atomic.Uint32 // of the connections
	streams atomic.Uint64 // of random numbers
	bytes   []byte        // what is sent is a part of these

	measures []string

	mu       sync.Mutex
	failures []string
}

func newSoak(t *testing.T, seed uint64) *soak {
	s := &soak{t: t, seed: seed, begun: time.Now(), count: soakCounts{of: map[string]int{}}, bytes: make([]byte, 4<<20)}
	s.ledger = newSoakLedger(s)
	r := s.random()
	for i := range s.bytes {
		s.bytes[i] = byte(r.Uint32())
	}
	s.world = newSoakWorld(s)
	for i, engine := range soakEngines {
		s.daemons[i] = newSoakDaemon(s, i, engine)
	}
	for _, d := range s.daemons {
		d.start()
		d.awaitReady()
		d.poll()
	}
	return s
}

// random returns random numbers of their own for each who asks.
func (s *soak) random() *rand.Rand { return rand.New(rand.NewPCG(s.seed, s.streams.Add(1))) }

// fail notes what must not be. It may be called from anywhere.
func (s *soak) fail(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failures = append(s.failures, what)
}

func (s *soak) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.failures) >= 20
}

// phase has clients and events for a while, then lets all come to rest. drained is drained again and again; nil: none is.
func (s *soak) phase(d time.Duration, drained *soakDaemon) {
	calm, leave := make(chan struct{}), make(chan struct{}) // no more events, no more clients
	var events, clients sync.WaitGroup
	for range soakWorkers {
		r := s.random()
		clients.Go(func() { s.clients(r, leave) })
	}
	begin := func(every func(*rand.Rand) time.Duration, event func(*rand.Rand)) {
		r := s.random()
		events.Go(func() { repeat(calm, func() time.Duration { return every(r) }, func() { event(r) }) })
	}
	begin(between(10, 100), s.world.event)
	begin(between(1000, 15000), s.world.outage)
	begin(between(50, 600), func(r *rand.Rand) { s.daemons[r.IntN(2)].reloads(r) })
	if drained != nil {
		begin(between(500, 3000), func(*rand.Rand) { drained.drain() })
		begin(between(50, 300), func(*rand.Rand) { drained.upgrade() })
	}
	for end := time.Now().Add(d); time.Now().Before(end) && !s.failed(); {
		time.Sleep(10 * time.Millisecond)
	}
	close(calm)
	events.Wait()
	s.world.restore() // ends the silent lives too, which clients would wait for
	close(leave)
	clients.Wait()
	s.rest()
}

// between returns waits of min to max milliseconds.
func between(min, max int) func(*rand.Rand) time.Duration {
	return func(r *rand.Rand) time.Duration { return time.Duration(min+r.IntN(max-min)) * time.Millisecond }
}

// repeat does f, each time after a wait, until stop is closed.
func repeat(stop <-chan struct{}, wait func() time.Duration, f func()) {
	for {
		select {
		case <-stop:
			return
		case <-time.After(wait()):
			f()
		}
	}
}

// rest brings the world to the state it is measured in: all addresses live and listed, the first configuration, nobody there.
func (s *soak) rest() {
	for _, d := range s.daemons {
		d.restore()
		d.awaitRest()
	}
	s.ledger.settle()
}
