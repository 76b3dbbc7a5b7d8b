package main

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// crowdSize is how many clients of each kind there are.
type crowdSize struct {
	streams, idle, half, stuck int
	pings                      int           // connections whose exchanges show how long all stands still
	visits                     int           // clients that come at once, each anew at every beat
	beat                       time.Duration // of those, and of the chunks of a stream
	open                       int           // connections beside them that do nothing
}

// crowd is clients of all kinds, each of whom must notice nothing.
type crowd struct {
	crowdSize
	t      *testing.T
	g      *generations
	server *crowdServer
	doors  []door
	stop   chan struct{}
	wg     sync.WaitGroup

	visited atomic.Int64
	lasting []net.Conn // all others
	idlers  []net.Conn
	lates   []net.Conn
	earlies []net.Conn
	stucks  []net.Conn

	mu     sync.Mutex
	longer []time.Duration // of each ping since the last call of longest, the longest
}

// door is one of the doors in turn.
func (c *crowd) door(i int) door { return c.doors[i%len(c.doors)] }

// enter lets a client in that lasts until the end of the test.
func (c *crowd) enter(d door) net.Conn {
	c.t.Helper()
	conn, err := d.enter()
	require.NoError(c.t, err)
	c.t.Cleanup(func() { conn.Close() })
	c.lasting = append(c.lasting, conn)
	return conn
}

// begin lets the clients come.
func (c *crowd) begin() {
	for i := range c.idle {
		conn := c.enter(c.door(i))
		exchange(c.t, conn)
		c.idlers = append(c.idlers, conn)
	}
	for i := range c.half {
		conn := c.enter(c.doors[i%2]) // not where a ClientHello comes first
		if i%4 < 2 {
			_, err := io.WriteString(conn, string(asksLate)+"hello")
			require.NoError(c.t, err)
			require.NoError(c.t, conn.(*net.TCPConn).CloseWrite())
			c.lates = append(c.lates, conn)
			continue
		}
		_, err := conn.Write([]byte{asksEarly})
		require.NoError(c.t, err)
		all, err := io.ReadAll(conn) // up to the server's FIN
		require.NoError(c.t, err)
		require.Equal(c.t, string(asksEarly), string(all))
		c.earlies = append(c.earlies, conn)
	}
	c.stick()
	for i := range c.streams {
		conn := c.enter(c.door(i))
		exchange(c.t, conn) // the server does not take the stream's first byte for a request
		s := &stream{c: conn, seed: [32]byte{byte(i), byte(i >> 8)}, every: 25 * c.beat}
		c.once("a connection in mid-transfer", func() error { return s.run(c.stop) })
	}
	c.longer = make([]time.Duration, c.pings)
	for i := range c.pings {
		conn, r := c.enter(c.door(i)), rand.New(rand.NewPCG(uint64(i), 17))
		c.each(c.beat, "a connection that lasts", func() error { return c.ping(i, conn, r) })
	}
	for i := range c.visits {
		r := rand.New(rand.NewPCG(uint64(i), 18))
		c.each(c.beat, "a new connection", func() error { return c.visit(c.door(int(r.Uint32()>>8)), r) })
	}
	c.each(c.beat, "the counters", c.counters())
	c.each(c.beat, "the health port", func() error {
		if got := c.g.get("/readyz"); got != "200 ok\n" {
			return fmt.Errorf("it answers %q", got)
		}
		return nil
	})
}

// stick lets clients ask for more than they read.
func (c *crowd) stick() {
	for i := range c.stuck {
		conn := c.enter(c.doors[i%2]) // not where a ClientHello comes first
		_, err := conn.Write([]byte{asksFlood})
		require.NoError(c.t, err)
		c.stucks = append(c.stucks, conn)
	}
}

// once calls f, which lasts until the load ends.
func (c *crowd) once(what string, f func() error) {
	c.wg.Go(func() { assert.NoError(c.t, f(), what) })
}

// each calls f at every beat until the load ends.
func (c *crowd) each(beat time.Duration, what string, f func() error) {
	c.wg.Go(func() {
		t := time.NewTicker(beat)
		defer t.Stop()
		for {
			select {
			case <-c.stop:
				return
			case <-t.C:
			}
			if !assert.NoError(c.t, f(), what) {
				return
			}
		}
	})
}

// ping does an exchange and remembers the longest.
func (c *crowd) ping(i int, conn net.Conn, r *rand.Rand) error {
	out, begun := random(r, 1+r.IntN(2000)), time.Now()
	_ = conn.SetDeadline(begun.Add(crowdPatience))
	if _, err := conn.Write(out); err != nil {
		return err
	}
	err := returns(conn, out)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.longer[i] = max(c.longer[i], time.Since(begun))
	return err
}

// longest returns the longest exchange of each ping since the last call.
func (c *crowd) longest() []time.Duration {
	c.mu.Lock()
	defer c.mu.Unlock()
	all := slices.Clone(c.longer)
	clear(c.longer)
	return all
}

// visit makes a connection of one exchange.
func (c *crowd) visit(d door, r *rand.Rand) error {
	conn, err := d.enter()
	if err != nil {
		return err
	}
	defer conn.Close()
	c.visited.Add(1)
	out := random(r, 1+r.IntN(4000))
	if _, err := conn.Write(out); err != nil {
		return err
	}
	return returns(conn, out)
}

var handoversTotal = regexp.MustCompile(`l4fwd_handovers_total{result="taken"} (\d+)`)

var acceptedTotal = regexp.MustCompile(`l4fwd_accepted_total{listener="in"} (\d+)`)

// counters returns a check that no counter falls.
func (c *crowd) counters() func() error {
	var before uint64
	var generation int
	return func() error {
		metrics := c.g.get("/metrics")
		m := acceptedTotal.FindStringSubmatch(metrics)
		if m == nil {
			return errors.New("there are none")
		}
		now, _ := strconv.ParseUint(m[1], 10, 64)
		taken := 0
		if h := handoversTotal.FindStringSubmatch(metrics); h != nil {
			taken, _ = strconv.Atoi(h[1])
		}
		if taken < generation {
			return fmt.Errorf("a process answers after the one that took over from it: %d hand-overs, after %d", taken, generation)
		}
		generation = taken
		if now < before {
			return fmt.Errorf("accepted fell from %d to %d", before, now)
		}
		before = now
		return nil
	}
}

// end ends the load, and wants from each client what it is still to get.
func (c *crowd) end() {
	close(c.stop)
	c.wg.Wait()
	close(c.server.release)
	for _, conn := range slices.Concat(c.idlers, c.lates, c.earlies) {
		_ = conn.SetDeadline(time.Now().Add(crowdPatience))
	}
	for _, conn := range c.idlers {
		exchange(c.t, conn)
	}
	for _, conn := range c.lates {
		got, err := io.ReadAll(conn)
		require.NoError(c.t, err)
		require.Equal(c.t, string(asksLate)+"hello", string(got))
	}
	for i, conn := range c.earlies {
		_, err := fmt.Fprintf(conn, "after the FIN, %d", i)
		require.NoError(c.t, err)
		require.NoError(c.t, conn.Close())
		require.Equal(c.t, fmt.Sprintf("after the FIN, %d", i), string(<-c.server.early))
	}
	for _, conn := range c.stucks {
		_ = conn.SetDeadline(time.Now().Add(crowdPatience))
		n, err := io.Copy(io.Discard, conn)
		require.NoError(c.t, err)
		require.EqualValues(c.t, flood, n)
	}
}

// files is how many descriptors the process has that serves.
func (g *generations) files(t *testing.T) int {
	all, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", g.status(t).PID))
	require.NoError(t, err)
	return len(all)
}

// lines counts access lines, and wants that no connection has two.
func (g *generations) lines(t *testing.T) (n int) {
	seen := map[string]bool{}
	for _, m := range accessLine.FindAllStringSubmatch(g.log.String(), -1) {
		require.False(t, seen[m[1]], "two lines of connection %s", m[1])
		seen[m[1]] = true
	}
	return len(seen)
}

var accessLine = regexp.MustCompile(`"id":(\d+).*"duration_ms":`)

// asNumber is what a variable of the environment says.
func asNumber(name string, or int) int {
	if n, err := strconv.Atoi(strings.TrimSpace(os.Getenv(name))); err == nil {
		return n
	}
	return or
}
