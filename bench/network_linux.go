package main

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"runtime"
	"strings"

	"github.com/l4fwd/l4fwd/bench/delay"
	"github.com/l4fwd/l4fwd/bench/netns"
	"github.com/l4fwd/l4fwd/bench/peer"
	"github.com/l4fwd/l4fwd/bench/report"
)

// network is what joins client, proxy and origin, and their addresses.
type network struct {
	report.Network
	client, proxy, origin *netns.Space // nil: where the bench is
	listen                netip.Addr   // of the proxies
	toProxy, toOrigin     link         // the load's ways; the second is that of no proxy at all
	upstream              netip.Addr   // of the origin, as the proxies see it

	role  string                     // the origin's, of play's
	probe func(netip.AddrPort) error // how to see that a peer relays to it; nil: by an exchange
	lines []*delay.Line              // the long ways of it, owned by the network
}

// link is a way from the load: the addresses it connects from in turn, and the one at the other end.
type link struct {
	sources []netip.Addr
	dest    netip.Addr
}

// sourceCount is how many addresses the load connects from; see load's dialer for why it is more than one.
const sourceCount = 8

// networks are what -net can name.
var networks = map[string]func() (*network, error){report.Loopback: loopback, tlsName: overTLS, vethName: veth, farName: far}

func loopback() (*network, error) {
	self := netip.AddrFrom4([4]byte{127, 0, 0, 1})
	way := link{sources: addresses(self), dest: self}
	return &network{Network: report.Network{Name: report.Loopback, What: "Client, proxy and origin on 127.0.0.1, whose packets hold 64 KiB."},
		listen: self, upstream: self, toProxy: way, toOrigin: way, role: originRole}, nil
}

const tlsName = "tls"

// overTLS is loopback with an origin that speaks TLS.
func overTLS() (*network, error) {
	n, err := loopback()
	n.Name, n.What = tlsName, "Client, proxy and origin on 127.0.0.1; the origin speaks TLS and lets clients resume their sessions."
	n.role, n.probe = ticketsRole, probeTLS
	return n, err
}

// addresses is first and those behind it.
func addresses(first netip.Addr) (all []netip.Addr) {
	for range sourceCount {
		all = append(all, first)
		first = first.Next()
	}
	return all
}

const vethName = "veth"

// veth is three namespaces, each joined to each by a pair of veth devices, with the addresses set aside for benchmarks (RFC 2544):
//
//	             198.18.1.0/24                198.18.2.0/24
//	client .1–8 ──────────────── .100 proxy .100 ──────────── .1 origin
//	       .1–8 ─────────────────────────────────────────── .100
//	                            198.18.3.0/24, for no proxy at all
//
// None of them has a way out.
func veth() (*network, error) {
	n := threeSpaces(vethName, "Client, proxy and origin in a network namespace each, joined by veth pairs with an MTU of 1500.")
	n.role = originRole
	if err := n.build(); err != nil {
		n.close()
		return nil, because(err)
	}
	return n, nil
}

// threeSpaces is a network of three namespaces that are still to be made.
func threeSpaces(name, what string) *network {
	return &network{Network: report.Network{Name: name, What: what}, listen: vethAddr(1, 100), upstream: vethAddr(2, 1),
		toProxy: link{addresses(vethAddr(1, 1)), vethAddr(1, 100)}, toOrigin: link{addresses(vethAddr(3, 1)), vethAddr(3, 100)}}
}

func vethAddr(net, host byte) netip.Addr { return netip.AddrFrom4([4]byte{198, 18, net, host}) }

// build makes the namespaces and joins each to each by veth.
func (n *network) build() error {
	if err := n.spaces(); err != nil {
		return err
	}
	return errors.Join(n.joinClient(),
		netns.Join(end(n.proxy, "to-origin", vethAddr(2, 100)), end(n.origin, "to-proxy", n.upstream)),
		netns.Join(end(n.client, "to-origin", n.toOrigin.sources...), end(n.origin, "to-client", n.toOrigin.dest)))
}

// joinClient joins the load to the proxies.
func (n *network) joinClient() error {
	return netns.Join(end(n.client, "to-proxy", n.toProxy.sources...), end(n.proxy, "to-client", n.listen))
}

// spaces makes the namespaces.
func (n *network) spaces() (err error) {
	for _, s := range []**netns.Space{&n.client, &n.proxy, &n.origin} {
		if *s, err = netns.New(); err != nil {
			return err
		}
		if err = settings(*s); err != nil {
			return err
		}
	}
	return nil
}

func end(s *netns.Space, name string, addrs ...netip.Addr) netns.End {
	e := netns.End{In: s, Name: name}
	for _, a := range addrs {
		e.Addrs = append(e.Addrs, netip.PrefixFrom(a, 24))
	}
	return e
}

// settings makes a namespace behave as loopback does on this machine: ports in TIME_WAIT are reused after a second, which
// the kernel allows by default on loopback only, and what a new namespace has at its default is as it is outside.
func settings(s *netns.Space) error {
	for _, name := range []string{"net/core/somaxconn", "net/ipv4/ip_local_port_range", "net/ipv4/tcp_max_syn_backlog"} {
		value, err := os.ReadFile(filepath.Join("/proc/sys", name))
		if err == nil {
			err = s.Set(name, strings.TrimSpace(string(value)))
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return fmt.Errorf("take over a setting: %w", err)
		}
	}
	if err := s.Set("net/ipv4/tcp_tw_reuse", "1"); err != nil {
		return fmt.Errorf("let ports be reused: %w", err)
	}
	return nil
}

// close lets go of the namespaces, which end with the last process in them.
func (n *network) close() {
	for _, l := range n.lines {
		l.Close()
		runtime.GOMAXPROCS(runtime.GOMAXPROCS(0) - delay.Carriers)
	}
	n.lines = nil
	for _, s := range []*netns.Space{n.client, n.proxy, n.origin} {
		s.Close()
	}
}

// upstreams is where the origin is to listen for each peer.
func (n *network) upstreams(specs []peer.Spec) (addrs []string) {
	for _, s := range specs {
		if s.Name == peer.Direct {
			addrs = append(addrs, n.toOrigin.dest.String())
		} else {
			addrs = append(addrs, n.upstream.String())
		}
	}
	return addrs
}

// site is where a peer runs.
func (n *network) site(upstream netip.AddrPort, files int) peer.Site {
	return peer.Site{Relay: n.proxy, Client: n.client, Listen: n.listen, Upstream: upstream, Cores: runtime.NumCPU(), Files: files, Probe: n.probe}
}

// sources is where the load connects from to reach a peer.
func (n *network) sources(peerName string) []netip.Addr {
	if peerName == peer.Direct {
		return n.toOrigin.sources
	}
	return n.toProxy.sources
}
