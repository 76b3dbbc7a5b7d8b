package relay

import (
	"bytes"
	"time"

	"github.com/stretchr/testify/require"
)

var prefaceScenarios = []scenario{
	{"preface byte by byte", "the policy is shown all bytes so far, each time; some are skipped, the rest goes first", true, prefaceByteByByte},
	{"preface with payload", "preface and payload in one segment, then more payload", true, prefaceWithPayload},
	{"preface, then FIN at once", "preface, payload and FIN arrive together: nothing is lost", false, prefaceThenFIN},
	{"preface of the full size", "a verdict at the last possible byte, with bulk behind it", false, prefaceFull},
	{"preface too long", "no verdict within MaxPreface", false, prefaceTooLong},
	{"preface refused", "the policy refuses after a look at the bytes", true, prefaceRefused},
	{"preface timeout", "a client that says too little for too long", false, prefaceTimeout},
	{"preface silent", "a client that says nothing for too long", false, prefaceSilent},
	{"preface cut short", "the client's FIN comes before the preface is complete", false, prefaceCutShort},
	{"preface reset", "the client resets before the preface is complete", false, prefaceReset},
	{"preface of a health check", "what the policy takes for a probe is one: ended by FIN, by reset or by time, in order and without a dial", false, prefaceHealthCheck},
	{"preface named by the policy", "the policy says what a connection was that the client cut short, or left", false, prefaceNamed},
	{"preface probe", "a health check connects and closes: nothing is dialed", true, prefaceProbe},
	{"preface all skipped", "nothing remains after the skipped bytes; the connection goes on", false, prefaceAllSkipped},
	{"first byte awaited", "the dial waits for the client's first byte, which goes first", true, awaitedByte},
	{"first byte awaited in vain", "a client that waits for the upstream's first byte gets it after a while, and what it sends then", true, awaitedInVain},
	{"first byte awaited of a health check", "a client that leaves without a byte is a probe: nothing is dialed", true, awaitedProbe},
	{"ended during preface", "closeAll ends a connection that has not said enough", false, endedDuringPreface},
}

// wantsPreface makes the policy wait for "END;" and skip what v says. It returns how the policy was asked: all that it
// was shown.
func wantsPreface(r *rig, v Verdict) (shown *[]string) {
	r.policy.wants = func(*Flow) bool { return true }
	shown = new([]string)
	r.policy.preface = func(_ *Flow, b []byte) Verdict {
		r.policy.mu.Lock()
		*shown = append(*shown, string(b))
		r.policy.mu.Unlock()
		if !bytes.Contains(b, []byte("END;")) {
			return Verdict{More: true, Refuse: Internal, Skip: 1 << 20} // only More counts
		}
		return v
	}
	return shown
}

func (r *rig) shown(s *[]string) []string {
	r.policy.mu.Lock()
	defer r.policy.mu.Unlock()
	return append([]string(nil), *s...)
}

// awaits makes the policy await the client's first byte.
func awaits(r *rig, d time.Duration) {
	r.policy.accepted = func(f *Flow) Reason { f.Await = uint16(d.Milliseconds()); return None }
	r.policy.preface = func(*Flow, []byte) Verdict { panic("the policy wants no preface") }
}

func awaitedByte(r *rig) {
	awaits(r, time.Minute)
	c := r.dial()
	eventually(r, "the client is accepted", func() bool { return r.relay.Stats().Active == 1 })
	require.Zero(r, r.attempts())
	c.send("first")
	u := r.accept()
	u.want("first")
	c.send(" then")
	u.want(" then")
	u.send("answer")
	c.want("answer")
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, len("first then"), 6)
}

func awaitedInVain(r *rig) {
	awaits(r, 20*time.Millisecond)
	c := r.dial()
	u := r.accept()
	u.send("hello")
	c.want("hello")
	c.send("and hello")
	u.want("and hello")
	u.Close()
	c.wantEnd(sawFIN)
	c.Close()
	r.closed(UpstreamClosed, 9, 5)
}

func awaitedProbe(r *rig) {
	awaits(r, time.Minute)
	for _, leave := range []func(*peer){func(c *peer) { c.Close() }, func(c *peer) { c.reset() }} {
		leave(r.dial())
		e := r.closed(Probe, 0, 0)
		require.Zero(r, e.Attempts)
	}
}

func prefaceByteByByte(r *rig) {
	shown := wantsPreface(r, Verdict{Skip: 4})
	c := r.dial()
	const text = "SKIPthe END;"
	for i := range text {
		c.send(text[i : i+1])
		eventually(r, "a look at the byte", func() bool { return len(r.shown(shown)) == i+1 })
	}
	for i, s := range r.shown(shown) {
		require.Equal(r, text[:i+1], s)
	}
	u := r.accept()
	c.send(" and on")
	u.want("the END; and on")
	u.send("answer")
	c.want("answer")
	c.fin()
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, len("the END; and on"), 6)
	require.Len(r, r.shown(shown), len(text), "not asked again")
}

func prefaceWithPayload(r *rig) {
	wantsPreface(r, Verdict{Skip: 8})
	c := r.dial()
	c.send("HDR:END;payload")
	u := r.accept()
	u.want("payload")
	r.all(func() { c.sendStream(1, 2*mib); c.fin() }, func() { u.wantStream(1, 2*mib) })
	u.wantEnd(sawFIN)
	u.Close()
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 7+2*mib, 0)
}

func prefaceThenFIN(r *rig) {
	lateConnect(r)
	wantsPreface(r, Verdict{Skip: 8})
	c := r.dial()
	c.send("HDR:END;payload")
	c.fin()
	u := r.accept()
	u.want("payload")
	u.wantEnd(sawFIN)
	u.send("answer")
	u.Close()
	c.want("answer")
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 7, 6)
}

func prefaceFull(r *rig) {
	wantsPreface(r, Verdict{})
	c := r.dial()
	pad := string(bytes.Repeat([]byte("x"), MaxPreface-4))
	r.all(
		func() { c.send(pad + "END;"); c.sendStream(1, mib); c.fin() },
		func() {
			u := r.accept()
			u.want(pad + "END;")
			u.wantStream(1, mib)
			u.wantEnd(sawFIN)
			u.Close()
		},
	)
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, MaxPreface+mib, 0)
}

func prefaceTooLong(r *rig) {
	shown := wantsPreface(r, Verdict{})
	c := r.dial()
	c.send(string(make([]byte, MaxPreface)))
	c.wantEnd(sawRST)
	r.closed(HelloBad, 0, 0)
	all := r.shown(shown)
	require.Len(r, all[len(all)-1], MaxPreface, "the most that the policy is shown")
}

func prefaceRefused(r *rig) {
	wantsPreface(r, Verdict{Refuse: SNIUnlisted})
	c := r.dial()
	c.send("END;")
	c.wantEnd(sawRST)
	require.Zero(r, r.closed(SNIUnlisted, 0, 0).Attempts)
}

func prefaceTimeout(r *rig) {
	wantsPreface(r, Verdict{})
	r.opts.PrefaceTimeout = 200 * time.Millisecond
	c := r.dial()
	c.send("too little")
	c.wantEnd(sawRST)
	e := r.closed(PrefaceTimeout, 0, 0)
	require.GreaterOrEqual(r, e.Duration, 190*time.Millisecond)
	require.Less(r, e.Duration, 3*time.Second)
}

func prefaceSilent(r *rig) {
	shown := wantsPreface(r, Verdict{})
	r.opts.PrefaceTimeout = 200 * time.Millisecond
	c := r.dial()
	c.wantGone()
	r.closed(PrefaceTimeout, 0, 0)
	require.Empty(r, r.shown(shown))
}

func prefaceCutShort(r *rig) {
	wantsPreface(r, Verdict{})
	c := r.dial()
	c.send("too little")
	c.fin()
	c.wantGone()
	r.closed(HelloBad, 0, 0)
}

func prefaceProbe(r *rig) {
	wantsPreface(r, Verdict{})
	c := r.dial()
	c.fin()
	c.wantGone()
	require.Zero(r, r.closed(Probe, 0, 0).Attempts)
	c = r.dial()
	c.reset()
	require.Zero(r, r.closed(Probe, 0, 0).Attempts)
}

func prefaceAllSkipped(r *rig) {
	wantsPreface(r, Verdict{Skip: 4})
	c := r.dial()
	c.send("END;")
	u := r.accept()
	u.send("welcome")
	c.want("welcome")
	c.send("thanks")
	u.want("thanks")
	u.Close()
	c.wantEnd(sawFIN)
	c.Close()
	r.closed(UpstreamClosed, 6, 7)
}

func endedDuringPreface(r *rig) {
	shown := wantsPreface(r, Verdict{})
	c := r.dial()
	c.send("x")
	eventually(r, "a look at the byte", func() bool { return len(r.shown(shown)) == 1 })
	r.relay.eng.closeAll(Operator)
	c.wantGone()
	require.Zero(r, r.closed(Operator, 0, 0).Attempts)
}

func prefaceReset(r *rig) {
	shown := wantsPreface(r, Verdict{})
	c := r.dial()
	c.send("too little")
	eventually(r, "a look at the bytes", func() bool { return len(r.shown(shown)) == 1 })
	c.reset()
	require.Zero(r, r.closed(ClientReset, 0, 0).Attempts)
}

// says has the policy wait for ever, with that verdict.
func says(r *rig, v Verdict) (shown *[]string) {
	shown = wantsPreface(r, v)
	ask := r.policy.preface
	r.policy.preface = func(f *Flow, b []byte) Verdict {
		ask(f, b)
		return v
	}
	return shown
}

func prefaceHealthCheck(r *rig) {
	r.opts.PrefaceTimeout = 300 * time.Millisecond
	shown := says(r, Verdict{More: true, Closed: Probe, Expired: Probe})
	for i, end := range []func(*peer){(*peer).fin, (*peer).reset, func(*peer) {}} {
		c := r.dial()
		c.send("LOCAL")
		eventually(r, "a look at the bytes", func() bool { return len(r.shown(shown)) == i+1 })
		end(c)
		if i != 1 {
			c.wantEnd(sawFIN)
		}
		require.Zero(r, r.closed(Probe, 0, 0).Attempts)
	}
}

func prefaceNamed(r *rig) {
	r.opts.PrefaceTimeout = time.Second
	says(r, Verdict{More: true, Closed: ProxyHeaderBad, Expired: ProxyHeaderMissing})
	c := r.dial()
	c.send("PRO")
	c.fin()
	c.wantEnd(sawRST)
	r.closed(ProxyHeaderBad, 0, 0)
	c = r.dial()
	c.send("PRO")
	c.wantEnd(sawRST)
	r.closed(ProxyHeaderMissing, 0, 0)
}
