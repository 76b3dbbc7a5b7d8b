package config

import (
	"net/netip"
	"strconv"
	"strings"
)

// Endpoint is where the health or the admin port is served. The zero value is nowhere.
type Endpoint struct {
	Addr netip.AddrPort
	Unix string // path of a socket
}

// Off reports whether the port is not served at all.
func (e Endpoint) Off() bool { return e == Endpoint{} }

// Local reports whether only this machine can reach it.
func (e Endpoint) Local() bool { return e.Unix != "" || e.Addr.Addr().IsLoopback() }

// Network is the network as net.Listen and net.Dial take it.
func (e Endpoint) Network() string {
	if e.Unix != "" {
		return "unix"
	}
	return "tcp"
}

// Address is the address as net.Listen and net.Dial take it.
func (e Endpoint) Address() string {
	if e.Unix != "" {
		return e.Unix
	}
	return e.Addr.String()
}

// String is the address as a file has it.
func (e Endpoint) String() string {
	switch {
	case e.Off():
		return "off"
	case e.Unix != "":
		return "unix:" + e.Unix
	case e.Addr.Addr() == netip.IPv6Unspecified():
		return ":" + strconv.Itoa(int(e.Addr.Port()))
	}
	return e.Addr.String()
}

// maxUnixPath is what fits into sockaddr_un with its final zero, on every system; see unix(7). In bytes.
const maxUnixPath = 103

// parseService reads IP:PORT, :PORT or off.
func parseService(text string) (Endpoint, error) { return parseEndpoint(text, ", or off") }

// parseEndpoint is parseService with what else is allowed.
func parseEndpoint(text, otherwise string) (Endpoint, error) {
	if text == "off" {
		return Endpoint{}, nil
	}
	ap, err := parseLocal(text)
	if err != nil {
		f := asFault(err)
		f.Allowed += otherwise
		return Endpoint{}, f
	}
	return Endpoint{Addr: ap}, nil
}

// ParseAdmin reads IP:PORT, unix:PATH or off.
func ParseAdmin(text string) (Endpoint, error) {
	path, ok := strings.CutPrefix(text, "unix:")
	switch {
	case !ok:
		return parseEndpoint(text, ", unix:PATH for a socket, or off")
	case path == "" || strings.HasPrefix(path, "@"):
		return Endpoint{}, fault("%q is not the path of a socket", "write unix:PATH, like unix:/run/l4fwd/admin.sock", text)
	case len(path) > maxUnixPath:
		return Endpoint{}, fault("the path is %d bytes long", "a socket's path has at most 103 bytes", len(path))
	}
	return Endpoint{Unix: path}, nil
}
