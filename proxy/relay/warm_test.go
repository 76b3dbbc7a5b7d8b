package relay

import (
	"net"
	"os"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// released stands for an engine of which nothing but release is asked.
type released struct {
	transport
	l *core
}

func (r released) release(h *half) {
	if h.hold != nil {
		r.l.bufs.put(h.hold)
		h.hold = nil
	}
}

func bareCore() *core {
	l := &core{now: 1}
	l.io = released{l: l}
	return l
}

// An upstream ended while more than is kept was on its way to it. It used to be believed then without its end being seen
// again, so that the connection hung until it timed out.
func TestDeathIsTakenBackBeyondTheBound(t *testing.T) {
	for e, want := range map[halfEvent]halfState{eventFIN: halfFIN, eventReset: halfCut} {
		l, c := bareCore(), &conn{proof: unproved}
		l.remember(c, make([]byte, maxReplay))
		c.happen(upstream, e)
		require.Equal(t, disproved, c.proof)
		require.Equal(t, halfOpen, c.halves[upstream].state, "nothing comes of it, for another one takes its place")
		l.remember(c, []byte("more"))
		require.Equal(t, proved, c.proof)
		require.Equal(t, want, c.halves[upstream].state)
		require.Zero(t, l.bufs.inUse)
	}
}

// A send failed, and behind it came what the upstream had answered before.
func TestDeathIsTakenBackByAnAnswer(t *testing.T) {
	l, c := bareCore(), &conn{proof: unproved}
	l.remember(c, []byte("request"))
	c.happen(client, eventBroken)
	require.Equal(t, disproved, c.proof)
	l.keep(c, upstream, []byte("answer"))
	require.Equal(t, proved, c.proof)
	require.Equal(t, halfDead, c.halves[client].state)
	require.Equal(t, "answer", string(c.halves[upstream].hold.bytes()), "it is delivered")
	require.True(t, c.ends[upstream].reset, "the end behind it is a reset")
}

// A FIN in answer to the client's is an end like any other; one before it is not.
func TestWhatProvesAConnectionDead(t *testing.T) {
	for state, want := range map[halfState]proof{halfOpen: disproved, halfFIN: disproved, halfShut: unproved} {
		c := &conn{proof: unproved}
		c.halves[client].state = state
		c.happen(upstream, eventFIN)
		require.Equal(t, want, c.proof)
	}
	c := &conn{proof: unproved}
	c.happen(client, eventFIN)
	require.Equal(t, unproved, c.proof, "the client's end says nothing of the upstream")
}

func TestShareOfAPool(t *testing.T) {
	for count := 1; count < 20; count++ {
		for loops := 1; loops < 8; loops++ {
			sum := 0
			for i := range loops {
				n := (&Warm{Count: count}).share(i, loops)
				require.Positive(t, n)
				sum += n
			}
			require.Equal(t, max(count, loops), sum)
		}
	}
}

func TestRestsGrow(t *testing.T) {
	last := time.Duration(0)
	for strikes := 1; strikes < 12; strikes++ {
		longest, shortest := restFor(strikes, 0), restFor(strikes, 1)
		require.Equal(t, longest/2, shortest)
		require.GreaterOrEqual(t, longest, last)
		last = longest
	}
	require.Equal(t, restMin, restFor(1, 0))
	require.Equal(t, restMax, last)
}

// A connection may be taken before anybody looks at it.
func TestPortableWarmIsTakenAtOnce(t *testing.T) {
	ln := listenAt(t, loopback4)
	c, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	p := &portablePool{Warm: &Warm{MaxIdle: time.Hour}, wake: make(chan struct{}, 1)}
	w := p.newWarm(&Endpoint{}, c.(*net.TCPConn))
	taken, watched := make(chan struct{}), make(chan struct{})
	go func() { w.unwatch(); close(taken) }()
	<-w.taken
	_, err = c.Read(make([]byte, 1)) // waits until the deadline is set
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	go func() { p.watch(w); close(watched) }()
	for _, end := range []chan struct{}{watched, taken} {
		select {
		case <-end:
		case <-time.After(patience):
			t.Fatal("hangs")
		}
	}
}
