package main

import (
	"errors"
	"fmt"
	"net/netip"
	"syscall"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/reload"
	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// explainStart says what to do about an error of the forwarder's start.
func explainStart(err error) error {
	var le *proxy.ListenError
	var ee *relay.EngineError
	switch {
	case errors.As(err, &le):
		return explainListen(fmt.Sprintf("listener %q", le.Listener), "--listen :8443", le.Addr, le.Err)
	case errors.As(err, &ee):
		return advise(err, "engine %s cannot be used: %s; use --engine auto, which takes the next best", ee.Engine, ee.Err)
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return advise(err, "cannot start: %s; raise the limit of open files with LimitNOFILE= in the unit or ulimit -n", err)
	}
	return fmt.Errorf("cannot start: %w", err)
}

// explainReload says what to do about an error of a reload; used is where the daemon listens. All that the forwarder refuses in
// a configuration without faults may pass by itself, but for a port that the daemon has itself.
func explainReload(err error, used []netip.AddrPort) error {
	var le *proxy.ListenError
	if !errors.As(err, &le) {
		return reload.Passing(err)
	}
	for _, own := range used {
		if errors.Is(err, syscall.EADDRINUSE) && own.Port() == le.Addr.Port() {
			return advise(err, "listener %q cannot listen on %s: this daemon listens on %s; to change one for the other takes a restart, or another port",
				le.Listener, le.Addr, own)
		}
	}
	return reload.Passing(explainStart(err))
}

// explainListen says why who could not listen on addr and what to do about it; flag is one that would help.
func explainListen(who, flag string, addr netip.AddrPort, err error) error {
	what := fmt.Sprintf("%s cannot listen on %s: %s", who, addr, cause(err))
	switch {
	case errors.Is(err, syscall.EADDRINUSE):
		return advise(err, "%s; another process has this port: `ss -ltnp 'sport = :%d'` names it, "+
			"or, if it is the local port of a connection, `ss -tanp 'sport = :%d'`; stop it, or use another port, like %s", what, addr.Port(), addr.Port(), flag)
	case errors.Is(err, syscall.EACCES) && addr.Port() < 1024:
		return advise(err, "%s; ports below 1024 need a privilege: use another port, like %s, or grant CAP_NET_BIND_SERVICE "+
			"(systemd: AmbientCapabilities=CAP_NET_BIND_SERVICE; otherwise: setcap cap_net_bind_service=+ep on the binary)", what, flag)
	case errors.Is(err, syscall.EADDRNOTAVAIL):
		return advise(err, "%s; this machine has no such address: `ip addr` lists those it has; :%d takes them all", what, addr.Port())
	case errors.Is(err, syscall.EAFNOSUPPORT):
		return advise(err, "%s; the kernel has no %s: name an address of the other family, like 0.0.0.0:%d", what, family(addr), addr.Port())
	case errors.Is(err, syscall.EMFILE), errors.Is(err, syscall.ENFILE):
		return advise(err, "%s; too many open files: there are more listeners and loops than the limit allows; raise it with LimitNOFILE= in the unit or ulimit -n", what)
	}
	return advise(err, "%s", what)
}

// family names the IP version of an address.
func family(addr netip.AddrPort) string {
	if addr.Addr().Is6() {
		return "IPv6"
	}
	return "IPv4"
}

// cause is the system's error itself: what wraps it repeats what we say better.
func cause(err error) error {
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

// advise gives an error a text for people, which says what to do. It wraps err.
func advise(err error, format string, args ...any) error {
	return &advised{fmt.Sprintf(format, args...), err}
}

// errorText is an error that is a constant text.
type errorText string

func (e errorText) Error() string { return string(e) }
