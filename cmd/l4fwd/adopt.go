package main

import (
	"fmt"
	"net/netip"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy"
)

// Where a listener's socket comes from, in the log and in status.
const (
	sourceOpened  = "opened"
	sourceSystemd = "systemd"
)

// sourceOf is the source of a listener's socket; those that are not in the map were opened.
func sourceOf(sources map[string]string, listener string) string {
	if source := sources[listener]; source != "" {
		return source
	}
	return sourceOpened
}

// inherit gives the sockets of the service manager to the listeners, and says where these are not as configured: the
// socket decides where clients are accepted. The listener that is there because none was configured takes its address as
// name too.
func (d *daemon) inherit(listeners []proxy.Listener, sockets []socket) error {
	passed, err := adopt(len(listeners), sockets, func(i int) string { return listeners[i].Name })
	if err != nil {
		return err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.sources, d.sockets = map[string]string{}, map[string]netip.AddrPort{}
	for i, s := range passed {
		in := &listeners[i]
		if s == nil {
			continue
		}
		if d.defaultListener {
			in.Name = s.addr.String()
			d.cfg.Listeners[i].Name = in.Name
		} else {
			d.compare(*in, d.cfg.Listeners[i].Address, *s)
		}
		in.FD, in.Addr = s.fd, s.addr
		d.sources[in.Name], d.sockets[in.Name] = sourceSystemd, s.addr
	}
	return nil
}

// compare warns of a socket that is not what the configuration says of its listener.
func (d *daemon) compare(in proxy.Listener, configured string, s socket) {
	if in.Addr.Addr() != s.addr.Addr() || in.Addr.Port() != s.addr.Port() && in.Addr.Port() != 0 {
		d.log.Warn("the socket from systemd has another address than the listener: clients are accepted at the socket's",
			zap.String("listener", in.Name), zap.String("configured", configured), zap.Stringer("socket", s.addr),
			zap.String("do", "write the address of ListenStream= under listeners"))
	}
	if named := in.Name != configured; named && in.Name != s.name {
		d.log.Warn("the socket from systemd has another name than the listener: it was taken by its position",
			zap.String("listener", in.Name), zap.String("socket_name", s.name), zap.Stringer("socket", s.addr),
			zap.String("do", "write FileDescriptorName="+in.Name+" in the socket unit"))
	}
}

// adopt returns the socket of each of n listeners, nil where it has to open its own: first by name, then the rest in
// order.
func adopt(n int, sockets []socket, name func(i int) string) ([]*socket, error) {
	if len(sockets) > n {
		return nil, fmt.Errorf("the service manager passed %d sockets, but the configuration has %d listeners; "+
			"name as many under listeners, or remove a ListenStream=", len(sockets), n)
	}
	passed := make([]*socket, n)
	place := func(s *socket, fits func(i int) bool) bool {
		for i := range passed {
			if passed[i] == nil && fits(i) {
				passed[i] = s
				return true
			}
		}
		return false
	}
	var rest []*socket
	for i := range sockets {
		s := &sockets[i]
		if !place(s, func(i int) bool { return name(i) == s.name }) {
			rest = append(rest, s)
		}
	}
	for _, s := range rest {
		place(s, func(int) bool { return true })
	}
	return passed, nil
}
