package relay

import (
	"github.com/stretchr/testify/require"
)

// Connect and hang-up in one instant: the relay may learn of both by the same event.
var instantScenarios = []scenario{
	{"accept and FIN", "the upstream accepts and closes at once", false, instantly("", false)},
	{"accept, data and FIN", "the same with a few words before", true, instantly("so long", false)},
	{"accept and RST", "the upstream accepts and resets at once", false, instantly("", true)},
	{"accept, data and RST", "the same with a few words before", true, instantly("so long", true)},
	{"RST before the client's words", "the same with words of the client on their way: it is no end in order", true, resetBeforeWords},
	{"client hangs up at once", "the client sends, ends and is read by an upstream that does the same", false, clientAndUpstreamAtOnce},
}

func instantly(words string, reset bool) func(r *rig) {
	return func(r *rig) {
		for range 50 {
			r.all(
				func() {
					u := r.accept()
					u.send(words)
					if reset {
						u.SetLinger(0)
					}
					u.Close()
				},
				func() { instantClient(r, words, reset) },
			)
		}
	}
}

func instantClient(r *rig, words string, reset bool) {
	c := r.dial()
	got, end := c.rest()
	if !reset {
		require.Equal(r, words, string(got))
		require.Equal(r, sawFIN, end)
		c.Close()
		r.closed(UpstreamClosed, 0, len(words))
		return
	}
	require.Equal(r, sawRST, end)
	// A connect that failed by reset in its last step is an attempt that failed: nothing of it was read.
	e := r.closedBy([]Reason{UpstreamReset, ConnectRefused}, 0, len(got))
	if e.Connected {
		require.Equal(r, UpstreamReset, e.Reason)
		require.Equal(r, words, string(got))
		return
	}
	require.Empty(r, got)
}

func resetBeforeWords(r *rig) {
	for range 50 {
		r.all(
			func() {
				u := r.accept()
				u.SetLinger(0)
				u.Close()
			},
			func() {
				c := r.dial()
				if _, err := c.Write([]byte("hello")); err == nil { // else it was reset already
					_, end := c.rest()
					require.Equal(r, sawRST, end)
				}
				r.closedBy([]Reason{UpstreamReset, ConnectRefused}, -1, 0)
			},
		)
	}
}

func clientAndUpstreamAtOnce(r *rig) {
	for range 50 {
		c := r.dial()
		c.send("hi")
		c.fin()
		u := r.accept()
		u.send("ho")
		u.fin()
		c.want("ho")
		u.want("hi")
		c.wantEnd(sawFIN)
		u.wantEnd(sawFIN)
		r.closedBy([]Reason{ClientClosed, UpstreamClosed}, 2, 2)
	}
}
