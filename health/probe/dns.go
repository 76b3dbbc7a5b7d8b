package probe

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"time"
)

// DNSResult is what a lookup found.
type DNSResult struct {
	Addrs     []netip.Addr  // IPv4 never mapped into IPv6
	Canonical string        // the end of the alias chain, without a trailing dot; empty: not known
	Took      time.Duration // of the lookup of the addresses
}

// DNS looks a host name up. server is the DNS server to ask; the zero value asks those of the system.
func DNS(ctx context.Context, name string, server netip.AddrPort) (DNSResult, error) {
	r := resolver(ctx, server)
	begun := time.Now()
	addrs, err := r.LookupNetIP(ctx, "ip", name)
	out := DNSResult{Took: time.Since(begun)}
	if err != nil {
		return out, explainLookup(name, err, begun)
	}
	for _, a := range addrs {
		out.Addrs = append(out.Addrs, a.Unmap())
	}
	if end, err := r.LookupCNAME(ctx, name); err == nil { // worth knowing, and no fault if it is not
		out.Canonical = strings.TrimSuffix(end, ".")
	}
	return out, nil
}

// resolver returns a resolver whose questions end with ctx: Go's own goes on for its timeout of 5 s.
func resolver(ctx context.Context, server netip.AddrPort) *net.Resolver {
	dial := func(asking context.Context, network, address string) (net.Conn, error) {
		if ctx.Err() != nil {
			return nil, ctx.Err()
		}
		if server.IsValid() {
			address = server.String()
		}
		var d net.Dialer
		c, err := d.DialContext(asking, network, address)
		if err != nil {
			return nil, err
		}
		context.AfterFunc(ctx, func() { _ = c.Close() })
		return c, nil
	}
	return &net.Resolver{PreferGo: true, Dial: dial}
}

// explainLookup leaves away the name and the server that Go writes into each error.
func explainLookup(name string, err error, begun time.Time) error {
	step := "look up " + name
	dns, ok := err.(*net.DNSError)
	switch {
	case !ok:
		return explain(step, err, begun)
	case dns.IsNotFound:
		return fmt.Errorf("%s: the name does not exist, or has no address", step)
	case dns.IsTimeout:
		return fmt.Errorf("%s: no answer in %s", step, time.Since(begun).Round(time.Millisecond))
	}
	return fmt.Errorf("%s: %s", step, dns.Err)
}
