// Package ports opens the daemon's ports in the file system and explains what keeps a port from being opened, in the words of an
// operator.
package ports

import (
	"errors"
	"fmt"
	"math"
	"net"
	"net/netip"
	"strconv"
	"syscall"

	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// ExplainStart says what to do about an error of the forwarder's start. own is where the daemon, or the one before, listens already.
func ExplainStart(err error, own []netip.AddrPort) error {
	var le *proxy.ListenError
	var ee *relay.EngineError
	switch {
	case errors.As(err, &le):
		who := fmt.Sprintf("listener %q", le.Listener)
		return ExplainListen(who, "--listen", 8443, le.Addr, le.Err, own...)
	case errors.As(err, &ee):
		return Advise(err, "engine %s cannot be used: %s; use --engine auto, which takes the next best", ee.Engine, ee.Err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return Advise(err, "cannot start: %s; raise the limit of open files with LimitNOFILE= in the unit or ulimit -n", err)
	}
	return fmt.Errorf("cannot start: %w", err)
}

// ExplainListen explains a failed listen on addr and suggests a fix; flag is the one that names another port, and the first free
// one from port on is suggested. own is where this daemon, or the one that it takes over from, listens already: see ExplainOwn.
func ExplainListen(who, flag string, port uint16, addr netip.AddrPort, err error, own ...netip.AddrPort) error {
	if said := ExplainOwn(who, addr, err, own); said != nil {
		return said
	}
	what := fmt.Sprintf("%s cannot listen on %s: %s", who, addr, Cause(err))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return Advise(err, "%s; another process has this port: `ss -ltnp 'sport = :%d'` names it, "+
			"or, if it is the local port of a connection, `ss -tanp 'sport = :%d'`; stop it, or use another port, like %s %s", what, addr.Port(), addr.Port(), flag, unusedPort(addr, port))
	case errors.Is(err, syscall.EACCES) && addr.Port() < 1024:
		return Advise(err, "%s; ports below 1024 need a privilege: use another port, like %s %s, or grant CAP_NET_BIND_SERVICE "+
			"(systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE; otherwise: setcap cap_net_bind_service=+ep on the binary)", what, flag, unusedPort(addr, port))
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return Advise(err, "%s; this machine has no such address: `ip addr` lists those it has; :%d takes them all", what, addr.Port())
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return Advise(err, "%s; the kernel has no %s: name an address of the other family, like 0.0.0.0:%d", what, family(addr), addr.Port())
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return Advise(err, "%s; too many open files: there are more listeners and loops than the limit allows; raise it with LimitNOFILE= in the unit or ulimit -n", what)
	}
	return Advise(err, "%s", what)
}

// ExplainOwn is ExplainListen for a daemon, or one that takes over from it, that listens on own already: a port of one of these is in nobody
// else's way. It is nil for any other.
func ExplainOwn(who string, addr netip.AddrPort, err error, own []netip.AddrPort) error {
	for _, o := range own {
		if errors.Is(err, syscall.EADDRINUSE) && o.Port() == addr.Port() && addr.Port() != 0 {
			return Advise(err, "%s cannot listen on %s: this daemon listens on %s; to change one for the other takes a stop and a start, or another port", who, addr, o)
		}
	}
	return nil
}

// portsTried is how many ports unusedPort tries before it lets the kernel choose one.
const portsTried = 100

// unusedPort returns the address of addr with a port that nobody listens on: the first from port on, else any. If the address itself
// cannot be listened on, it returns the first one.
func unusedPort(addr netip.AddrPort, port uint16) string {
	at := func(n int) string {
		if addr.Addr().IsUnspecified() {
			return ":" + strconv.Itoa(n)
		}
		return netip.AddrPortFrom(addr.Addr(), uint16(n)).String()
	}
	for n := int(port); n < int(port)+portsTried && n <= math.MaxUint16; n++ {
		if _, err := listenOnce(at(n)); err == nil {
			return at(n)
		}
	}
	if n, err := listenOnce(at(0)); err == nil {
		return at(n)
	}
	return at(int(port))
}

// listenOnce listens on an address for a moment and returns the port.
func listenOnce(addr string) (int, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return 0, err
	}
	defer l.Close()
	return l.Addr().(*net.TCPAddr).Port, nil
}

// family names the IP version of an address.
func family(addr netip.AddrPort) string {
	if addr.Addr().Is6() {
		return "IPv6"
	}
	return "IPv4"
}

// Cause is the system's error itself: what wraps it repeats what we say better.
func Cause(err error) error {
	var errno syscall.Errno
	if errors.As(err, &errno) {
		return errno
	}
	return err
}

// advised is an error with a text for people.
type advised struct {
	text string
	err  error
}

func (a *advised) Error() string { return a.text }
func (a *advised) Unwrap() error { return a.err }

// Advise gives an error a text for people, which says what to do. It wraps err.
func Advise(err error, format string, args ...any) error {
	return &advised{fmt.Sprintf(format, args...), err}
}
