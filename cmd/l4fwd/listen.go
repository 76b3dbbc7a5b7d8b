package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"syscall"
	"time"

	"golang.org/x/net/netutil"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/upgrade"
	"github.com/l4fwd/l4fwd/health"
	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// nowhere is the listener of a port that is off.
type nowhere struct{}

func (nowhere) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (nowhere) Close() error              { return nil }
func (nowhere) Addr() net.Addr            { return &net.UnixAddr{Name: "off", Net: "unix"} }

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
		return nil, explainListen("the health port", "--health", 8081, e.Addr, err)
	}
	p.Listener = health.Listener(p.raw)
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
			return listenUnix(e.Unix)
		}
		l, err := net.Listen(p.network, p.address)
		if err != nil {
			err = explainListen("the admin port", "--admin", 9902, e.Addr, err)
		}
		return l, err
	})
	if err != nil {
		return nil, err
	}
	p.Listener = netutil.LimitListener(p.raw, maxAdminConnections)
	return p, nil
}

// open takes the port's socket over, or has listen open it.
func (p *port) open(from *upgrade.Successor, listen func() (net.Listener, error)) (err error) {
	if p.raw, err = from.Listener(p.use, p.network, p.address); p.raw == nil && err == nil {
		p.raw, err = listen()
	} else if u, ok := p.raw.(*net.UnixListener); ok {
		u.SetUnlinkOnClose(true) // as if it had been opened here
	}
	return err
}

// listenUnix opens a socket in the file system that only the user of this process may connect to.
func listenUnix(path string) (net.Listener, error) {
	if err := removeStale(path); err != nil {
		return nil, err
	}
	// The mode is right from the first moment: a socket that others may open for an instant is one they have opened.
	old := syscall.Umask(0o177)
	l, err := net.Listen("unix", path)
	syscall.Umask(old)
	if err != nil {
		return nil, fmt.Errorf("cannot open the admin socket %s: %w; name another one with --admin unix:PATH", path, cause(err))
	}
	return l, nil
}

// removeStale removes a socket that nobody listens on, and nothing else.
func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("cannot open the admin socket %s: %w", path, cause(err))
	}
	if info.Mode()&fs.ModeSocket == 0 {
		return fmt.Errorf("cannot open the admin socket %s: a file that is no socket is there; name another path with --admin unix:PATH", path)
	}
	c, err := net.DialTimeout("unix", path, time.Second)
	if err == nil {
		c.Close()
		return fmt.Errorf("the admin socket %s is in use: another l4fwd runs; name another path with --admin unix:PATH", path)
	}
	if !errors.Is(err, syscall.ECONNREFUSED) {
		return fmt.Errorf("cannot open the admin socket %s: %w", path, cause(err))
	}
	return os.Remove(path)
}
