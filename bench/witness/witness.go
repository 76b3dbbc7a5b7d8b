package witness

import (
	"context"
	"fmt"
	"io"
	"net"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/l4fwd/l4fwd/bench/wire"
)

const (
	// size is that of a request and of an answer, in bytes.
	size = 256
	// patience is how long an answer may take; a connection without one by then is lost.
	patience = 5 * time.Second
)

// Options say who takes part.
type Options struct {
	// Dial connects to the origin by way of the relay.
	Dial func() (net.Conn, error)
	// Busy connections do an exchange each Every; Idle ones do one at the beginning and one when Alive asks.
	Busy, Idle int
	Every      time.Duration
	// Comers connect, do an exchange and close, each anew after Every.
	Comers int
}

// Clients are what Start started. Their methods are for one goroutine.
type Clients struct {
	o     Options
	busy  []net.Conn
	idle  []net.Conn
	stop  context.CancelFunc
	ended sync.WaitGroup
	lost  atomic.Int64 // of the busy ones

	mu  sync.Mutex
	now Span
}

// Span is what happened since the last one.
type Span struct {
	Exchanges uint64        // on busy connections
	Longest   time.Duration // that one of them took
	Came      int           // new connections that were served
	Refused   int           // new connections that were refused, reset or left without an answer
	First     error         // that one of those met; nil: none did
}

// Start opens all connections, each of which does an exchange, and lets the busy ones and the comers begin. Stop ends them.
func Start(ctx context.Context, o Options) (*Clients, error) {
	c := &Clients{o: o}
	for i := range o.Busy + o.Idle {
		conn, err := o.Dial()
		if err == nil {
			if i < o.Busy {
				c.busy = append(c.busy, conn)
			} else {
				c.idle = append(c.idle, conn)
			}
			err = exchange(conn, uint64(i))
		}
		if err != nil {
			c.close()
			return nil, fmt.Errorf("open connection %d: %w", i, err)
		}
	}
	ctx, c.stop = context.WithCancel(ctx)
	for i, conn := range c.busy {
		c.ended.Go(func() { c.work(ctx, conn, offset(o.Every, i, o.Busy)) })
	}
	for i := range o.Comers {
		c.ended.Go(func() { c.come(ctx, offset(o.Every, i, o.Comers)) })
	}
	return c, nil
}

// offset spreads n clients over their beat.
func offset(every time.Duration, i, n int) time.Duration {
	return every * time.Duration(i) / time.Duration(n)
}

// Span returns what happened since the last call and begins anew.
func (c *Clients) Span() Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.now
	c.now = Span{}
	return s
}

// Alive returns how many of the connections that Start opened still work. It asks each idle one.
func (c *Clients) Alive() (alive, of int) {
	of = len(c.busy) + len(c.idle)
	alive = len(c.busy) - int(c.lost.Load())
	for i, conn := range c.idle {
		if exchange(conn, uint64(i)) == nil {
			alive++
		}
	}
	return alive, of
}

// Stop ends all and closes their connections.
func (c *Clients) Stop() {
	c.stop()
	c.ended.Wait()
	c.close()
}

func (c *Clients) close() {
	for _, conn := range slices.Concat(c.busy, c.idle) {
		conn.Close()
	}
}

// beats calls f after first and then each Every, until it says no or ctx ends.
func (c *Clients) beats(ctx context.Context, first time.Duration, f func() bool) {
	t := time.NewTimer(first)
	defer t.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-t.C:
		}
		if !f() {
			return
		}
		t.Reset(c.o.Every)
	}
}

// work does exchanges until the connection is lost.
func (c *Clients) work(ctx context.Context, conn net.Conn, first time.Duration) {
	var seq uint64
	c.beats(ctx, first, func() bool {
		seq++
		begun := time.Now()
		if exchange(conn, seq) != nil {
			c.lost.Add(1)
			return false
		}
		c.note(time.Since(begun))
		return true
	})
}

// note counts an exchange of a busy connection.
func (c *Clients) note(took time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.now.Exchanges++
	c.now.Longest = max(c.now.Longest, took)
}

// come connects anew at each beat.
func (c *Clients) come(ctx context.Context, first time.Duration) {
	var seq uint64
	c.beats(ctx, first, func() bool {
		seq++
		err := c.visit(seq)
		c.mu.Lock()
		defer c.mu.Unlock()
		if err == nil {
			c.now.Came++
			return true
		}
		c.now.Refused++
		if c.now.First == nil {
			c.now.First = err
		}
		return true
	})
}

func (c *Clients) visit(seq uint64) error {
	conn, err := c.o.Dial()
	if err != nil {
		return err
	}
	defer conn.Close()
	return exchange(conn, seq)
}

// exchange sends a request and checks the answer.
func exchange(conn net.Conn, seq uint64) error {
	msg := make([]byte, size)
	wire.Seal(msg, wire.Header{Op: wire.Exchange, Up: size, Down: size, Seq: seq})
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		return err
	}
	if _, err := conn.Write(msg); err != nil {
		return err
	}
	if _, err := io.ReadFull(conn, msg); err != nil {
		return err
	}
	h, err := wire.Open(msg)
	if err == nil && h.Seq != seq {
		err = fmt.Errorf("the answer is that of request %d, not %d", h.Seq, seq)
	}
	return err
}
