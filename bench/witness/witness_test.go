package witness

import (
	"io"
	"net"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/wire"
)

// answerer answers exchanges, or closes at once what connects.
type answerer struct {
	net.Listener
	mu      sync.Mutex
	open    []net.Conn
	closing bool
}

func newAnswerer(t *testing.T) *answerer {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	a := &answerer{Listener: l}
	var ended sync.WaitGroup
	ended.Go(func() {
		for {
			c, err := l.Accept()
			if err != nil {
				return
			}
			a.mu.Lock()
			a.open = append(a.open, c)
			if a.closing {
				c.Close()
			}
			a.mu.Unlock()
			ended.Go(func() { answer(c) })
		}
	})
	t.Cleanup(func() {
		l.Close()
		a.lose(0)
		ended.Wait()
	})
	return a
}

// answer answers until the connection ends.
func answer(c net.Conn) {
	msg := make([]byte, size)
	for {
		if _, err := io.ReadFull(c, msg); err != nil {
			return
		}
		h, err := wire.Parse(msg)
		if err != nil {
			return
		}
		h.Op = wire.Answer
		wire.Seal(msg, h)
		if _, err := c.Write(msg); err != nil {
			return
		}
	}
}

// lose closes all connections from the nth on, and those to come.
func (a *answerer) lose(n int) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.closing = true
	for _, c := range a.open[min(n, len(a.open)):] {
		c.Close()
	}
}

func TestLossesAreSeen(t *testing.T) {
	a := newAnswerer(t)
	c, err := Start(t.Context(), Options{
		Dial: func() (net.Conn, error) { return net.Dial("tcp4", a.Addr().String()) }, Busy: 4, Idle: 6, Comers: 2, Every: time.Millisecond,
	})
	require.NoError(t, err)
	defer c.Stop()
	var sum Span
	require.Eventually(t, func() bool {
		s := c.Span()
		sum.Exchanges, sum.Came, sum.Refused = sum.Exchanges+s.Exchanges, sum.Came+s.Came, sum.Refused+s.Refused
		sum.Longest = max(sum.Longest, s.Longest)
		return sum.Exchanges > 10 && sum.Came > 10
	}, 10*time.Second, time.Millisecond)
	assert.Positive(t, sum.Longest)
	assert.Zero(t, sum.Refused)
	alive, of := c.Alive()
	assert.Equal(t, []int{10, 10}, []int{alive, of})

	a.lose(5) // the busy ones were opened first, then the idle ones
	require.Eventually(t, func() bool { s := c.Span(); return s.Refused > 0 && s.First != nil }, 10*time.Second, time.Millisecond)
	alive, of = c.Alive()
	assert.Equal(t, []int{5, 10}, []int{alive, of})
	a.lose(2)
	require.Eventually(t, func() bool { alive, _ := c.Alive(); return alive == 2 }, 10*time.Second, time.Millisecond)
}

func TestNobodyAnswers(t *testing.T) {
	a := newAnswerer(t)
	a.lose(0)
	_, err := Start(t.Context(), Options{Dial: func() (net.Conn, error) { return net.Dial("tcp4", a.Addr().String()) }, Busy: 1, Every: time.Second})
	require.ErrorContains(t, err, "open connection 0")
}
