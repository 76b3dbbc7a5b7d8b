package relay

import (
	"io"
	"net/netip"
	"slices"
	"sync"
	"time"

	"github.com/stretchr/testify/require"
)

// A name has four addresses, and three of them answer nothing: a client used to wait for the whole connect timeout.
var raceScenarios = []scenario{
	{"beside a dark address", "the next address is tried beside one that does not answer, and wins", true, besideDark},
	{"beside two dark addresses", "a third one is tried beside both", false, besideTwoDark},
	{"beside, bytes first", "what the client sent before a beside attempt won is delivered, its FIN after it", false, besideWithBytes},
	{"beside, header", "the header is that of the attempt that won, sent once, and nothing is sent to the other", false, besideWithHeader},
	{"the first answers after all", "the first attempt connects while another is beside it", false, firstAnswersLate},
	{"beside, refused", "a refusal beside a dark address has the next one tried at once", false, besideRefused},
	{"first refused, others beside", "the first attempt fails while another is beside it, which wins", false, firstFailsBeside},
	{"all dark", "no attempt is answered: the client waits for the timeouts, which run beside each other", false, allDark},
	{"nothing else to try", "the policy names no further address: the attempt under way goes on", false, nothingBeside},
	{"client reset, attempts beside", "all attempts end with the client", false, resetWhileRacing},
	{"ended, attempts beside", "closeAll ends all attempts", false, endedWhileRacing},
	{"address taken away, attempts beside", "the attempt at it ends, the other goes on", false, removedWhileRacing},
	{"no race, timers as ever", "a connection that was established in time ends by its idle timeout, not by the stagger", false, staggerLeavesNoTimer},
	{"races that end anywhere", "clients leave at random moments of their races: nothing is left of any", false, racesEndAnywhere},
}

// dark returns an endpoint that does not answer, with a stagger.
func dark(r *rig, stagger time.Duration) *Endpoint {
	addr, _ := blackhole(r, r.at)
	ep := r.endpoint(addr)
	ep.Timeout, ep.Stagger = time.Minute, stagger
	return ep
}

// staggered puts endpoints before that of the origin, which gets the same stagger.
func staggered(r *rig, before ...*Endpoint) {
	r.needsLinux()
	good := r.policy.endpoints[0]
	good.Stagger = before[0].Stagger
	r.policy.endpoints = append(before, good)
}

func besideDark(r *rig) {
	staggered(r, dark(r, 50*time.Millisecond))
	begun := time.Now()
	c, u := r.pair()
	require.GreaterOrEqual(r, time.Since(begun), 50*time.Millisecond)
	u.send("welcome")
	c.want("welcome")
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	e := r.closed(ClientClosed, 0, 7)
	require.Equal(r, []Reason{Outpaced, None}, e.Log.dialed)
	require.Equal(r, localListenAddr(r.origin), e.Flow.Endpoint.Addr)
	require.Less(r, e.Connect, e.FirstByte, "the attempt that won counts, and not the wait before it")
}

func besideTwoDark(r *rig) {
	staggered(r, dark(r, 40*time.Millisecond), dark(r, 40*time.Millisecond))
	begun := time.Now()
	c, u := r.pair()
	require.GreaterOrEqual(r, time.Since(begun), 80*time.Millisecond)
	c.send("x")
	u.want("x")
	c.Close()
	u.wantEnd(sawFIN)
	u.Close()
	e := r.closed(ClientClosed, 1, 0)
	require.ElementsMatch(r, []Reason{Outpaced, Outpaced, None}, e.Log.dialed)
	require.Equal(r, 3, e.Attempts)
}

func besideWithBytes(r *rig) {
	staggered(r, dark(r, 50*time.Millisecond))
	askAndEnd(r)
	r.closed(ClientClosed, 3, 6)
}

func besideWithHeader(r *rig) {
	to := heads(r, "HEAD")
	staggered(r, dark(r, 50*time.Millisecond))
	r.policy.endpoints[0].Header = func(*Flow, netip.AddrPort, []byte) []byte { panic("a header for an attempt that did not connect") }
	c, u := r.pair()
	c.send("hello")
	u.want("HEADhello")
	require.Equal(r, r.addr(), *to.Load())
	c.Close()
	u.wantEnd(sawFIN)
	u.Close()
	r.closed(ClientClosed, 5, 0)
}

func firstAnswersLate(r *rig) {
	r.needsLinux()
	addr, open := blackhole(r, r.at)
	first := r.endpoint(addr)
	first.Timeout, first.Stagger = time.Minute, 30*time.Millisecond
	r.policy.endpoints = []*Endpoint{first, dark(r, 30*time.Millisecond)}
	c := r.dial()
	eventually(r, "the second attempt", func() bool { return r.attempts() == 2 })
	late := open()
	u := acceptFrom(r, late)
	u.send("late")
	c.want("late")
	u.Close()
	c.wantEnd(sawFIN)
	c.Close()
	e := r.closed(UpstreamClosed, 0, 4)
	require.Equal(r, []Reason{Superseded, None}, e.Log.dialed)
	require.Equal(r, addr, e.Flow.Endpoint.Addr)
}

func besideRefused(r *rig) {
	refused := r.endpoint(refusing(r, r.at))
	refused.Stagger = time.Minute
	staggered(r, dark(r, 50*time.Millisecond), refused)
	begun := time.Now()
	c, u := r.pair()
	require.Less(r, time.Since(begun), 10*time.Second, "the refusal does not wait for its stagger")
	c.Close()
	u.wantEnd(sawFIN)
	u.Close()
	e := r.closed(Probe, 0, 0)
	require.ElementsMatch(r, []Reason{ConnectRefused, Outpaced, None}, e.Log.dialed)
}

func firstFailsBeside(r *rig) {
	first := dark(r, 30*time.Millisecond)
	first.Timeout = 600 * time.Millisecond // the second begins before, on a busy machine, too
	second := dark(r, time.Minute)
	staggered(r, first, second)
	begun := time.Now()
	c, u := r.pair() // the third is tried once the first has failed
	require.GreaterOrEqual(r, time.Since(begun), 600*time.Millisecond)
	c.send("x")
	u.want("x")
	c.Close()
	u.wantEnd(sawFIN)
	u.Close()
	e := r.closed(ClientClosed, 1, 0)
	require.Equal(r, []Reason{ConnectTimeout, Outpaced, None}, e.Log.dialed)
}

func allDark(r *rig) {
	r.needsLinux()
	r.policy.endpoints = nil
	for range 3 {
		ep := dark(r, 50*time.Millisecond)
		ep.Timeout = time.Second
		r.policy.endpoints = append(r.policy.endpoints, ep)
	}
	begun := time.Now()
	c := r.dial()
	c.wantEnd(sawRST)
	took := time.Since(begun)
	require.GreaterOrEqual(r, took, time.Second)
	require.Less(r, took, 2500*time.Millisecond, "one after the other takes 3 s")
	e := r.closed(ConnectTimeout, 0, 0)
	require.Equal(r, []Reason{ConnectTimeout, ConnectTimeout, ConnectTimeout}, e.Log.dialed)
}

func nothingBeside(r *rig) {
	r.needsLinux()
	only := dark(r, 20*time.Millisecond)
	only.Timeout = 200 * time.Millisecond
	r.policy.endpoints = []*Endpoint{only}
	begun := time.Now()
	c := r.dial()
	c.wantEnd(sawRST)
	require.GreaterOrEqual(r, time.Since(begun), 190*time.Millisecond)
	e := r.closed(ConnectTimeout, 0, 0)
	require.Equal(r, []Reason{ConnectTimeout}, e.Log.dialed)
}

// racing dials a client whose two attempts do not answer.
func racing(r *rig) *peer {
	r.needsLinux()
	r.policy.endpoints = []*Endpoint{dark(r, 20*time.Millisecond), dark(r, time.Minute)}
	c := r.dial()
	eventually(r, "two attempts", func() bool { return r.attempts() == 2 })
	return c
}

// attempts returns how many attempts are under way, of all connections.
func (r *rig) attempts() (n int) {
	r.policy.mu.Lock()
	defer r.policy.mu.Unlock()
	for _, l := range r.policy.flows {
		n += len(l.pending)
	}
	return n
}

func resetWhileRacing(r *rig) {
	racing(r).reset()
	e := r.closed(Probe, 0, 0)
	require.Len(r, e.Log.dialed, 2)
	for _, why := range e.Log.dialed {
		require.Contains(r, []Reason{ClientReset, Probe}, why)
	}
	require.Less(r, e.Duration, 5*time.Second)
}

func endedWhileRacing(r *rig) {
	c := racing(r)
	r.relay.eng.closeAll(DrainTimeout)
	c.wantGone()
	e := r.closed(DrainTimeout, 0, 0)
	require.Equal(r, []Reason{DrainTimeout, DrainTimeout}, e.Log.dialed)
}

func removedWhileRacing(r *rig) {
	if r.opts.Engine == "portable" {
		r.Skip("closes by the address of the first attempt only")
	}
	c := racing(r)
	gone := r.policy.endpoints[1]
	r.policy.mu.Lock()
	r.policy.endpoints = append(slices.Clone(r.policy.endpoints), r.endpoint(localListenAddr(r.origin)))
	r.policy.mu.Unlock()
	r.relay.CloseWhere(func(f *Flow) bool { return f.Endpoint == gone }, AddressRemoved)
	u := r.accept() // tried at once instead of it
	u.send("x")
	c.want("x")
	u.Close()
	c.wantEnd(sawFIN)
	c.Close()
	e := r.closed(UpstreamClosed, 0, 1)
	require.Equal(r, []Reason{AddressRemoved, Outpaced, None}, e.Log.dialed)
}

func staggerLeavesNoTimer(r *rig) {
	r.opts.IdleTimeout = 400 * time.Millisecond
	r.policy.endpoints[0].Stagger = 20 * time.Millisecond
	begun := time.Now()
	c, u := r.pair()
	c.send("x")
	u.want("x")
	c.wantGone()
	require.GreaterOrEqual(r, time.Since(begun), 400*time.Millisecond)
	e := r.closed(IdleTimeout, 1, 0)
	require.Equal(r, []Reason{None}, e.Log.dialed)
}

func racesEndAnywhere(r *rig) {
	r.needsLinux()
	first, second, good := dark(r, 5*time.Millisecond), dark(r, 5*time.Millisecond), r.policy.endpoints[0]
	first.Timeout, second.Timeout = 30*time.Millisecond, 60*time.Millisecond
	refused := r.endpoint(refusing(r, r.at))
	orders := [][]*Endpoint{{first, good}, {first, second, good}, {second, refused, good}, {first, second}, {second, refused}}
	r.policy.dial = func(f *Flow) (*Endpoint, Reason) {
		order := orders[f.ID%uint64(len(orders))]
		if f.Attempts < len(order) {
			return order[f.Attempts], None
		}
		return nil, ConnectTimeout
	}
	go func() {
		for {
			u, err := r.origin.AcceptTCP()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, u); u.Close() }()
		}
	}()
	const clients = 300
	r.start()
	var all sync.WaitGroup
	for i := range clients {
		all.Go(func() {
			c := newPeer(r, dialRaw(r, r.addr(), false))
			_, _ = c.Write([]byte("x")) // its race may have ended already
			time.Sleep(time.Duration(i%60) * time.Millisecond)
			if i%2 == 0 {
				c.reset()
			} else {
				c.Close()
			}
		})
		if i%30 == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	all.Wait()
	for range clients {
		r.policy.take(r)
	}
	eventually(r, "no connection", func() bool { return r.relay.Stats().Active == 0 })
}
