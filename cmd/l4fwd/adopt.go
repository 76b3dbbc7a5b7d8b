package main

import (
	"net/netip"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/systemd"
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
func (d *daemon) inherit(listeners []proxy.Listener, sockets []systemd.Socket) error {
	passed, err := systemd.Assign(len(listeners), sockets, func(i int) string { return listeners[i].Name })
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
			in.Name = s.Addr.String()
			d.cfg.Listeners[i].Name = in.Name
		} else {
			d.compare(*in, d.cfg.Listeners[i].Address.String(), *s)
		}
		in.FD, in.Addr = s.FD, s.Addr
		d.sources[in.Name], d.sockets[in.Name] = sourceSystemd, s.Addr
	}
	return nil
}

// compare warns of a socket that is not what the configuration says of its listener.
func (d *daemon) compare(in proxy.Listener, configured string, s systemd.Socket) {
	if in.Addr.Addr() != s.Addr.Addr() || in.Addr.Port() != s.Addr.Port() && in.Addr.Port() != 0 {
		d.log.Warn("the socket from systemd has another address than the listener: clients are accepted at the socket's",
			zap.String("listener", in.Name), zap.String("configured", configured), zap.Stringer("socket", s.Addr),
			zap.String("do", "write the address of ListenStream= under listeners"))
	}
	if named := in.Name != configured; named && in.Name != s.Name {
		d.log.Warn("the socket from systemd has another name than the listener: it was taken by its position",
			zap.String("listener", in.Name), zap.String("socket_name", s.Name), zap.Stringer("socket", s.Addr),
			zap.String("do", "write FileDescriptorName="+in.Name+" in the socket unit"))
	}
}
