package haproxy

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
)

// server is one server of a backend.
type server struct {
	at      line
	name    string
	host    string
	port    int // 0: the one that the client connected to
	options options
	faulty  bool // it cannot be carried, and that was reported
}

// servers reads the servers of a backend, once.
func (im *importer) servers(p *proxy) []*server {
	if p.serverList != nil {
		return p.serverList
	}
	p.serverList = []*server{}
	defaults := options{}
	for _, l := range p.lines {
		switch l.words[0] {
		case "default-server":
			im.readOptions(l, l.words[1:], serverOptions, defaults)
		case "server", "server-template", "dispatch":
			s := im.newServer(l, defaults)
			s.faulty = s.faulty || !im.carriable(s)
			p.serverList = append(p.serverList, s)
		}
	}
	return p.serverList
}

// newServer reads server NAME ADDRESS …, server-template PREFIX N ADDRESS … or dispatch ADDRESS.
func (im *importer) newServer(l line, defaults options) *server {
	s := &server{at: l, options: options{}}
	maps.Copy(s.options, defaults)
	words := l.words[1:]
	switch l.words[0] {
	case "dispatch":
		words = append([]string{"dispatch"}, words...)
	case "server-template":
		if len(words) >= 3 {
			im.note(l, brief(words[:2]), "l4fwd uses every address of the answer: there are no slots")
			words = slices.Delete(slices.Clone(words), 1, 2)
		}
	}
	s.faulty = !im.fillServer(s, words)
	return s
}

// fillServer reads NAME ADDRESS and options. It reports false, with a remark, if the server cannot be carried.
func (im *importer) fillServer(s *server, words []string) bool {
	if len(words) < 2 {
		im.dropped(s.at, s.at.text(), "there is no address")
		return false
	}
	s.name = words[0]
	if !properName(s.name) || len(s.name) > 40 {
		im.dropped(s.at, s.at.text(), "a server's name has letters, digits and - _ . : only, at most 40 of them")
		return false
	}
	fault := s.address(words[1])
	if !im.readOptions(s.at, words[2:], serverOptions, s.options) {
		return false
	}
	if fault != "" {
		im.dropped(s.at, s.at.text(), fault)
	}
	return fault == ""
}

// address reads the address of a server.
func (s *server) address(text string) (fault string) {
	family, rest, tcp := splitFamily(text)
	switch {
	case strings.HasPrefix(text, "/") || slices.Contains([]string{"unix", "abns", "abnsz", "sockpair", "fd"}, family):
		return "l4fwd connects over TCP only"
	case !tcp:
		return "l4fwd does not know addresses of the kind " + printable(family)
	}
	host, port, _ := splitPort(rest)
	s.host = host
	if fault := s.setPort(port); fault != "" {
		return fault
	}
	switch {
	case strings.HasPrefix(s.host, "_") && strings.Contains(s.host, "._tcp."):
		return "l4fwd does not look up SRV records: name the host and the port"
	case s.host == "" || s.host == "*" || s.host == "0.0.0.0" || s.host == "::":
		return "it sends each client where the client wanted to go: l4fwd goes only to hosts that are listed"
	}
	return ""
}

// setPort reads the port of an address. Without one the server has that of its clients.
func (s *server) setPort(port string) (fault string) {
	if strings.HasPrefix(port, "+") || strings.HasPrefix(port, "-") {
		return "l4fwd has one port for all clients, no offset from theirs"
	}
	if port == "" {
		return ""
	}
	n, err := strconv.Atoi(port)
	if err != nil || n < 0 || n > 65535 {
		return "the port is no number from 1 to 65535"
	}
	s.port = n
	return ""
}

// endpoint is HOST:PORT for clients of a port.
func (s *server) endpoint(port uint16) string {
	n := s.port
	if n == 0 {
		n = int(port)
	}
	host := s.host
	if strings.Contains(host, ":") {
		host = "[" + host + "]"
	}
	return host + ":" + strconv.Itoa(n)
}

// isName reports whether the server is known by a name that DNS resolves.
func (s *server) isName() bool { return !isIP(s.host) }

// carriable reports what makes a server one that l4fwd cannot or must not connect to.
func (im *importer) carriable(s *server) bool {
	o := s.options
	switch {
	case o.has("ssl"):
		im.dropped(s.at, s.at.text(), whyServerTLS)
		return false
	case o.has("disabled"):
		im.harmless(s.at, s.at.text(), "HAProxy sends it no clients, either")
		return false
	case o.value("weight") == "0":
		im.harmless(s.at, s.at.text(), "its weight is 0: HAProxy sends it no new clients, either")
		return false
	}
	if fault := im.Server(s.endpoint(443)); fault != "" {
		im.dropped(s.at, s.at.text(), fault)
		return false
	}
	for _, name := range []string{"proxy-v2-options", "send-proxy-v2-ssl", "send-proxy-v2-ssl-cn"} {
		if o.has(name) {
			im.note(s.at, brief(append([]string{name}, o[name]...)), "the header has the TLVs that l4fwd received, and none of its own")
		}
	}
	if o.has("tcp-ut") {
		im.userTimeout(s.at, o)
	}
	im.naming(s)
	return true
}

// naming remarks on how the name of a server is resolved.
func (im *importer) naming(s *server) {
	if !s.isName() {
		return
	}
	if s.at.words[0] == "server" {
		im.note(s.at, s.host, "l4fwd keeps the name resolved and uses every address of the answer; HAProxy uses one")
	}
	if v := s.options.value("init-addr"); v != "" && s.at.words[0] != "dispatch" {
		im.harmless(s.at, "init-addr "+v, "l4fwd asks DNS at start, and uses the last good answer from then on")
	}
}

// sendProxy is the PROXY header that the server gets.
func (s *server) sendProxy() string {
	switch o := s.options; {
	case o.has("send-proxy-v2"), o.has("send-proxy-v2-ssl"), o.has("send-proxy-v2-ssl-cn"):
		return "v2"
	case o.has("send-proxy"):
		return "v1"
	}
	return "off"
}

// weight is the share of the server beside others, 1 by default.
func (s *server) weight() string {
	if w := s.options.value("weight"); w != "" {
		return w
	}
	return "1"
}

// isIP reports whether host is an IP address.
func isIP(host string) bool {
	_, err := netip.ParseAddr(host)
	return err == nil
}
