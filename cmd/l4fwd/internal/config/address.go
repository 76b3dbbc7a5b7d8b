package config

import (
	"errors"
	"net"
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// HostPort is where to connect to: a DNS name or an IP address, and a port that is not 0. The zero value is no address.
type HostPort struct {
	Host string
	Port uint16
}

// String is the address as a file has it; empty for the zero value.
func (a HostPort) String() string {
	if a == (HostPort{}) {
		return ""
	}
	return net.JoinHostPort(a.Host, strconv.Itoa(int(a.Port)))
}

// IP is the address of a host that is no name; invalid if it is one.
func (a HostPort) IP() netip.Addr {
	addr, err := netip.ParseAddr(a.Host)
	if err != nil {
		return netip.Addr{}
	}
	return addr
}

// ListenAddr is an address to accept on. The unspecified IPv6 address takes both families. It remembers how it was
// written, since a listener without a name is named after that.
type ListenAddr struct {
	netip.AddrPort
	text string
}

// String is the address as it was written.
func (a ListenAddr) String() string {
	if a.text == "" && a.IsValid() {
		return a.AddrPort.String()
	}
	return a.text
}

// ParseListen reads IP:PORT, localhost:PORT, or :PORT for every address of both families.
func ParseListen(text string) (ListenAddr, error) {
	ap, err := parseLocal(text)
	if err != nil {
		return ListenAddr{}, err
	}
	return ListenAddr{ap, text}, nil
}

// parseLocal reads the address of a listener, or of a port of the daemon.
func parseLocal(text string) (netip.AddrPort, error) {
	const allowed = "write IP:PORT, or :PORT for every address"
	host, port, err := splitPort(text)
	if err != nil {
		if _, e := strconv.ParseUint(text, 10, 16); e == nil {
			return netip.AddrPort{}, fault("%q has no colon", "write :"+text, text)
		}
		return netip.AddrPort{}, fault("%q is not an address: %s", allowed, text, err)
	}
	switch host {
	case "", "*":
		return netip.AddrPortFrom(netip.IPv6Unspecified(), port), nil
	case "localhost":
		host = "127.0.0.1"
	}
	addr, e := netip.ParseAddr(host)
	if e != nil {
		return netip.AddrPort{}, fault("%q is not an address: %q is no IP address", allowed, text, host)
	}
	addr = addr.Unmap()
	switch {
	case zoneless(addr):
		return netip.AddrPort{}, zoneFault(text, addr, port)
	case addr.IsMulticast():
		return netip.AddrPort{}, fault("%q: %s is a multicast address", allowed, text, addr)
	}
	return netip.AddrPortFrom(addr, port), nil
}

// zoneless reports whether addr is link-local without the interface that it is local to, which the kernel refuses.
func zoneless(addr netip.Addr) bool {
	return addr.Is6() && addr.IsLinkLocalUnicast() && addr.Zone() == ""
}

// zoneFault says how to write an address that is zoneless.
func zoneFault(text string, addr netip.Addr, port uint16) error {
	zoned := netip.AddrPortFrom(addr.WithZone("eth0"), port)
	return fault("%q has no interface", "a link-local address needs its interface: "+zoned.String(), text)
}

// ParseHostPort reads the address of an upstream: a DNS name or an IP address, and a port that is not 0.
func ParseHostPort(text string) (HostPort, error) {
	if err := noHostPort(text); err != nil {
		return HostPort{}, err
	}
	host, port, err := splitPort(text)
	switch {
	case err != nil && !strings.Contains(text, ":"):
		return HostPort{}, fault("%q has no port", "write "+text+":443", text)
	case err != nil:
		return HostPort{}, fault("%q is not HOST:PORT: %s", "write HOST:PORT, like "+hostOr(host, "example.com")+":443", text, err)
	case port == 0:
		return HostPort{}, fault("%q: port 0 cannot be connected to", "write a port from 1 to 65535", text)
	}
	if addr, e := netip.ParseAddr(host); e == nil {
		return destination(text, addr.Unmap(), port)
	}
	if what := badHostName(host); what != "" {
		return HostPort{}, fault("%q: %s", "write HOST:PORT with a DNS name or an IP address", text, what)
	}
	return HostPort{host, port}, nil
}

// noHostPort finds what is meant as something else than HOST:PORT.
func noHostPort(text string) error {
	host, _, _ := strings.Cut(strings.TrimPrefix(strings.TrimPrefix(text, "https://"), "http://"), "/")
	host, _, _ = strings.Cut(host, ":")
	if part := placeholderIn(host); part != "" {
		return fault("%q has a placeholder, %s", "write the name of your own resource for it, in small letters", text, part)
	}
	addr, err := netip.ParseAddr(text)
	switch {
	case text == "":
		return fault("the address is empty", "write HOST:PORT")
	case strings.Contains(text, "/"):
		return urlFault(text)
	case strings.Contains(text, ","):
		return fault("%q: one upstream only", "write several under upstreams in a file", text)
	case err == nil && addr.Is6():
		return fault("%q has no port", "write "+bracketed(text), text)
	}
	return nil
}

// destination is an IP address that can be connected to.
func destination(text string, addr netip.Addr, port uint16) (HostPort, error) {
	switch {
	case addr.IsUnspecified() || addr.IsMulticast():
		return HostPort{}, fault("%q: %s is no destination", "write the address of the upstream", text, addr)
	case zoneless(addr):
		return HostPort{}, zoneFault(text, addr, port)
	}
	return HostPort{addr.String(), port}, nil
}

// bracketed is an IPv6 address without brackets as HOST:PORT. Its last group is taken for the port if it looks like one
// of those services have, and the rest is an address.
func bracketed(text string) string {
	i := strings.LastIndexByte(text, ':')
	port, err := strconv.ParseUint(text[i+1:], 10, 16)
	addr, e := netip.ParseAddr(text[:i])
	if err == nil && e == nil && port >= 80 {
		return netip.AddrPortFrom(addr, uint16(port)).String()
	}
	return "[" + text + "]:443"
}

// hostOr is host if it can be one, else other.
func hostOr(host, other string) string {
	if badHostName(host) == "" {
		return host
	}
	return other
}

// urlFault says what to write instead of a URL.
func urlFault(text string) error {
	full := text
	if !strings.Contains(full, "://") {
		full = "https://" + full
	}
	u, err := url.Parse(full)
	if err != nil || badHostName(u.Hostname()) != "" {
		return fault("%q is not HOST:PORT", "write HOST:PORT without scheme and path", text)
	}
	port := u.Port()
	switch {
	case port != "":
	case u.Scheme == "http" || u.Scheme == "ws":
		port = "80"
	default:
		port = "443"
	}
	return fault("%q is a URL", "write "+u.Hostname()+":"+port, text)
}

// parseResolver reads IP or IP:PORT; the port is 53 unless given.
func parseResolver(text string) (netip.AddrPort, error) {
	ap, err := netip.ParseAddrPort(text)
	if addr, e := netip.ParseAddr(strings.Trim(text, "[]")); e == nil {
		ap, err = netip.AddrPortFrom(addr, 53), nil
	}
	addr := ap.Addr().Unmap()
	if err != nil || ap.Port() == 0 || addr.IsUnspecified() || addr.IsMulticast() {
		return netip.AddrPort{}, fault("%q is not the address of a resolver", "write IP or IP:PORT, like 10.0.0.2", text)
	}
	return netip.AddrPortFrom(addr, ap.Port()), nil
}

// splitPort cuts HOST:PORT, with brackets around an IPv6 address.
func splitPort(text string) (host string, port uint16, err error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", 0, errors.New("there is no port")
	}
	host, digits := text[:i], text[i+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return host, 0, errors.New("the bracket is not closed")
		}
	} else if strings.Contains(host, ":") {
		return host, 0, errors.New("an IPv6 address needs brackets, like [2001:db8::1]:443")
	}
	n, e := strconv.ParseUint(digits, 10, 16)
	if e != nil {
		return host, 0, errors.New("the port " + strconv.Quote(digits) + " is not a number from 0 to 65535")
	}
	return host, uint16(n), nil
}
