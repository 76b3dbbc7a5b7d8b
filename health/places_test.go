package health

import (
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// dialFrom connects from an address of this machine.
func dialFrom(t *testing.T, from, to string) net.Conn {
	t.Helper()
	d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.ParseIP(from)}}
	c, err := d.Dial("tcp", to)
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	return c
}

// asks makes a load balancer's check on a connection of its own, and returns how long it took.
func asks(t *testing.T, from, to string) time.Duration {
	t.Helper()
	begun := time.Now()
	c := dialFrom(t, from, to)
	defer c.Close()
	require.NoError(t, c.SetDeadline(begun.Add(5*time.Second)))
	_, err := io.WriteString(c, "GET /readyz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
	require.NoError(t, err)
	text, err := io.ReadAll(c)
	require.NoError(t, err)
	require.Contains(t, string(text), "200 OK")
	return time.Since(begun)
}

// requirePrompt has 12 checks made, each of which is to take 100 ms at most. Others may use the machine, so it is enough that one
// of ten such rounds succeeds: callers in the way are so in each.
func requirePrompt(t *testing.T, from, to string) {
	t.Helper()
	var rounds []time.Duration // the slowest check of each
	for range 10 {
		var slowest time.Duration
		for range 12 {
			slowest = max(slowest, asks(t, from, to))
		}
		rounds = append(rounds, slowest)
		if slowest <= 100*time.Millisecond {
			t.Logf("the slowest check of each round took %v", rounds)
			return
		}
	}
	t.Fatalf("the slowest of 12 checks took %v, round by round", rounds)
}

// Callers that connect and say nothing took every place, or every place of a source that they share with the load balancer, and
// it waited for seconds: 200 sources left it 4 answers of 12, and 640 connections of one IPv6 /64 one of three.
func TestChecksAreAnsweredBesideSilentCallers(t *testing.T) {
	for name, c := range map[string]struct {
		listen, balancer string
		crowd            func(t *testing.T, to string)
	}{
		"200 sources": {"127.0.0.1:0", "127.0.0.1", func(t *testing.T, to string) {
			for i := range 200 {
				dialFrom(t, fmt.Sprintf("127.0.2.%d", 1+i), to)
			}
		}},
		"3 connections each": {"127.0.0.1:0", "127.0.0.1", func(t *testing.T, to string) {
			for i := range 600 {
				dialFrom(t, fmt.Sprintf("127.0.3.%d", 1+i%200), to)
			}
		}},
		"one source, that of the load balancer": {"127.0.0.1:0", "127.0.0.1", func(t *testing.T, to string) {
			for range 640 {
				dialFrom(t, "127.0.0.1", to)
			}
		}},
		"640 connections of one IPv6 address, that of the load balancer": {"[::1]:0", "::1", func(t *testing.T, to string) {
			for range 640 {
				dialFrom(t, "::1", to)
			}
		}},
		"callers that begin a request": {"127.0.0.1:0", "127.0.0.1", func(t *testing.T, to string) {
			for i := range 300 {
				_, err := io.WriteString(dialFrom(t, fmt.Sprintf("127.0.4.%d", 1+i%200), to), "GET /readyz HTTP/1.1\r\nX: ")
				require.NoError(t, err)
			}
		}},
	} {
		t.Run(name, func(t *testing.T) {
			ln, err := net.Listen("tcp", c.listen)
			if err != nil {
				t.Skip("no IPv6 here: ", err)
			}
			to := serveOn(t, ln, New(), fine)
			c.crowd(t, to)
			requirePrompt(t, c.balancer, to)
		})
	}
}

// serveBounded serves as the admin port does, with an empty answer.
func serveBounded(t *testing.T) (address string) {
	t.Helper()
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}), nil)
	done := make(chan struct{})
	go func() { defer close(done); _ = srv.Serve(Bounded(ln, 64)) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	return ln.Addr().String()
}

// The admin port answered nobody for 12 s once 300 callers had connected and said nothing: they waited in line for one of 64 places.
func TestBoundedAnswersBesideSilentCallers(t *testing.T) {
	to := serveBounded(t)
	for range 640 {
		dialFrom(t, "127.0.0.1", to)
	}
	requirePrompt(t, "127.0.0.1", to)
}

// Callers that came all at once closed each other's connections before they had spoken.
func TestACrowdIsAnswered(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	srv := NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {}), nil)
	done := make(chan struct{})
	bounded := Bounded(ln, 8) // before anybody comes, as the daemon does it
	go func() { defer close(done); _ = srv.Serve(bounded) }()
	t.Cleanup(func() { _ = srv.Close(); <-done })
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(client.CloseIdleConnections)
	var crowd sync.WaitGroup
	for range 400 {
		crowd.Go(func() {
			r, err := client.Get("http://" + ln.Addr().String())
			if assert.NoError(t, err) {
				r.Body.Close()
				assert.Equal(t, 200, r.StatusCode)
			}
		})
	}
	crowd.Wait()
}

// A caller that had waited in line for longer than the time for a request lost its place at once to the next in line.
func TestTheTimeInLineIsNotThatForARequest(t *testing.T) {
	p := lined(1)
	first := caller(p, "127.0.0.1")
	first.words = firstWords
	time.Sleep(firstWords + 10*time.Millisecond)
	_, ok := p.enter(first, false)
	require.True(t, ok)
	_, ok = p.enter(caller(p, "127.0.0.1"), false)
	require.False(t, ok, "the first has just got its place")
	first.since.Add(-int64(firstWords))
	out, ok := p.enter(caller(p, "127.0.0.1"), false)
	require.True(t, ok)
	require.Same(t, first, out)
}

// Closing does not wait for a caller in line.
func TestClosingEndsTheLine(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := Bounded(ln, 1)
	dialFrom(t, "127.0.0.1", ln.Addr().String())
	first, err := p.Accept()
	require.NoError(t, err)
	first.(*conn).become(answering)
	dialFrom(t, "127.0.0.1", ln.Addr().String())
	ended := make(chan error, 1)
	go func() { _, err := p.Accept(); ended <- err }()
	require.NoError(t, p.Close())
	select {
	case err := <-ended:
		require.ErrorIs(t, err, net.ErrClosed)
	case <-time.After(slowReader / 2):
		t.Fatal("still accepting")
	}
	require.NoError(t, first.Close())
}

// A caller of this machine has no PROXY header before its request.
func TestBoundedTakesNoHeader(t *testing.T) {
	code, _, _ := request(t, serveBounded(t), "PROXY UNKNOWN\r\n", "GET", "/")
	require.Equal(t, http.StatusBadRequest, code)
}

// A place is given back once, however a connection ends.
func TestPlacesAreGivenBack(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	p := Listener(ln).(*places)
	defer p.Close()
	for range 3 * MaxConnections {
		out := dialFrom(t, "127.0.0.1", ln.Addr().String())
		c, err := p.Accept()
		require.NoError(t, err)
		require.NoError(t, c.Close())
		_ = c.Close()
		require.NoError(t, out.Close())
	}
	require.Empty(t, p.open)
}

// fakeConn is a connection from any address.
type fakeConn struct {
	net.Conn
	from   netip.AddrPort
	closed *atomic.Int64
}

func (f *fakeConn) RemoteAddr() net.Addr { return net.TCPAddrFromAddrPort(f.from) }
func (f *fakeConn) Close() error         { f.closed.Add(1); return nil }

func caller(p *places, from string) *conn {
	raw := &fakeConn{from: netip.AddrPortFrom(netip.MustParseAddr(from), 1), closed: new(atomic.Int64)}
	return newConn(raw, sourceOf(raw), p.leave)
}

// An IPv6 client has a /64 for itself, so its addresses share their places.
func TestSourcesCountByPrefix(t *testing.T) {
	p := &places{most: MaxConnections, share: maxPerSource}
	var first *conn
	for i := range maxPerSource {
		c := caller(p, fmt.Sprintf("2001:db8:0:1::%x", 1+i))
		out, ok := p.enter(c, false)
		require.True(t, ok)
		require.Nil(t, out)
		if first == nil {
			first = c
		}
	}
	out, ok := p.enter(caller(p, "2001:db8:0:1:ffff::1"), false)
	require.True(t, ok)
	require.Same(t, first, out, "the oldest of the /64")
	out, ok = p.enter(caller(p, "2001:db8:0:2::1"), false)
	require.True(t, ok)
	require.Nil(t, out, "another /64")
	require.Equal(t, sourceOf(&fakeConn{from: netip.MustParseAddrPort("[::ffff:192.0.2.1]:1")}), netip.MustParseAddr("192.0.2.1"))
	require.Len(t, p.open, maxPerSource+1)
}

// Who came least far is closed first, and the oldest of these; one that is being answered only if it does not read.
func TestWhoIsClosedFirst(t *testing.T) {
	p := &places{most: MaxConnections, share: maxPerSource}
	var all []*conn
	for i := range MaxConnections {
		c := caller(p, fmt.Sprintf("10.0.%d.1", i))
		c.become([]stage{answering, idle, beginning, silent}[i%4])
		_, ok := p.enter(c, false)
		require.True(t, ok)
		all = append(all, c)
	}
	for round := range 3 {
		at := []stage{silent, beginning, idle}[round]
		for i := range MaxConnections / 4 {
			c := caller(p, fmt.Sprintf("10.1.%d.%d", round, i))
			c.become(answering)
			out, ok := p.enter(c, false)
			require.True(t, ok)
			require.Equal(t, at, stage(out.stage.Load()))
			require.Same(t, all[4*i+3-round], out)
		}
	}
	_, ok := p.enter(caller(p, "10.2.0.1"), false)
	require.False(t, ok, "all are being answered")
	all[4].since.Add(-int64(slowReader))
	out, ok := p.enter(caller(p, "10.2.0.1"), false)
	require.True(t, ok)
	require.Same(t, all[4], out, "it does not read its answer")
	require.Len(t, p.open, MaxConnections)
}

// Callers that ask and do not read pinned 1.6 MiB of kernel memory each, 200 MiB together.
func TestACallerThatDoesNotReadCostsLittle(t *testing.T) {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	var wrote atomic.Int64
	done := make(chan struct{})
	srv := NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		defer close(done)
		for b := make([]byte, 4<<10); ; {
			n, err := w.Write(b)
			if err != nil {
				return
			}
			wrote.Add(int64(n))
		}
	}), nil)
	srv.WriteTimeout = time.Second
	served := make(chan struct{})
	go func() { defer close(served); _ = srv.Serve(Listener(ln)) }()
	defer func() { srv.Close(); <-served }()
	c, err := net.Dial("tcp", ln.Addr().String())
	require.NoError(t, err)
	defer c.Close()
	require.NoError(t, c.(*net.TCPConn).SetReadBuffer(1<<10)) // what is left is the server's
	_, err = io.WriteString(c, "GET / HTTP/1.1\r\nHost: x\r\n\r\n")
	require.NoError(t, err)
	<-done
	require.Less(t, wrote.Load(), int64(300<<10), "bytes that the kernel took for a caller that reads none")
}
