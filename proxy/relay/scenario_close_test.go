package relay

import (
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
)

var closeScenarios = []scenario{
	{"half-close by client", "the client sends its request and a FIN, then the upstream answers at length", true, halfCloseByClient},
	{"half-close by upstream", "the upstream ends its direction, and the client uploads on", true, halfCloseByUpstream},
	{"FIN without data", "the client ends its direction without a byte, and reads what the upstream has to say", true, finWithoutData},
	{"FIN behind bulk", "a FIN right behind 3 MiB that the upstream reads late does not overtake them", false, finBehindBulk},
	{"FIN before connect", "a few bytes and a FIN arrive while the first address does not answer: both reach the next one", true, finBeforeConnect},
	{"FIN before connect, bulk", "the same with more than fits into a buffer", false, finBeforeConnectBulk},
	{"bare FIN before connect", "the same without a byte: connect anyway, and pass the FIN on", false, bareFINBeforeConnect},
	{"FIN before a late connect", "the upstream's queue is full until after the client's FIN", false, finBeforeLateConnect},
	{"simultaneous close", "both sides end in the same instant, a hundred times", true, simultaneousClose},
	{"probe", "a connection without a byte, closed by the client, is a probe", true, probe},
	{"probe by reset", "a connection without a byte, reset by the client, is a probe", false, probeByReset},
	{"upstream hangs up", "the upstream closes a connection on which nothing was said", false, upstreamHangsUp},
}

func halfCloseByClient(r *rig) {
	c, u := r.pair()
	c.send("request")
	c.fin()
	u.want("request")
	u.wantEnd(sawFIN)
	r.all(func() { u.sendStream(1, 3*mib); u.Close() }, func() { c.wantStream(1, 3*mib) })
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 7, 3*mib)
}

func halfCloseByUpstream(r *rig) {
	c, u := r.pair()
	u.send("go on")
	u.fin()
	c.want("go on")
	c.wantEnd(sawFIN)
	r.all(func() { c.sendStream(1, 3*mib); c.fin() }, func() { u.wantStream(1, 3*mib) })
	u.wantEnd(sawFIN)
	r.closed(UpstreamClosed, 3*mib, 5)
}

func finWithoutData(r *rig) {
	c, u := r.pair()
	c.fin()
	u.wantEnd(sawFIN)
	u.send("nobody asked")
	u.Close()
	c.want("nobody asked")
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 0, 12)
}

func finBehindBulk(r *rig) {
	r.slowOrigin()
	c, u := r.pair()
	var sent atomic.Bool
	r.all(
		func() { c.sendStream(1, 3*mib); c.fin(); sent.Store(true) },
		func() {
			eventually(r, "the FIN, or buffers that are full up to the client's", func() bool { return sent.Load() || c.unacked() > 0 })
			u.wantStream(1, 3*mib)
			u.wantEnd(sawFIN)
			u.Close()
		},
	)
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 3*mib, 0)
}

// lateConnect lets the first address not answer for 200 ms.
func lateConnect(r *rig) {
	dead, _ := blackhole(r, r.at)
	late := r.endpoint(dead)
	late.Timeout = 200 * time.Millisecond
	r.policy.endpoints = []*Endpoint{late, r.policy.endpoints[0]}
}

// askAndEnd is a client that sends few bytes and its FIN before it is connected, and gets an answer.
func askAndEnd(r *rig) {
	r.Helper()
	c := r.dial()
	c.send("few")
	c.fin()
	u := r.accept()
	u.want("few")
	u.wantEnd(sawFIN)
	u.send("answer")
	u.Close()
	c.want("answer")
	c.wantEnd(sawFIN)
}

func finBeforeConnect(r *rig) {
	lateConnect(r)
	askAndEnd(r)
	e := r.closed(ClientClosed, 3, 6)
	require.Equal(r, []Reason{ConnectTimeout, None}, e.Log.dialed)
}

func finBeforeConnectBulk(r *rig) {
	lateConnect(r)
	c := r.dial()
	r.all(
		func() { c.sendStream(1, mib); c.fin() },
		func() {
			u := r.accept()
			u.wantStream(1, mib)
			u.wantEnd(sawFIN)
			u.Close()
		},
	)
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, mib, 0)
}

func bareFINBeforeConnect(r *rig) {
	lateConnect(r)
	c := r.dial()
	c.fin()
	u := r.accept()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	e := r.closed(Probe, 0, 0)
	require.Equal(r, 2, e.Attempts)
}

func finBeforeLateConnect(r *rig) {
	at, open := blackhole(r, r.at)
	r.policy.endpoints = []*Endpoint{{Addr: at, Timeout: patience}}
	c := r.dial()
	c.send("few")
	c.fin()
	c.settle()
	ln := open()
	u := acceptFrom(r, ln)
	u.want("few")
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	e := r.closed(ClientClosed, 3, 0)
	require.Equal(r, 1, e.Attempts)
}

func simultaneousClose(r *rig) {
	for range 100 {
		c, u := r.pair()
		c.send("a")
		u.want("a")
		r.all(c.fin, u.fin)
		c.wantEnd(sawFIN)
		u.wantEnd(sawFIN)
		r.closedBy([]Reason{ClientClosed, UpstreamClosed}, 1, 0)
	}
}

func probe(r *rig) {
	c, u := r.pair()
	c.Close()
	u.wantEnd(sawFIN)
	u.Close()
	r.closed(Probe, 0, 0)
}

func probeByReset(r *rig) {
	c, u := r.pair()
	c.reset()
	u.wantEnd(sawRST)
	r.closed(Probe, 0, 0)
}

func upstreamHangsUp(r *rig) {
	c, u := r.pair()
	u.Close()
	c.wantEnd(sawFIN)
	c.Close()
	r.closed(UpstreamClosed, 0, 0)
}
