package main

import (
	"crypto/tls"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"runtime"
	"time"

	"golang.org/x/sys/unix"

	"github.com/l4fwd/l4fwd/bench/delay"
	"github.com/l4fwd/l4fwd/bench/netns"
)

const (
	farName = "far"
	// farDelay is the way to the origin, and as long again back: a round trip of 40 ms, as between regions of one continent.
	farDelay = 20 * time.Millisecond
	// lateAtMost is how punctual the long way has to be. A packet held longer shows beside the figures.
	lateAtMost = time.Millisecond
)

// far is veth's three namespaces, but the origin is far away from both others, and speaks TLS only:
//
//	             198.18.1.0/24                  198.18.2.0/24
//	client .1–8 ──── veth ─────── .100 proxy .100 ─── 20 ms ─── .1 origin
//	       .1–8 ───────────────────────────────────── 20 ms ─── .100
//	                             198.18.3.0/24, for no proxy at all
func far() (*network, error) {
	n := threeSpaces(farName, "Client and proxy in a network namespace each, joined by a veth pair; the origin 20 ms away from both, by TUN devices and a queue.")
	n.role, n.probe = tlsRole, probeTLS
	if err := n.spaces(); err != nil {
		n.close()
		return nil, because(err)
	}
	err := errors.Join(n.joinClient(),
		n.join(end(n.proxy, "to-origin", vethAddr(2, 100)), end(n.origin, "to-proxy", n.upstream)),
		n.join(end(n.client, "to-origin", n.toOrigin.sources...), end(n.origin, "to-client", n.toOrigin.dest)))
	if err != nil {
		n.close()
		return nil, because(err)
	}
	return n, nil
}

// join connects two namespaces by a TUN device in each and the long way between them.
func (n *network) join(a, b netns.End) error {
	near, err := netns.Tun(a)
	if err != nil {
		return err
	}
	away, err := netns.Tun(b)
	if err != nil {
		near.Close()
		return err
	}
	// A thread that wakes to hand a packet on wants a P at once, and must not wait for one that the kernel has taken off its core.
	runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) + delay.Carriers)
	n.lines = append(n.lines, delay.Join(near, away, farDelay))
	return nil
}

// faults is what was not as it should be on the long ways since it was last asked.
func (n *network) faults() (notes []string) {
	for _, l := range n.lines {
		s := l.Take()
		if s.Dropped > 0 {
			notes = append(notes, fmt.Sprintf("the long way dropped %d of %d packets", s.Dropped, s.Dropped+s.Carried))
		}
		if s.Late > lateAtMost {
			notes = append(notes, fmt.Sprintf("the long way held a packet %v longer than it should", s.Late.Round(time.Millisecond/10)))
		}
	}
	return notes
}

// probeTLS shakes hands with the origin through addr.
func probeTLS(addr netip.AddrPort) error {
	d := net.Dialer{Timeout: 2 * time.Second}
	c, err := tls.DialWithDialer(&d, "tcp4", addr.String(), &tls.Config{InsecureSkipVerify: true, MinVersion: tls.VersionTLS13})
	if err != nil {
		return err
	}
	return c.Close()
}

// because adds what to do about an error of setting up namespaces.
func because(err error) error {
	switch {
	case errors.Is(err, unix.EPERM), errors.Is(err, unix.EACCES):
		return fmt.Errorf("%w: run it as root (CAP_SYS_ADMIN, CAP_NET_ADMIN)", err)
	case errors.Is(err, unix.EOPNOTSUPP):
		return fmt.Errorf("%w: this kernel has no veth: modprobe veth", err)
	case errors.Is(err, os.ErrNotExist), errors.Is(err, unix.ENXIO), errors.Is(err, unix.ENODEV):
		return fmt.Errorf("%w: this kernel has no TUN devices: modprobe tun", err)
	}
	return err
}
