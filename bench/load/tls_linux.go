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
// client is done, close. It leaves the sockets to Go's poller, since the way is long and the load small.
type handshaker struct {
	o    Open
	g    Group
	mu   sync.Mutex // of hist
	hist *stats.Hist
	ops  atomic.Uint64
	next atomic.Uint32 // source address
}

func newHandshaker(o Open, g Group) *handshaker {
	return &handshaker{o: o, g: g, hist: &stats.Hist{}}
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
	for range t.g.Conns {
		clients.Go(func() {
			for phase.Load() != draining && ctx.Err() == nil {
				if err := t.handshake(ctx, phase); err != nil {
					cancel(err)
				}
			}
		})
	}
	clients.Wait()
	return context.Cause(ctx)
}

// handshake does one. It checks no certificate: what is measured is the way to the origin, and there is no other server.
func (t *handshaker) handshake(ctx context.Context, phase *atomic.Int32) error {
	ctx, cancel := context.WithTimeout(ctx, drainTimeout)
	defer cancel()
	d := net.Dialer{LocalAddr: t.source()}
	start := time.Now()
	c, err := d.DialContext(ctx, "tcp4", t.o.Target.String())
	if err != nil {
		return fmt.Errorf("connect: %w", err)
	}
	defer c.Close()
	if err := tls.Client(c, &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13}).HandshakeContext(ctx); err != nil {
		return fmt.Errorf("shake hands: %w", err)
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
