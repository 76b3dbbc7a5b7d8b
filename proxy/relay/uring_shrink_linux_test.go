package relay

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// TestBuffersAreGivenBack: what many messages at once took is given back once they are over, and receives that stay
// go on with what is left.
func TestBuffersAreGivenBack(t *testing.T) {
	before := calmAfter
	t.Cleanup(func() { calmAfter = before })
	calmAfter = 30 * time.Millisecond
	var loop *uringLoop
	prepareRing(t, func(l *uringLoop) { loop = l })
	r := newRig(t, "uring", loopback4)
	r.opts.Loops = 1
	given := func() int {
		n := make(chan int, 1)
		require.True(t, loop.mail.post(func() { n <- loop.in.Given() }))
		return <-n
	}

	type pair struct{ c, u *peer }
	var all []pair
	for range 100 {
		c, u := r.pair()
		all = append(all, pair{c, u})
	}
	exchange := func() {
		for _, p := range all {
			p.c.send("hello")
		}
		for _, p := range all {
			p.u.want("hello")
			p.u.send("answer")
		}
		for _, p := range all {
			p.c.want("answer")
		}
	}
	for range 2 * steady {
		exchange()
	}
	for round := range 3 {
		require.Eventually(t, func() bool { // messages that meet in one turn are a matter of luck
			loop.mail.post(func() { time.Sleep(20 * time.Millisecond) })
			exchange()
			return given() > ringSize.first
		}, patience, time.Millisecond, "round %d", round)
		eventually(t, "the buffers' return", func() bool { return given() == ringSize.first })
	}
	exchange()
	for _, p := range all {
		p.c.reset()
		p.u.wantGone()
	}
}
