package resolve

import (
	"context"
	"net/netip"
	"time"
)

// Alias is a CNAME on the way from a name to its addresses.
type Alias struct {
	Name, Target string // without the final dot, in lower case
	TTL          time.Duration
}

// Record is an address that the way of a name ends in.
type Record struct {
	Addr netip.Addr
	TTL  time.Duration
}

// Answer is what one server, or the hosts file, answers to a name.
type Answer struct {
	Result  Result
	Err     error // nil only with OK
	Partial error // with OK: why A or AAAA failed

	Asked   string // the absolute name that was asked for in the end; the search list may have completed it
	Hosts   bool   // the hosts file has the name: no server was asked
	Aliases []Alias
	Records []Record // IPv4 first
	Took    time.Duration
}

// Ask looks a name up once, as a Resolver with these options does, at one server only. Its answer has the whole way. The
// options' Servers, if there are any, decide about the search list only.
func Ask(ctx context.Context, o Options, server netip.AddrPort, name string) Answer {
	literal, err := parseName(name)
	switch {
	case err != nil:
		return Answer{Result: NoData, Err: err}
	case literal.IsValid():
		return Answer{Records: []Record{{Addr: literal}}}
	}
	r := New(o)
	defer r.Close()
	begun := time.Now()
	var out outcome
	hosts := hostsFile{path: r.opts.Hosts, key: key(name)}
	if addrs, found := hosts.get(); found {
		out = fixed(addrs, 0, r.opts.Hosts)
	} else if isLocalhost(key(name)) {
		out = r.lookup(ctx, name, &hosts, "")
	} else {
		c := r.config()
		c.servers, c.rotate = []netip.AddrPort{server}, false
		out = r.searchWith(ctx, c, name, "")
	}
	return answerOf(out, time.Since(begun))
}

// answerOf puts the two families of a lookup together.
func answerOf(o outcome, took time.Duration) Answer {
	a := Answer{Result: o.result, Err: o.err, Partial: o.partial, Took: took, Hosts: o.source == sourceFile}
	if !a.Hosts {
		a.Asked = key(o.source)
	}
	for _, f := range []family{o.v4, o.v6} {
		if a.Aliases == nil && f.way != nil {
			a.Aliases = f.way.list()
		}
		for _, addr := range f.addrs {
			one := Record{Addr: addr}
			if f.way != nil {
				one.TTL = time.Duration(f.way.last) * time.Second
			}
			a.Records = append(a.Records, one)
		}
	}
	return a
}

// list returns the aliases of the chain.
func (c *chain) list() []Alias {
	var all []Alias
	for i, ttl := range c.ttls {
		all = append(all, Alias{Name: c.seen[i], Target: c.seen[i+1], TTL: time.Duration(ttl) * time.Second})
	}
	return all
}

// SystemServers returns the servers that a Resolver with these options asks, in the order of asking.
func SystemServers(o Options) []netip.AddrPort {
	r := New(o)
	defer r.Close()
	return r.config().servers
}
