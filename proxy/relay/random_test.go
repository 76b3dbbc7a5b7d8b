package relay

import (
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

const (
	randomConcurrency = 24
	randomRound       = 600 // exchanges between two reckonings
)

// TestRandomRelay sends random exchanges through each engine and compares what both sides saw.
//
//	L4FWD_RANDOM_SECONDS=30   how long, for each engine (3)
//	L4FWD_RANDOM_SEED=7       the plans of an earlier run (the schedule remains the system's)
//	L4FWD_RANDOM_RESETS=10    percent of the sides that reset (10)
//	L4FWD_RANDOM_RELAY=host:port L4FWD_RANDOM_ORIGIN=host:port
//	                          another relay instead, whose upstream is the second address. How it treats resets is
//	                          its own business then: only what arrives before one is compared.
func TestRandomRelay(t *testing.T) {
	seconds := envInt(t, "L4FWD_RANDOM_SECONDS", 3)
	seed := uint64(envInt(t, "L4FWD_RANDOM_SEED", int(time.Now().UnixNano()&0xffffffff)))
	resets := envInt(t, "L4FWD_RANDOM_RESETS", 10)
	newRun := func() *randomRun {
		return &randomRun{seed: seed, resets: resets, until: time.Duration(seconds) * time.Second}
	}
	if to := os.Getenv("L4FWD_RANDOM_RELAY"); to != "" {
		newRun().externally(t, to, os.Getenv("L4FWD_RANDOM_ORIGIN"))
		return
	}
	each := func(name string, f func(t *testing.T)) {
		t.Run(name, func(t *testing.T) {
			if !apart(t) {
				f(t)
			}
		})
	}
	for _, engine := range engines() {
		each(engine, func(t *testing.T) { newRun().through(newRig(t, engine, loopback4)) })
		each(engine+"_header", func(t *testing.T) { // without resets: they would meet the origin while it reads the header
			run := newRun()
			run.header, run.resets, run.until = strings.Repeat("header ", 700), 0, run.until/3
			run.through(newRig(t, engine, loopback4))
		})
		each(engine+"_warm", func(t *testing.T) {
			run := newRun()
			run.until /= 2
			run.warm(newRig(t, engine, loopback4))
		})
	}
}

func envInt(t *testing.T, name string, def int) int {
	s := os.Getenv(name)
	if s == "" {
		return def
	}
	n, err := strconv.Atoi(s)
	require.NoError(t, err, name)
	return n
}

// randomRun is one run of the test against one relay.
type randomRun struct {
	seed   uint64
	resets int // percent
	until  time.Duration
	header string        // what the origin gets first
	pool   func(on bool) // not nil: the relay keeps connections to the origin ready

	strict   bool // resets are passed on as resets
	portable bool // a reset in the instant of connecting may be taken for a refusal: see dialReason
	to       netip.AddrPort
	origin   *net.TCPListener
	working  sync.WaitGroup // the origin's accept loop and its connections
	open     atomic.Int64   // connections at the origin
	numbers  atomic.Uint64

	mu       sync.Mutex
	origins  []*randomResult
	failures []string
	count    struct{ exchanges, clean, reset, bytes, unpaired int }
	slowest  *randomResult // of the clients
}

func (run *randomRun) externally(t *testing.T, to, origin string) {
	var err error
	run.to, err = netip.ParseAddrPort(to)
	require.NoError(t, err, "L4FWD_RANDOM_RELAY")
	var lc net.ListenConfig
	lc.SetMultipathTCP(false)
	ln, err := lc.Listen(context.Background(), "tcp", origin)
	require.NoError(t, err, "L4FWD_RANDOM_ORIGIN")
	run.origin = ln.(*net.TCPListener)
	run.run(t)
}

// through runs against an engine of this package. The policy names addresses that refuse or do not answer first, for a
// share of the connections.
func (run *randomRun) through(r *rig) {
	run.strict, run.portable = true, r.opts.Engine == "portable"
	run.origin = r.origin
	refused, good := r.endpoint(refusing(r, r.at)), r.policy.endpoints[0]
	dead, _ := blackhole(r, r.at)
	if run.header != "" {
		good.Header = func(_ *Flow, _ netip.AddrPort, b []byte) []byte { return append(b, run.header...) }
	}
	r.policy.dial = func(f *Flow) (*Endpoint, Reason) {
		switch {
		case f.Stale && f.Failure == None:
			return good, None
		case f.Attempts > 2, f.Attempts > 0 && f.Endpoint == good:
			return nil, f.Failure
		case rand.IntN(10) == 0:
			return refused, None
		case rand.IntN(10) == 0:
			return &Endpoint{Addr: dead, Timeout: time.Duration(1+rand.IntN(60)) * time.Millisecond, Tally: r.tally}, None
		}
		return good, None
	}
	run.to = r.addr()
	stop := make(chan struct{})
	var discarding sync.WaitGroup
	discarding.Go(func() { r.policy.discard(stop) })
	run.run(r)
	r.idle()
	close(stop)
	discarding.Wait()
}

// warm is through with a pool, whose connections the origin ends as its plans have it: before a client takes them, and before
// it has answered.
func (run *randomRun) warm(r *rig) {
	k := run.warmBy(r, func(pools []*Warm) { r.start().SetWarm(pools) })
	run.through(r)
	r.Logf("left the pool: %v; attempts for it: %v; dead: %d", k.left, k.tried, k.stale)
	require.Positive(r, k.left[LeftUsed], "no connection of the pool was used")
	if run.until >= 10*time.Second { // about one a second does
		require.Positive(r, k.stale, "no connection of the pool proved dead")
	}
}

// warmBy has a pool kept by set, which is Relay.SetWarm.
func (run *randomRun) warmBy(r *rig, set func([]*Warm)) *testKeeper {
	k := r.keeper()
	pool := r.pool(k, 4)
	pool.MaxIdle = 100 * time.Millisecond
	run.pool = func(on bool) {
		var pools []*Warm
		if on {
			pools = []*Warm{pool}
		}
		set(pools)
	}
	return k
}

func (run *randomRun) run(t testing.TB) {
	t.Logf("seed %d, %v, %d at once", run.seed, run.until, randomConcurrency)
	run.working.Go(run.serve)
	begun, aborts := time.Now(), memoryAborts()
	for time.Since(begun) < run.until && len(run.failures) == 0 {
		run.round(t, begun)
	}
	run.origin.Close()
	run.working.Wait()
	c := run.count
	t.Logf("%d exchanges in %v, %d MiB: %d with both sides' bytes compared to their ends, %d with a reset, %d that nobody could pair",
		c.exchanges, time.Since(begun).Round(time.Millisecond), c.bytes>>20, c.clean, c.reset, c.unpaired)
	if s := run.slowest; s != nil && s.Took > exchangeLimit/4 {
		t.Logf("the slowest exchange: %v", s)
	}
	if n := memoryAborts() - aborts; n > 0 && len(run.failures) > 0 {
		t.Logf("NOT the relay's fault, maybe: the kernel reset %d connections for want of TCP memory meanwhile", n)
	}
	for i, f := range run.failures {
		if i == 5 {
			t.Logf("and %d more", len(run.failures)-i)
			break
		}
		t.Error(f)
	}
	require.Positive(t, c.clean, "no exchange was compared")
}

// serve is the origin.
func (run *randomRun) serve() {
	for n := uint64(0); ; n++ {
		conn, err := run.origin.Accept()
		if err != nil {
			return
		}
		run.open.Add(1)
		run.working.Go(func() {
			defer run.open.Add(-1)
			plan := newRandomPlan("origin", run.seed, n, run.resets)
			got := make([]byte, len(run.header))
			_, err := io.ReadFull(conn, got)
			res := runSide(plan, conn.(*net.TCPConn))
			run.mu.Lock()
			run.origins = append(run.origins, res)
			if string(got) != run.header {
				run.failures = append(run.failures, fmt.Sprintf("the origin got %q (%v) first", got, err))
			}
			run.mu.Unlock()
		})
	}
}

// round runs exchanges, then brings both sides' results together.
func (run *randomRun) round(t testing.TB, begun time.Time) {
	var clients []*randomResult
	var left atomic.Int64
	left.Store(randomRound)
	var workers sync.WaitGroup
	var hung atomic.Bool
	if run.pool != nil {
		run.pool(true)
	}
	for range randomConcurrency {
		workers.Go(func() {
			for left.Add(-1) >= 0 && time.Since(begun) < run.until && !hung.Load() {
				plan := newRandomPlan("client", run.seed, run.numbers.Add(1), run.resets)
				var conn net.Conn
				if plan.Small {
					conn = dialSmall(t, run.to)
				} else {
					conn = dialRaw(t, run.to, false)
				}
				res := runSide(plan, conn.(*net.TCPConn))
				hung.Store(hung.Load() || res.hung())
				run.mu.Lock()
				clients = append(clients, res)
				run.mu.Unlock()
			}
		})
	}
	workers.Wait()
	if run.pool != nil {
		run.pool(false)
	}
	for run.open.Load() > 0 { // each has its deadline
		time.Sleep(time.Millisecond)
	}
	run.mu.Lock()
	defer run.mu.Unlock()
	run.reckon(clients, run.origins)
	run.origins = nil
}

// reckon pairs the sides by the headers that arrived and checks each pair.
func (run *randomRun) reckon(clients, origins []*randomResult) {
	byNumber, byClient := map[uint64]*randomResult{}, map[uint64]*randomResult{}
	for _, o := range origins {
		byNumber[o.Plan.Number] = o
		if o.Head == nil {
			continue
		}
		// A client whose connection from the pool proves dead gets a later one.
		if had := byClient[o.Head.Number]; had == nil || had.Plan.Number < o.Plan.Number {
			byClient[o.Head.Number] = o
		}
	}
	paired := map[*randomResult]bool{}
	for _, c := range clients {
		o := byClient[c.Plan.Number]
		if c.Head != nil {
			o = byNumber[c.Head.Number]
		}
		run.count.exchanges++
		run.count.bytes += c.Got
		if run.slowest == nil || c.Took > run.slowest.Took {
			run.slowest = c
		}
		if o == nil {
			run.alone(c)
			continue
		}
		if c.Head == nil && c.Got > o.Sent && run.beganToAnswer(c, origins) {
			run.count.unpaired++
			continue
		}
		run.count.bytes += o.Got
		paired[o] = true
		run.pair(c, o)
	}
	for _, o := range origins {
		switch {
		case paired[o]:
		case run.pool != nil: // nobody took it, or it proved dead
			run.count.unpaired++
		default:
			run.alone(o)
		}
	}
}

// beganToAnswer reports whether what a client got may be of an origin that it was given in place of a dead one of the pool: one that
// reset after less than a header, and before it read the client's, which only the dead one did.
func (run *randomRun) beganToAnswer(c *randomResult, origins []*randomResult) bool {
	return run.pool != nil && slices.ContainsFunc(origins, func(o *randomResult) bool {
		return o.Head == nil && o.Reset && o.Sent < headerSize && o.Sent >= c.Got
	})
}

// alone judges a side that never heard of the other: only where nothing was sent, or somebody reset, may that be.
func (run *randomRun) alone(r *randomResult) {
	run.count.unpaired++
	switch {
	case r.hung():
		run.fail("hung", r, nil)
	case r.Reset || r.sawReset():
	case !run.strict && run.resets > 0: // the other side may have been reset, and this one closed
	case r.Plan.Size > 0:
		run.fail("lost: the other side never saw a byte", r, nil)
	}
}

func (run *randomRun) pair(c, o *randomResult) {
	if c.hung() || o.hung() {
		run.fail("hung", c, o)
		return
	}
	if c.Reset || o.Reset {
		run.count.reset++
	} else {
		run.count.clean++
	}
	if err := errors.Join(run.direction(c, o), run.direction(o, c)); err != nil {
		run.fail(err.Error(), c, o)
	}
}

// direction checks the bytes from one side to the other.
func (run *randomRun) direction(from, to *randomResult) error {
	var altered *mismatch
	name := "from " + from.Plan.Who + ": "
	switch {
	case errors.As(to.ReadErr, &altered):
		return errors.New(name + altered.Error())
	case to.Head != nil && (to.Head.Number != from.Plan.Number || to.Head.Seed != from.Plan.Seed):
		return errors.New(name + "bytes of another exchange")
	case to.Got > from.Sent:
		return errors.New(name + "more came than was sent")
	case !from.Reset && !to.Reset:
		if to.Got != from.Plan.total() || to.ReadErr != nil || from.SendErr != nil {
			return fmt.Errorf("%sgot %d of %d", name, to.Got, from.Plan.total())
		}
	case !run.strict || to.Reset || run.portable && to.Got == 0:
	case from.Acked && to.Got != from.Sent:
		return fmt.Errorf("%sgot %d of %d that were acknowledged before the reset", name, to.Got, from.Sent)
	case !to.sawReset():
		return errors.New(name + "the reset arrived as an orderly end")
	}
	return nil
}

func (run *randomRun) fail(what string, a, b *randomResult) {
	s := fmt.Sprintf("seed %d: %s\n\t%v", run.seed, what, a)
	if b != nil {
		s += fmt.Sprintf("\n\t%v", b)
	}
	run.failures = append(run.failures, s)
}
