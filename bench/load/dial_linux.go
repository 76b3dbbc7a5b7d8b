package load

import (
	"fmt"
	"net/netip"

	"github.com/l4fwd/l4fwd/bench/sock"
)

// dialer opens a worker's connections, from each of its source addresses in turn: so many times the ephemeral ports to
// one destination. The client closes first, so the ports wait in TIME_WAIT on its side; the proxy's ports to the origin
// wait there likewise, and are reused after a second (tcp_tw_reuse).
type dialer struct {
	poll    *sock.Poll
	target  netip.AddrPort
	sources []netip.Addr
	n       int
}

// dial starts a connection and registers it edge-triggered for both directions: one epoll_ctl in its life.
func (d *dialer) dial(slot int32) (int, error) {
	var source netip.Addr
	if len(d.sources) > 0 {
		d.n = (d.n + 1) % len(d.sources)
		source = d.sources[d.n]
	}
	fd, e := sock.Dial(source, d.target)
	if e != 0 {
		return -1, fmt.Errorf("connect: %w", e)
	}
	if e := d.poll.Add(fd, sock.In|sock.Out|sock.Edge, slot); e != 0 {
		sock.Close(fd)
		return -1, fmt.Errorf("watch connection: %w", e)
	}
	return fd, nil
}

// dialUpTo opens connections for the slots from have to n-1, and hands each to add. It returns how many there are then; after an error
// those that were opened stay.
func (d *dialer) dialUpTo(have, n int, add func(fd int)) (int, error) {
	for ; have < n; have++ {
		fd, err := d.dial(int32(have))
		if err != nil {
			return have, err
		}
		add(fd)
	}
	return have, nil
}
