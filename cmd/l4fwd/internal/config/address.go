package config

import (
	"net/netip"
	"net/url"
	"strconv"
	"strings"
)

// maxUnixPath is what fits into sockaddr_un with its final zero, on every system; see unix(7).
const maxUnixPath = 103

// ParseListen reads IP:PORT, or :PORT for every address of both families.
func ParseListen(text string) (netip.AddrPort, error) {
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

func zoneFault(text string, addr netip.Addr, port uint16) error {
	zoned := netip.AddrPortFrom(addr.WithZone("eth0"), port)
	return fault("%q has no interface", "a link-local address needs its interface: "+zoned.String(), text)
}

// ParseHostPort reads the address of an upstream: a DNS name or an IP address, and a port that is not 0.
func ParseHostPort(text string) (host string, port uint16, err error) {
	if text == "" {
		return "", 0, fault("the address is empty", "write HOST:PORT")
	}
	if strings.Contains(text, "/") {
		return "", 0, urlFault(text)
	}
	if strings.Contains(text, ",") {
		return "", 0, fault("%q: one upstream only", "write several under upstreams in a file", text)
	}
	if addr, e := netip.ParseAddr(text); e == nil && addr.Is6() {
		return "", 0, fault("%q has no port", "write "+bracketed(text), text)
	}
	host, port, e := splitPort(text)
	switch {
	case e != nil && !strings.Contains(text, ":"):
		return "", 0, fault("%q has no port", "write "+text+":443", text)
	case e != nil:
		return "", 0, fault("%q is not HOST:PORT: %s", "write HOST:PORT, like "+hostOr(host, "example.com")+":443", text, e)
	case port == 0:
		return "", 0, fault("%q: port 0 cannot be connected to", "write a port from 1 to 65535", text)
	}
	if addr, e := netip.ParseAddr(host); e == nil {
		if addr.IsUnspecified() || addr.IsMulticast() {
			return "", 0, fault("%q: %s is no destination", "write the address of the upstream", text, addr)
		}
		if zoneless(addr.Unmap()) {
			return "", 0, zoneFault(text, addr, port)
		}
		return addr.Unmap().String(), port, nil
	}
	if strings.Contains(strings.ToUpper(host), placeholder) {
		return "", 0, fault("%q is the example of the README", "write the name of your resource for "+placeholder, text)
	}
	if what := badHostName(host); what != "" {
		return "", 0, fault("%q: %s", "write HOST:PORT with a DNS name or an IP address", text, what)
	}
	return host, port, nil
}

// placeholder stands in the README's commands for what nobody but the reader knows.
const placeholder = "YOUR-RESOURCE"

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

func hostOr(host, other string) string {
	if badHostName(host) == "" {
		return host
	}
	return other
}

// urlFault tells what to write instead of a URL.
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

// badHostName says what is wrong with a DNS name; empty if nothing is.
func badHostName(name string) string {
	name = strings.TrimSuffix(name, ".")
	if name == "" {
		return "the host is empty"
	}
	if len(name) > 253 {
		return "the host is longer than 253 characters"
	}
	for _, label := range strings.Split(name, ".") {
		switch {
		case label == "":
			return "the host has two dots in a row"
		case len(label) > 63:
			return "a part of the host is longer than 63 characters"
		case strings.HasPrefix(label, "-") || strings.HasSuffix(label, "-"):
			return "a part of the host begins or ends with a dash"
		}
	}
	for _, r := range name {
		if r != '.' && r != '-' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') {
			return "the host has a character " + strconv.QuoteRune(r)
		}
	}
	last := name[strings.LastIndexByte(name, '.')+1:]
	if strings.Trim(last, "0123456789") == "" {
		return "the host is neither an IP address nor a DNS name"
	}
	return ""
}

// ParseResolver reads IP or IP:PORT; the port is 53 unless given.
func ParseResolver(text string) (netip.AddrPort, error) {
	if addr, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return netip.AddrPortFrom(addr.Unmap(), 53), nil
	}
	ap, err := netip.ParseAddrPort(text)
	if err != nil || ap.Port() == 0 || ap.Addr().IsUnspecified() {
		return netip.AddrPort{}, fault("%q is not the address of a resolver", "write IP or IP:PORT, like 10.0.0.2", text)
	}
	return netip.AddrPortFrom(ap.Addr().Unmap(), ap.Port()), nil
}

// Endpoint is where health or admin is served. The zero value is nowhere.
type Endpoint struct {
	Addr netip.AddrPort
	Unix string // path of a socket
}

func (e Endpoint) Off() bool { return e == Endpoint{} }

func (e Endpoint) Local() bool { return e.Unix != "" || e.Addr.Addr().IsLoopback() }

// network and address are as net.Listen and net.Dial take them.
func (e Endpoint) Network() string {
	if e.Unix != "" {
		return "unix"
	}
	return "tcp"
}

func (e Endpoint) Address() string {
	if e.Unix != "" {
		return e.Unix
	}
	return e.Addr.String()
}

// ParseService reads IP:PORT, :PORT or off.
func ParseService(text string) (Endpoint, error) {
	if text == "off" {
		return Endpoint{}, nil
	}
	ap, err := ParseListen(text)
	if err != nil {
		f := *err.(*Fault)
		f.Allowed += ", or off"
		return Endpoint{}, &f
	}
	return Endpoint{Addr: ap}, nil
}

// ParseAdmin reads IP:PORT, unix:PATH or off.
func ParseAdmin(text string) (Endpoint, error) {
	path, ok := strings.CutPrefix(text, "unix:")
	switch {
	case !ok:
		return ParseService(text)
	case path == "" || strings.HasPrefix(path, "@"):
		return Endpoint{}, fault("%q is not the path of a socket", "write unix:PATH, like unix:/run/l4fwd/admin.sock", text)
	case len(path) > maxUnixPath:
		return Endpoint{}, fault("the path is %d bytes long", "a socket's path has at most 103 bytes", len(path))
	}
	return Endpoint{Unix: path}, nil
}

// splitPort cuts HOST:PORT, with brackets around an IPv6 address.
func splitPort(text string) (host string, port uint16, err error) {
	i := strings.LastIndexByte(text, ':')
	if i < 0 {
		return "", 0, errorText("there is no port")
	}
	host, digits := text[:i], text[i+1:]
	if inner, ok := strings.CutPrefix(host, "["); ok {
		if host, ok = strings.CutSuffix(inner, "]"); !ok {
			return host, 0, errorText("the bracket is not closed")
		}
	} else if strings.Contains(host, ":") {
		return host, 0, errorText("an IPv6 address needs brackets, like [2001:db8::1]:443")
	}
	n, e := strconv.ParseUint(digits, 10, 16)
	if e != nil {
		return host, 0, errorText("the port " + strconv.Quote(digits) + " is not a number from 0 to 65535")
	}
	return host, uint16(n), nil
}

type errorText string

func (e errorText) Error() string { return string(e) }
