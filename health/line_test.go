package health

import (
	"io"
	"net"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// lined returns places in line, as Bounded makes them, without a listener.
func lined(most int) *places {
	return &places{most: most, share: most, line: true, left: make(chan struct{}, 1)}
}

// An answer that took longer than a second lost its place to the next caller in a crowd: a stream of the status page, or a listing.
func TestAnAnswerKeepsItsPlace(t *testing.T) {
	p := lined(1)
	reader, next := caller(p, "127.0.0.1"), caller(p, "127.0.0.1")
	_, ok := p.enter(reader, false)
	require.True(t, ok)
	reader.become(answering)
	reader.since.Add(-int64(2 * slowReader))
	_, ok = p.enter(next, false)
	require.False(t, ok, "it reads what it gets")

	reader.write.Store(stamp(time.Now().Add(-2 * slowReader)))
	p.moved = time.Now()
	_, ok = p.enter(next, false)
	require.False(t, ok, "it reads slowly, and a crowd moves on: the machine is busy")

	p.moved = time.Now().Add(-2 * slowReader)
	out, ok := p.enter(next, false)
	require.True(t, ok, "it does not read, and nobody moves")
	require.Same(t, reader, out)
}

// Where every place has a long answer, the others are not shut out for ever.
func TestALongAnswerYieldsToALineThatStands(t *testing.T) {
	p := lined(1)
	long, next := caller(p, "127.0.0.1"), caller(p, "127.0.0.1")
	_, ok := p.enter(long, false)
	require.True(t, ok)
	long.become(answering)
	_, ok = p.enter(next, true)
	require.False(t, ok, "it has only begun")
	long.since.Add(-int64(stuckLine))
	_, ok = p.enter(next, false)
	require.False(t, ok, "nobody has waited for long")
	out, ok := p.enter(next, true)
	require.True(t, ok)
	require.Same(t, long, out)
}

// A caller whose request waits at the socket was taken for a silent one, and closed, while the server was busy.
func TestARequestThatWaitsAtTheSocketIsNoSilence(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer ln.Close()
	p := lined(2)
	seated := func(text string) *conn {
		out := dialFrom(t, "127.0.0.1", ln.Addr().String())
		_, err := io.WriteString(out, text)
		require.NoError(t, err)
		raw, err := ln.Accept()
		require.NoError(t, err)
		t.Cleanup(func() { raw.Close() })
		c := newConn(raw, sourceOf(raw), p.leave)
		c.header = nil
		_, ok := p.enter(c, false)
		require.True(t, ok)
		return c
	}
	asked := seated("GET / HTTP/1.1\r\n")
	if asked.at() == silent {
		t.Skip("what waits at a socket is not known here")
	}
	mute := seated("")
	out, ok := p.enter(caller(p, "127.0.0.1"), false)
	require.True(t, ok)
	require.Same(t, mute, out, "the oldest one has asked")

	_, err = asked.Read(make([]byte, 64))
	require.NoError(t, err)
	require.Equal(t, beginning, asked.at(), "the rest of its request is awaited")
}

// The kernel keeps silent callers away from the admin port, so they hold nobody up for a moment.
func TestSilentCallersAreHeldBack(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := Bounded(ln, 1).(*places)
	if p.early > 0 {
		t.Skip("the kernel keeps nobody away here")
	}
	srv := NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}), nil)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(p) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	for range 3 {
		dialFrom(t, "127.0.0.1", ln.Addr().String())
	}
	asks(t, "127.0.0.1", ln.Addr().String())
	require.Eventually(t, func() bool { p.mu.Lock(); defer p.mu.Unlock(); return len(p.open) == 0 }, 30*time.Second, time.Millisecond)
}
