package config

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Listener is one address to accept clients on, and who may come in there.
type Listener struct {
	Name         string // unique
	Address      ListenAddr
	Upstream     string // that serves all its clients; empty with Routes
	AcceptProxy  AcceptProxy
	AllowSources []netip.Prefix // nil: all
	AllowVPCE    []string       // nil: all
	Routes       []Route        // the first that matches wins
}

// keys are its keys, bound to in.
func (in *Listener) keys() []*key {
	return []*key{
		value("name", &in.Name, parseName, asText[string],
			"Its name in logs and metrics, and the FileDescriptorName= of a socket that systemd passes. Default: the address."),
		value("address", &in.Address, ParseListen, ListenAddr.String,
			"IP:PORT, :PORT (IPv4 and IPv6), or localhost:PORT for 127.0.0.1. Port 0: the kernel chooses one.").mandatory().
			note("A socket that systemd passes has its own address."),
		value("upstream", &in.Upstream, parseAny, asText[string],
			"The name of the upstream that serves its clients, where there are no routes. Default: the first of `upstreams`."),
		choice("accept_proxy", &in.AcceptProxy, AcceptProxyOff,
			"Whether clients begin with a PROXY protocol header (v1, v2), as a load balancer writes it. The client it names is judged, counted and logged.",
			AcceptProxyOff, AcceptProxyOptional, AcceptProxyRequired).
			note("`off`: the first byte is payload. `optional`: with or without a header, so whoever reaches the port can claim any source; use it only where " +
				"nobody but the load balancer can. `required`: a client without a header is refused with `proxy_header_missing`."),
		values("allow_sources", &in.AllowSources, parseCIDR, formatCIDR,
			"Which clients may enter, as CIDRs or addresses; others are refused with `source_denied`. None: all.").
			note("The client's address is the one in the PROXY header where one is accepted, else the peer's, which may be the load balancer's."),
		values("allow_vpce", &in.AllowVPCE, parseVPCE, asText[string],
			"Ids of the VPC endpoints that clients may come through; others are refused with `vpce_denied`. Needs `accept_proxy`. None: all.").
			note("An AWS NLB writes the id into a PROXY v2 header."),
		sections("routes", &in.Routes, (*Route).keys,
			"Which upstream serves a TLS client, by the host name it asks for (SNI). The first route that lists the name wins.").
			note("A client that matches none is refused with `sni_unlisted`, one without a name with `sni_missing`, one that speaks no TLS with `hello_bad`. " +
				"No upstream is dialed for any of them. Without routes, one upstream serves all, TLS or not."),
	}
}

// Route sends clients that ask for certain host names to an upstream.
type Route struct {
	SNI      []string
	Upstream string
}

// keys are its keys, bound to r.
func (r *Route) keys() []*key {
	return []*key{
		values("sni", &r.SNI, parsePattern, asText[string],
			"Host names. *.example.com stands for one label before example.com, as in a certificate: not for example.com, nor for a.b.example.com.").mandatory(),
		value("upstream", &r.Upstream, parseAny, asText[string],
			"The name of the upstream that serves them.").mandatory(),
	}
}

// complete names the listener, and the upstream of one without routes.
func (in *Listener) complete(upstreams []Upstream) {
	in.Name = cmp.Or(in.Name, in.Address.String())
	if len(in.Routes) == 0 && len(upstreams) > 0 {
		in.Upstream = cmp.Or(in.Upstream, upstreams[0].Name)
	}
}

// mention is a key that names an upstream.
type mention struct{ key, name string }

// upstreams names the upstreams of the listener's clients; at is the listener's own path.
func (in *Listener) upstreams(at string) []mention {
	if len(in.Routes) == 0 {
		return []mention{{at + ".upstream", in.Upstream}}
	}
	all := make([]mention, len(in.Routes))
	for i, r := range in.Routes {
		all[i] = mention{fmt.Sprintf("%s.routes[%d].upstream", at, i), r.Upstream}
	}
	return all
}

// Serves names the upstreams of the listener's clients, each once, with commas between.
func (in *Listener) Serves() string {
	var all []string
	for _, u := range in.upstreams("") {
		if !slices.Contains(all, u.name) {
			all = append(all, u.name)
		}
	}
	return strings.Join(all, ",")
}
