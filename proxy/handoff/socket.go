package handoff

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Check returns an error unless the descriptor is a socket that accepts streams where the values say. A foreign one, such as a socket that
// does not listen, would have the process serve nobody.
func (s *Socket) Check() error {
	addr, path, err := listeningOn(s.FD)
	if err == nil {
		err = s.isOn(addr, path)
	}
	if err != nil {
		return fmt.Errorf("the socket of %s %q: %w", s.Use, s.Name, err)
	}
	return nil
}

// isOn returns an error unless a socket at addr, or at path in the file system, is where the values say.
func (s *Socket) isOn(addr netip.AddrPort, path string) error {
	network, configured, _ := strings.Cut(s.Name, ":")
	want, err := netip.ParseAddrPort(configured)
	switch {
	case s.Use == UseRelay:
		want = s.Addr
	case network == "unix" && path == configured:
		return nil
	case network == "unix":
		return fmt.Errorf("it listens on %s", where(addr, path))
	case err != nil:
		return errors.New("it has no address")
	}
	same := want.Addr().WithZone("") == addr.Addr().WithZone("") || want.Addr().IsUnspecified() && addr.Addr().IsUnspecified() // a host without IPv6
	if !addr.IsValid() || !same || want.Port() != 0 && want.Port() != addr.Port() {
		return fmt.Errorf("it listens on %s, not on %s", where(addr, path), want)
	}
	return nil
}

// where is the place of a listening socket.
func where(addr netip.AddrPort, path string) string {
	if addr.IsValid() {
		return addr.String()
	}
	return "unix:" + path
}
