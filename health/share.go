package health

import (
	"net"
	"net/netip"
	"sync"
)

// maxPerSource is how many connections one source address may have open: a caller that holds many silent ones must not
// keep the load balancer from asking.
const maxPerSource = MaxConnections / 4

// shared is a listener that closes at once what a source opens beyond its share.
type shared struct {
	net.Listener
	mu   sync.Mutex
	open map[netip.Addr]int // by source; none is kept at zero, so it is as large as there are connections
}

func share(l net.Listener) *shared {
	return &shared{Listener: l, open: make(map[netip.Addr]int)}
}

func (s *shared) Accept() (net.Conn, error) {
	for {
		c, err := s.Listener.Accept()
		if err != nil {
			return nil, err
		}
		from, ok := sourceOf(c)
		if !ok {
			return c, nil // no address to go by, as of a Unix socket
		}
		if s.take(from) {
			return &sharedConn{Conn: c, done: sync.OnceFunc(func() { s.give(from) })}, nil
		}
		_ = c.Close() // refused: there is nobody to tell
	}
}

func (s *shared) take(from netip.Addr) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[from] >= maxPerSource {
		return false
	}
	s.open[from]++
	return true
}

func (s *shared) give(from netip.Addr) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.open[from]--; s.open[from] == 0 {
		delete(s.open, from)
	}
}

func sourceOf(c net.Conn) (netip.Addr, bool) {
	t, ok := c.RemoteAddr().(*net.TCPAddr)
	if !ok {
		return netip.Addr{}, false
	}
	return t.AddrPort().Addr().Unmap(), true
}

type sharedConn struct {
	net.Conn
	done func()
}

func (c *sharedConn) Close() error {
	c.done()
	return c.Conn.Close()
}
