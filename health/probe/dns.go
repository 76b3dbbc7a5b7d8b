package probe

import (
	"context"
	"fmt"
	"net/netip"
	"time"

	"github.com/l4fwd/l4fwd/proxy/resolve"
)

// DNSRequest says which name to look up, and at which server.
type DNSRequest struct {
	Name    string
	Server  netip.AddrPort
	Servers []netip.AddrPort // as configured: with any, names are absolute and resolv.conf is not read
	Timeout time.Duration    // of a question; 0: 2 s
	Hosts   string           // the hosts file; empty: /etc/hosts
}

// DNSAlias is a CNAME on the way of a name, DNSRecord an address at its end.
type (
	DNSAlias  = resolve.Alias
	DNSRecord = resolve.Record
)

// DNSResult is what a server answers. Result is one of the results of l4fwd_dns_lookups_total.
type DNSResult struct {
	Result  string
	Asked   string // the absolute name, which the search list may have completed
	Hosts   bool   // the hosts file has the name: no server was asked
	Aliases []DNSAlias
	Records []DNSRecord
	Partial error // one of A and AAAA failed
	Took    time.Duration
}

// DNS looks a host name up at one server, as the daemon's resolver does: over UDP, then TCP if the answer is cut short, with
// and without EDNS0, along every alias.
func DNS(ctx context.Context, r DNSRequest) (DNSResult, error) {
	a := resolve.Ask(ctx, resolve.Options{Servers: r.Servers, Timeout: r.Timeout, Hosts: r.Hosts}, r.Server, r.Name)
	out := DNSResult{
		Result: a.Result.String(), Asked: a.Asked, Hosts: a.Hosts, Aliases: a.Aliases, Records: a.Records, Partial: a.Partial, Took: a.Took,
	}
	if a.Err != nil {
		return out, fmt.Errorf("look up %s: %w", r.Name, a.Err)
	}
	return out, nil
}

// Resolvers returns the servers that the daemon asks, in its order: the configured ones, else those of resolv.conf.
func Resolvers(configured []netip.AddrPort) []netip.AddrPort {
	return resolve.SystemServers(resolve.Options{Servers: configured})
}
