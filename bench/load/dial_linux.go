package load

import (
	"fmt"
	"net/netip"

	"github.com/l4fwd/l4fwd/bench/sock"
)

// sources is how many loopback addresses a worker connects from, in turn: so many times the ephemeral ports to one
// destination. The client closes first, so the ports wait in TIME_WAIT on its side; the proxy's ports to the origin wait
// there likewise, and are reused after a second (tcp_tw_reuse on loopback is the kernel's default).
const sources = 8

// dialer opens a worker's connections.
type dialer struct {
	poll   *sock.Poll
	target netip.AddrPort
	n      uint
}

// dial starts a connection and registers it edge-triggered for both directions: one epoll_ctl in its life.
func (d *dialer) dial(slot int32) (int, error) {
	d.n++
	source := netip.AddrFrom4([4]byte{127, 0, 0, byte(1 + d.n%sources)})
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
