package relay

import (
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// scriptedEnd stands for an engine whose upstream has what the test says it has.
type scriptedEnd struct {
	transport
	shut, lostClient bool
	hungUp           []side
}

func (s *scriptedEnd) windowShut(_ *conn, at side) bool         { return at == upstream && s.shut }
func (s *scriptedEnd) lost(*conn, side) bool                    { return s.lostClient }
func (s *scriptedEnd) acked(*conn, side) bool                   { return true }
func (s *scriptedEnd) unread(*conn, side) bool                  { return false }
func (s *scriptedEnd) acknowledged(*conn, side) acknowledgement { return acknowledgement{} }
func (s *scriptedEnd) release(h *half)                          { h.hold = nil }
func (s *scriptedEnd) localAddr(int32) netip.AddrPort           { return netip.AddrPort{} }
func (s *scriptedEnd) hangUp(_ *conn, end side, _ bool)         { s.hungUp = append(s.hungUp, end) }
func (s *scriptedEnd) keepalive(*conn, side)                    {}
func (s *scriptedEnd) attend(*conn) int64                       { return 0 }
func (s *scriptedEnd) queued(*conn, side) int64                 { return 0 }
func (s *scriptedEnd) giveUp(*conn)                             {}
func (s *scriptedEnd) later(time.Duration, func())              {}

// ender notes why connections end.
type ender struct {
	Handler
	reasons []Reason
}

func (e *ender) Closed(s *Summary) { e.reasons = append(e.reasons, s.Reason) }

// abandonedConn is a connection of a core of its own whose client has reset it while bytes are held for the upstream, which took
// some a moment ago and then has no room.
func abandonedConn(t *testing.T) (*core, *conn, *scriptedEnd, *ender) {
	t.Helper()
	io, ended := &scriptedEnd{}, &ender{}
	l := &core{now: 1, shared: &shared{base: time.Now()}, io: io, opts: &Options{Handler: ended}}
	l.opts.setDefaults()
	c := l.conns.get()
	c.phase, c.late = phaseRelaying, true
	c.flow.Endpoint = &Endpoint{}
	c.ends[client].fd, c.ends[upstream].fd = 3, 4
	c.opened, c.active = l.now, l.now
	c.halves[client].bytes = 1
	l.keep(c, client, []byte("held"))
	c.happen(client, eventReset)
	c.because(ClientReset)
	require.True(t, c.abandoned())
	require.True(t, l.settle(c), "it goes on")
	return l, c, io, ended
}

// passes has time pass and lets the timers go off. It returns how many did.
func (l *core) passes(d time.Duration) (fired int) {
	l.now += int64(d)
	l.timers.advance(l.now, func(slot uint32) {
		fired++
		l.expire(slot)
	})
	return fired
}

// A client's reset ended the connection at once if the upstream had acknowledged all that it was sent, although it was about to take
// more: the event that says so came in the next turn, and what the client had sent before was lost.
func TestAnUpstreamThatReadsGetsWhatItsClientSentBeforeItReset(t *testing.T) {
	l, c, io, ended := abandonedConn(t)
	for range 100 { // all is acknowledged, and its window is open
		require.Equal(t, 1, l.passes(lingerStep+wheelTick), "it is looked at again soon")
		require.Empty(t, ended.reasons, "after %v", nanos(l.now))
	}

	// The event comes: the upstream takes what is held, and only then sees the reset.
	c.ends[upstream].wr = true
	l.io.release(&c.halves[client])
	require.False(t, l.settle(c))
	require.Equal(t, []Reason{ClientReset}, ended.reasons)
	require.ElementsMatch(t, []side{client, upstream}, io.hungUp)
}

// As long as the upstream takes bytes, the time that it has begins anew.
func TestEachByteTakenGivesAnAbandonedConnectionTime(t *testing.T) {
	l, c, _, ended := abandonedConn(t)
	for range 5 {
		l.passes(lingerMax - 1)
		require.Empty(t, ended.reasons)
		c.active = l.now
	}
	l.passes(lingerMax)
	require.Equal(t, []Reason{ClientReset}, ended.reasons, "it has taken nothing for so long")
}

// An upstream that does not read, or has reset as well, gets nothing any more: the connection ends with the next look.
func TestAnAbandonedConnectionEndsWhereNobodyReads(t *testing.T) {
	for name, c := range map[string]struct {
		change func(*conn, *scriptedEnd)
		reason Reason
	}{
		"the window is shut":                        {func(_ *conn, io *scriptedEnd) { io.shut = true }, ClientReset},
		"the upstream has reset":                    {func(c *conn, _ *scriptedEnd) { c.ends[upstream].reset = true }, ClientReset},
		"the client did not reset, but is lost":     {func(c *conn, io *scriptedEnd) { io.shut, io.lostClient, c.failed, c.reason = true, true, true, None }, ClientLost},
		"its socket failed before its end was read": {func(c *conn, io *scriptedEnd) { io.shut, c.failed, c.halves[client].state = true, true, halfOpen }, ClientReset},
	} {
		t.Run(name, func(t *testing.T) {
			l, conn, io, ended := abandonedConn(t)
			c.change(conn, io)
			l.passes(lingerStep + wheelTick)
			require.Equal(t, []Reason{c.reason}, ended.reasons)
			require.ElementsMatch(t, []side{client, upstream}, io.hungUp)
		})
	}
}
