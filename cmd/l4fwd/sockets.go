package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"net/http"
	"net/netip"
	"os"
	"sync"

	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/admin"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/ports"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/systemd"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/upgrade"
	"github.com/l4fwd/l4fwd/health"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// sockets knows which listeners accept from a socket of the service manager. The zero value is for a daemon that got none.
type sockets struct {
	// unnamed: the only listener is there because none was configured, and takes the address of its socket as its name.
	unnamed bool

	mu sync.Mutex
	at map[string]netip.AddrPort // by listener
}

// assign gives the sockets to the listeners of cfg, whose compiled form is listeners, and warns of those that are not as
// configured: clients are accepted where the socket is.
func (s *sockets) assign(cfg *config.Config, listeners []proxy.Listener, passed []systemd.Socket, log *zap.Logger) error {
	assigned, err := systemd.Assign(len(listeners), passed, func(i int) string { return listeners[i].Name })
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.at = map[string]netip.AddrPort{}
	for i, socket := range assigned {
		in := &listeners[i]
		if socket == nil {
			continue
		}
		if s.unnamed {
			in.Name = socket.Addr.String()
			cfg.Listeners[i].Name = in.Name
		} else {
			compareSocket(*in, cfg.Listeners[i].Address.String(), *socket, log)
		}
		in.FD, in.Addr = socket.FD, socket.Addr
		s.at[in.Name] = socket.Addr
	}
	return nil
}

// compareSocket warns of a socket that differs from the configuration of its listener.
func compareSocket(in proxy.Listener, configured string, s systemd.Socket, log *zap.Logger) {
	if in.Addr.Addr() != s.Addr.Addr() || in.Addr.Port() != s.Addr.Port() && in.Addr.Port() != 0 {
		log.Warn("the socket from systemd has another address than the listener: clients are accepted at the socket's",
			zap.String("listener", in.Name), zap.String("configured", configured), zap.Stringer("socket", s.Addr),
			zap.String("do", "write the address of ListenStream= under listeners"))
	}
	if named := in.Name != configured; named && in.Name != s.Name {
		log.Warn("no socket from systemd has the name of the listener: the socket at the same position in the list is used",
			zap.String("listener", in.Name), zap.String("socket_name", s.Name), zap.Stringer("socket", s.Addr),
			zap.String("do", "write FileDescriptorName="+in.Name+" in the socket unit"))
	}
}

// reassign gives listeners that accept from a socket its address again, for a reload of the configuration cfg.
func (s *sockets) reassign(cfg *config.Config, listeners []proxy.Listener, unnamed bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range listeners {
		in := &listeners[i]
		if unnamed && s.unnamed {
			for name := range s.at {
				in.Name, cfg.Listeners[i].Name = name, name
			}
		}
		if addr, ok := s.at[in.Name]; ok {
			in.Addr = addr
		}
	}
}

// all returns the addresses of the sockets by listener.
func (s *sockets) all() map[string]netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	return maps.Clone(s.at)
}

// takeOver gives the listeners of cfg the sockets that they had in the process before this one.
func (s *sockets) takeOver(cfg *config.Config, listeners []proxy.Listener, part json.RawMessage) error {
	if part == nil {
		return nil
	}
	if err := json.Unmarshal(part, &s.at); err != nil {
		return fmt.Errorf("read which sockets are the service manager's: %w", err)
	}
	s.reassign(cfg, listeners, s.unnamed)
	s.forget(cfg.Listeners)
	return nil
}

// forget drops the sockets whose listener is gone: the relay has closed them.
func (s *sockets) forget(listeners []config.Listener) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := make(map[string]bool, len(listeners))
	for _, in := range listeners {
		left[in.Name] = true
	}
	for name := range s.at {
		if !left[name] {
			delete(s.at, name)
		}
	}
}

// source is where the socket of a listener comes from.
func (s *sockets) source(listener string) string {
	s.mu.Lock()
	defer s.mu.Unlock()
	if _, passed := s.at[listener]; passed {
		return admin.SourceSystemd
	}
	return admin.SourceOpened
}

// nowhere is the listener of a port that is off.
type nowhere struct{}

// Accept fails at once, so that a server on it ends instead of waiting.
func (nowhere) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (nowhere) Close() error              { return nil }

// Addr returns an address that reads "off".
func (nowhere) Addr() net.Addr { return &net.UnixAddr{Name: "off", Net: "unix"} }

var noPort = &port{Listener: nowhere{}}

// maxAdminConnections bounds the operators' port, as health.MaxConnections does the other.
const maxAdminConnections = 64

// listenHealth opens health.address, or takes it over.
func listenHealth(cfg config.Health, from *upgrade.Successor) (*port, error) {
	e := cfg.Address
	if e.Off() {
		return noPort, nil
	}
	p := &port{use: handoff.UseHealth, network: "tcp", address: e.Addr.String()}
	err := p.open(from, func() (net.Listener, error) { return net.Listen(p.network, p.address) })
	if err != nil {
		return nil, ports.ExplainListen("the health port", "--health", 8081, e.Addr, err, from.Addresses()...)
	}
	p.pausable = &ports.Pausable{Listener: p.raw}
	p.Listener = health.Listener(p.pausable)
	return p, nil
}

// listenAdmin opens admin.address, or takes it over. A socket in the file system belongs to the user of the process alone; one
// that a daemon left behind is replaced.
func listenAdmin(cfg config.Admin, from *upgrade.Successor) (*port, error) {
	e := cfg.Address
	if e.Off() {
		return noPort, nil
	}
	p := &port{use: handoff.UseAdmin, network: e.Network(), address: e.Address()}
	err := p.open(from, func() (net.Listener, error) {
		if e.Unix != "" {
			return ports.Unix(e.Unix)
		}
		l, err := net.Listen(p.network, p.address)
		if err != nil {
			err = ports.ExplainListen("the admin port", "--admin", 9902, e.Addr, err, from.Addresses()...)
		}
		return l, err
	})
	if err != nil {
		return nil, err
	}
	p.pausable = &ports.Pausable{Listener: p.raw}
	p.Listener = health.Bounded(p.pausable, maxAdminConnections)
	return p, nil
}

// open takes the port's socket over, or has listen open it.
func (p *port) open(from *upgrade.Successor, listen func() (net.Listener, error)) (err error) {
	p.raw, err = from.Listener(p.use, p.network, p.address)
	if u, ok := p.raw.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(true) // as if it had been opened here
		if _, gone := os.Lstat(p.address); gone != nil {
			u.Close() // nobody can reach it: systemd has removed its directory
			p.raw = nil
		}
	}
	if p.raw == nil && err == nil {
		p.raw, err = listen()
	}
	return err
}

// listening returns all listening sockets. closeFiles closes those of the ports; it is to be called also after an error.
func (d *daemon) listening() (all []handoff.Socket, closeFiles func(), err error) {
	var files []*os.File
	closeFiles = func() {
		for _, f := range files {
			f.Close()
		}
	}
	if all, err = d.fwd.Sockets(); err != nil {
		return nil, closeFiles, err
	}
	for _, p := range d.ports {
		f, fd, err := p.file()
		if err != nil {
			return nil, closeFiles, err
		}
		files = append(files, f)
		all = append(all, upgrade.PortSocket(p.use, p.network, p.address, fd))
	}
	return all, closeFiles, nil
}

// port is the health or the admin port.
type port struct {
	net.Listener              // as it is served
	raw          net.Listener // as the system has it; nil: the port is off
	pausable     *ports.Pausable
	srv          *http.Server // nil: it is not served yet
	use          string       // handoff.UseHealth or UseAdmin
	network      string
	address      string // as configured
	callers      ports.Callers
}

// file returns a duplicate of the port's socket, and its descriptor. The caller closes the file.
func (p *port) file() (f *os.File, fd int, err error) {
	l, ok := p.raw.(interface{ File() (*os.File, error) })
	if !ok {
		return nil, 0, fmt.Errorf("the socket of %s cannot be handed over", p.address)
	}
	if f, err = l.File(); err != nil {
		return nil, 0, err
	}
	// Not f.Fd(), which would make the port's own socket blocking, too: an Accept in the kernel can't be ended by Close.
	c, err := f.SyscallConn()
	if err == nil {
		err = c.Control(func(d uintptr) { fd = int(d) })
	}
	if err != nil {
		f.Close()
		return nil, 0, err
	}
	return f, fd, nil
}

// pause keeps callers from being accepted until resume is called. Those of the health port have been answered on return, or took too
// long: a scrape must not see this process after it has seen the next one.
func (p *port) pause() (resume func()) {
	if p.srv == nil || p.pausable.Pause() != nil {
		return func() {}
	}
	limit := ports.LastScrapes
	if p.use == handoff.UseAdmin {
		limit = 0 // the caller that asked for the upgrade is there
	}
	p.callers.Settle(p.srv, limit)
	return func() {
		p.srv.SetKeepAlivesEnabled(true)
		p.pausable.Resume()
	}
}

// keepPath leaves a socket in the file system where it is when the port is closed: the new process has it.
func (p *port) keepPath() {
	if u, ok := p.raw.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(false)
	}
}
