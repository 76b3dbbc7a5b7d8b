package relay

import (
	"net/netip"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/stretchr/testify/require"
)

var headerScenarios = []scenario{
	{"header first", "the upstream gets the endpoint's header before the client's bytes; it counts as none of them", true, headerFirst},
	{"header for a silent client", "the upstream gets the header at once, whoever speaks first", false, headerForSilent},
	{"header behind a preface", "header, then what the client sent before the upstream was connected, then the rest", false, headerBehindPreface},
	{"header of the full size", "the largest header there may be, with bulk behind it", false, headerFull},
	{"header on each attempt", "only an attempt that connects is sent the header, and the one for it", false, headerOnEachAttempt},
	{"header, client's FIN at once", "the client ends its direction before the upstream is connected: header, bytes, FIN", false, headerThenFIN},
	{"header refused", "the upstream resets in the instant of connecting", false, headerRefused},
	{"no header after all", "a header of no bytes is none", false, headerEmpty},
}

// heads gives the endpoint of the origin a header. It returns the address that the policy was told the client connected to.
func heads(r *rig, text string) (to *atomic.Pointer[netip.AddrPort]) {
	to = new(atomic.Pointer[netip.AddrPort])
	r.policy.endpoints[0].Header = func(f *Flow, at netip.AddrPort, b []byte) []byte {
		if len(b) != 0 || f.Endpoint == nil {
			r.Errorf("asked for a header behind %q, endpoint %v", b, f.Endpoint)
		}
		to.Store(&at)
		return append(b, text...)
	}
	return to
}

func headerFirst(r *rig) {
	to := heads(r, "HEAD")
	c, u := r.pair()
	c.send("hello")
	u.want("HEADhello")
	u.send("answer")
	c.want("answer")
	require.Equal(r, r.addr(), *to.Load())
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 5, 6)
	require.EqualValues(r, 5, r.tally.Sum().Up)
}

func headerForSilent(r *rig) {
	heads(r, "HEAD")
	c, u := r.pair()
	u.want("HEAD")
	u.send("welcome")
	c.want("welcome")
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	r.closed(ClientClosed, 0, 7)
}

func headerBehindPreface(r *rig) {
	heads(r, "HEAD")
	wantsPreface(r, Verdict{Skip: 4})
	lateConnect(r)
	c := r.dial()
	c.send("SKIPthe END;")
	u := r.accept()
	u.want("HEADthe END;")
	r.all(func() { c.sendStream(3, mib); c.fin() }, func() { u.wantStream(3, mib) })
	u.wantEnd(sawFIN)
	u.Close()
	r.closed(ClientClosed, 8+mib, 0)
}

func headerFull(r *rig) {
	head := strings.Repeat("h", MaxHeader)
	heads(r, head)
	c, u := r.pair()
	r.all(func() { c.sendStream(4, 2*mib); c.fin() }, func() { u.want(head); u.wantStream(4, 2*mib) })
	u.wantEnd(sawFIN)
	u.Close()
	r.closed(ClientClosed, 2*mib, 0)
}

func headerOnEachAttempt(r *rig) {
	heads(r, "HEAD")
	dead := r.endpoint(refusing(r, r.at))
	dead.Header = func(*Flow, netip.AddrPort, []byte) []byte {
		r.Error("asked for the header of an attempt that failed")
		return nil
	}
	r.policy.endpoints = slices.Insert(r.policy.endpoints, 0, dead)
	c, u := r.pair()
	c.send("hello")
	u.want("HEADhello")
	c.Close()
	u.wantEnd(sawFIN)
	u.Close()
	require.Equal(r, 2, r.closed(ClientClosed, 5, 0).Attempts)
}

func headerThenFIN(r *rig) {
	heads(r, "HEAD")
	lateConnect(r)
	c := r.dial()
	c.send("hello")
	c.fin()
	u := r.accept()
	u.want("HEADhello")
	u.wantEnd(sawFIN)
	u.send("answer")
	u.Close()
	c.want("answer")
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 5, 6)
}

func headerRefused(r *rig) {
	heads(r, strings.Repeat("h", MaxHeader))
	for range 20 {
		c := r.dial()
		r.accept().reset()
		c.wantGone()
		e := r.closedBy([]Reason{UpstreamReset, UpstreamClosed, ConnectRefused}, -1, 0)
		require.Less(r, e.Duration, 5*time.Second)
	}
}

func headerEmpty(r *rig) {
	heads(r, "")
	c, u := r.pair()
	c.send("hello")
	u.want("hello")
	c.Close()
	u.wantEnd(sawFIN)
	u.Close()
	r.closed(ClientClosed, 5, 0)
}
