package relay

import (
	"strings"
	"time"

	"github.com/stretchr/testify/require"
)

// Connections from a pool that prove dead, or seem to.

// warmDead has the origin end a connection from the pool instead of answering.
func warmDead(r *rig, end func(*peer)) {
	k := r.warmed(1)
	c, u, _ := r.used(1)
	c.send("hel")
	u.want("hel")
	c.send("lo")
	u.want("lo")
	fresh := r.accept() // what the pool has made in place of the one that was taken
	defer fresh.Close()
	end(u)
	again := r.accept()
	again.want("hello")
	c.send(" again")
	again.want(" again")
	again.send("answer")
	c.want("answer")
	again.fin()
	c.wantEnd(sawFIN)
	c.Close()
	e := r.closed(UpstreamClosed, 11, 6)
	require.True(r, e.Flow.Stale)
	require.False(r, e.Flow.Warm)
	require.Equal(r, 2, e.Attempts)
	require.Equal(r, 1, k.got(func() int { return k.stale }))
	u.Close()
}

func warmDeadFIN(r *rig) {
	r.warmed(1)
	c, u, _ := r.used(1)
	c.send("hello")
	c.fin()
	u.want("hello")
	u.wantEnd(sawFIN)
	r.accept()
	u.reset()
	again := r.accept()
	again.want("hello")
	again.wantEnd(sawFIN)
	again.send("answer")
	again.Close()
	c.want("answer")
	c.wantEnd(sawFIN)
	r.closed(ClientClosed, 5, 6)
}

func warmDeadHeader(r *rig) {
	heads(r, "HEAD")
	r.warmed(1)
	c, u, _ := r.used(1)
	u.want("HEAD")
	r.accept()
	u.reset() // before the client has said anything
	again := r.accept()
	again.want("HEAD")
	c.send("hello")
	again.want("hello")
	again.fin()
	c.wantEnd(sawFIN)
	c.Close()
	r.closed(UpstreamClosed, 5, 0)
}

func warmDeadTwice(r *rig) {
	k := r.warmed(1)
	c, u, _ := r.used(1)
	c.send("hello")
	u.want("hello")
	r.accept()
	u.reset()
	again := r.accept()
	again.want("hello")
	again.reset()
	c.wantEnd(sawRST)
	r.closed(UpstreamReset, 5, 0)
	require.Equal(r, 1, k.got(func() int { return k.stale }))
}

func warmDeadRefused(r *rig) {
	k := r.warmed(1)
	c, u, rest := r.used(1)
	c.send("hello")
	u.want("hello")
	r.accept()
	k.isReady(r, r.loops())
	r.origin.Close()
	for _, w := range rest {
		w.Close()
	}
	u.reset()
	c.wantEnd(sawRST)
	e := r.closed(ConnectRefused, 0, 0)
	require.Equal(r, 2, e.Attempts)
}

func warmDeadLate(r *rig) {
	k := r.warmed(1)
	c, u, _ := r.used(1)
	c.sendStream(1, maxReplay+1)
	u.wantStream(1, maxReplay+1)
	u.reset()
	c.wantEnd(sawRST)
	r.closed(UpstreamReset, maxReplay+1, 0)
	require.Zero(r, k.got(func() int { return k.stale }))
}

func warmDeadAnswered(r *rig) {
	k := r.warmed(1)
	c, u, _ := r.used(1)
	c.send("hello")
	u.want("hello")
	u.send("a")
	c.want("a")
	u.reset()
	c.wantEnd(sawRST)
	r.closed(UpstreamReset, 5, 1)
	require.Zero(r, k.got(func() int { return k.stale }))
}

// The origin answers and resets while the client's next bytes are on their way to it.
func warmDeadUnread(r *rig) {
	k := r.warmed(1)
	c, u, _ := r.used(1)
	c.send("hello")
	u.want("hello")
	u.send("no")
	c.send("more")
	u.reset()
	c.want("no")
	c.wantEnd(sawRST)
	require.Equal(r, UpstreamReset, r.policy.take(r).Reason)
	require.Zero(r, k.got(func() int { return k.stale }))
}

// What reads to the end and never answers may end its own direction at once.
func warmEndedLate(r *rig) {
	r.warmed(1)
	c, u, _ := r.used(1)
	c.sendStream(1, maxReplay+1)
	u.wantStream(1, maxReplay+1)
	u.fin()
	c.wantEnd(sawFIN)
	c.send("rest")
	u.want("rest")
	c.fin()
	u.wantEnd(sawFIN)
	r.closed(UpstreamClosed, maxReplay+5, 0)
}

func warmDeadClientReset(r *rig) {
	r.warmed(1)
	c, u, _ := r.used(1)
	c.send("hello")
	u.want("hello")
	c.reset()
	u.wantEnd(sawRST)
	r.closed(ClientReset, 5, 0)
}

// The origin takes little and reads nothing; more is held than it took. It dies then.
func warmDeadHeld(r *rig) {
	r.slowOrigin()
	r.warmed(1)
	c, u, _ := r.used(1)
	text := strings.Repeat("0123456789abcdef", maxReplay/16)
	for i := 0; i < maxReplay; i += 1 << 10 {
		c.send(text[i : i+1<<10])
		time.Sleep(2 * time.Millisecond)
	}
	r.accept()
	u.reset()
	again := r.accept()
	again.want(text)
	again.send("answer")
	c.want("answer")
	c.reset()
	again.wantGone()
	r.closed(ClientReset, maxReplay, 6)
}
