package load

import (
	"context"
	"crypto/tls"
	"fmt"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/l4fwd/l4fwd/bench/stats"
)

// handshaker does TLS handshakes in a closed loop, each on a connection of its own: connect, ClientHello, and as soon as the
// client is done, close. With an ending it resumes the session of the connection before, does an exchange and ends as that
// says. It leaves the sockets to Go's poller: its own CPU is in no figure.
type handshaker struct {
	o    Open
	g    Group
	mu   sync.Mutex // of hist
	hist *stats.Hist
	ops  atomic.Uint64
	next atomic.Uint32 // source address
	seq  atomic.Uint64 // of exchanges
}

func newHandshaker(o Open, g Group, seq uint64) *handshaker {
	t := &handshaker{o: o, g: g, hist: &stats.Hist{}}
	t.seq.Store(seq)
	return t
}

func (t *handshaker) open(n int) (int, error) { return n, nil }
func (t *handshaker) wake()                   {}
func (t *handshaker) count() (_, _ uint64)    { return t.ops.Load(), 0 }

func (t *handshaker) latency() *stats.Hist {
	h := t.hist
	t.hist = &stats.Hist{}
	return h
}

// run has one handshake under way for each of the group's connections.
func (t *handshaker) run(phase *atomic.Int32) error {
	ctx, cancel := context.WithCancelCause(context.Background())
	defer cancel(nil)
	var clients sync.WaitGroup
	for i := range t.g.Conns {
		clients.Go(func() {
			c := t.client(i)
			for phase.Load() != draining && ctx.Err() == nil {
				if err := t.visit(ctx, c, phase); err != nil {
					cancel(err)
				}
			}
		})
	}
	clients.Wait()
	return context.Cause(ctx)
}

// visit is one connection, from before connect to its end.
func (t *handshaker) visit(ctx context.Context, client *tlsClient, phase *atomic.Int32) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	d := net.Dialer{LocalAddr: t.source()}
	start := time.Now()
	c, err := d.DialContext(ctx, "tcp4", t.o.Target.String())
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.Close()
	s := tls.Client(c, client.config)
	if err := s.HandshakeContext(ctx); err != nil {
		return fmt.Errorf("shake hands: %w", err)
	}
	if t.g.Ending != NoExchange {
		if err := client.exchange(s, t.g, t.seq.Add(1)); err != nil {
			return err
		}
	}
	took := time.Since(start)
	t.ops.Add(1)
	if phase.Load() == measuring {
		t.mu.Lock()
		t.hist.Add(uint64(took))
		t.mu.Unlock()
	}
	return nil
}

// source is the next of the addresses to connect from.
func (t *handshaker) source() net.Addr {
	if len(t.o.Sources) == 0 {
		return nil
	}
	ip := t.o.Sources[int(t.next.Add(1))%len(t.o.Sources)]
	return net.TCPAddrFromAddrPort(netip.AddrPortFrom(ip, 0))
}
