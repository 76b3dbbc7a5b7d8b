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
	"github.com/l4fwd/l4fwd/health"
)

// nowhere is the listener of a port that is off.
type nowhere struct{}

func (nowhere) Accept() (net.Conn, error) { return nil, net.ErrClosed }
func (nowhere) Close() error              { return nil }
func (nowhere) Addr() net.Addr            { return &net.UnixAddr{Name: "off", Net: "unix"} }

var noPort net.Listener = nowhere{}

// maxAdminConnections bounds the operators' port, as health.MaxConnections does the other.
const maxAdminConnections = 64

// listenHealth opens health.address.
func listenHealth(cfg config.Health) (net.Listener, error) {
	e := cfg.Address
	if e.Off() {
		return noPort, nil
	}
	l, err := net.Listen("tcp", e.Addr.String())
	if err != nil {
		return nil, explainListen("the health port", "--health", 8081, e.Addr, err)
	}
	return health.Listener(l), nil
}

// listenAdmin opens admin.address. A socket in the file system belongs to the user of the process alone; one that a
// daemon left behind is replaced.
func listenAdmin(cfg config.Admin) (net.Listener, error) {
	e := cfg.Address
	if e.Off() {
		return noPort, nil
	}
	var l net.Listener
	var err error
	if e.Unix != "" {
		l, err = listenUnix(e.Unix)
	} else {
		l, err = net.Listen("tcp", e.Addr.String())
		if err != nil {
			err = explainListen("the admin port", "--admin", 9902, e.Addr, err)
		}
	}
	if err != nil {
		return nil, err
	}
	return netutil.LimitListener(l, maxAdminConnections), nil
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
