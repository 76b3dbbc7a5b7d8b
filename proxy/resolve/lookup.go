package resolve

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/miekg/dns"
)

// maxGrace is how long AAAA is waited for after the answer for A, unless the timeout is
// shorter. Servers that never answer AAAA are common, and A must not wait for all
// rounds and servers. A server that is only slow has the answer in its cache the next
// time.
const maxGrace = time.Second

var errGrace = errors.New("grace is over")

// family is the outcome of the questions for A, or for AAAA.
type family struct {
	result  Result
	err     error // nil only with OK
	addrs   []netip.Addr
	ttl     time.Duration  // as the server said; with a failure 0
	server  netip.AddrPort // that answered; not valid if none did, then err names all
	aliases int
	end     string // of the alias chain
	way     *chain // nil if no server answered
}

// why returns err with the server that is responsible.
func (f *family) why() error {
	if !f.server.IsValid() {
		return f.err
	}
	return fmt.Errorf("%v: %w", f.server, f.err)
}

// outcome is the outcome of a lookup of a name, both families together.
type outcome struct {
	result  Result
	err     error // nil only with OK
	partial error // with OK: why one family failed
	v4, v6  family
	ttl     time.Duration // of a good or a negative answer, as the server said
	source  string        // who answered: the absolute name that was asked for, or sourceFile
}

const sourceFile = "file"

// lookup finds the name's addresses: the hosts file, then for localhost itself
// (RFC 6761), then the servers. last is the source of the last good answer.
func (r *Resolver) lookup(ctx context.Context, name string, hosts *hostsFile, last string) outcome {
	if addrs, found := hosts.get(); found {
		return fixed(addrs, r.opts.MinTTL, r.opts.Hosts)
	}
	if isLocalhost(key(name)) {
		loopback := []netip.Addr{netip.AddrFrom4([4]byte{127, 0, 0, 1}), netip.IPv6Loopback()}
		return fixed(loopback, r.opts.MinTTL, "localhost")
	}
	return r.search(ctx, name, last)
}

// fixed is the outcome of a lookup that asked no server.
func fixed(addrs []netip.Addr, ttl time.Duration, where string) outcome {
	o := outcome{source: sourceFile, ttl: ttl}
	if len(addrs) == 0 {
		o.result, o.err = NoData, fmt.Errorf("%s has only unusable addresses", where)
		return o
	}
	o.v4.result, o.v6.result = NoData, NoData
	for _, a := range addrs {
		f := &o.v6
		if a.Is4() {
			f = &o.v4
		}
		f.result, f.addrs = OK, append(f.addrs, a)
	}
	return o
}

// search asks for the candidates of a name in turn until one has addresses, or
// givesWay ends the search.
func (r *Resolver) search(ctx context.Context, name, last string) outcome {
	return r.searchWith(ctx, r.config(), name, last)
}

// searchWith is search with a configuration.
func (r *Resolver) searchWith(ctx context.Context, c *config, name, last string) outcome {
	first := 0
	if c.rotate {
		first = int((r.turn.Add(1) - 1) % uint32(len(c.servers)))
	}
	var worst outcome
	for i, cand := range candidates(c, name) {
		o := r.families(ctx, c, first, cand.fqdn)
		o.source = cand.fqdn
		if o.result == OK {
			return o
		}
		if key(cand.fqdn) != key(name) {
			o.err = fmt.Errorf("as %s: %w", key(cand.fqdn), o.err)
		}
		if i == 0 || rank(o.result) > rank(worst.result) {
			worst = o
		}
		if ctx.Err() != nil || !givesWay(cand, o.result, last) {
			break
		}
	}
	return worst
}

// givesWay reports whether the next candidate is tried after one without addresses. As
// in glibc it is after a name that does not exist or has no addresses, and after a
// SERVFAIL. Silence of all servers ends the search, since the next candidate would meet
// the same silence.
//
// glibc's callers ask once, and this package for weeks, so it differs in two points.
// After a failure of the candidate of the last good answer, or of the name as it is
// written, the search ends; and if the name as written was good, it also ends when the
// name is gone. Otherwise a temporary fault would move all traffic to whatever a
// wildcard of the search domain points to.
func givesWay(cand candidate, r Result, last string) bool {
	wasGood := cand.fqdn == last
	if r.negative() {
		return !(cand.asIs && wasGood)
	}
	return r == ServFail && !cand.asIs && !wasGood
}

// rank orders the results of a name's candidates by what an operator wants to know: a
// failure first, then a missing address, then a missing name.
func rank(r Result) int {
	switch {
	case r.failed():
		return 2
	case r == NoData:
		return 1
	}
	return 0
}

// families asks for A and AAAA side by side. Once A is known, AAAA gets maxGrace. A is
// never cut short: after a lost packet a host without IPv6 would have nothing that it
// can use, and a NXDOMAIN for AAAA may be the old bug of RFC 4074 4.2.
func (r *Resolver) families(ctx context.Context, c *config, first int, fqdn string) outcome {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	grace := min(maxGrace, c.timeout)

	var o outcome
	v6 := make(chan family, 1)
	go func() { v6 <- r.follow(ctx, c, first, fqdn, dns.TypeAAAA) }()
	o.v4 = r.follow(ctx, c, first, fqdn, dns.TypeA)
	// NXDOMAIN concerns the name, not the type (RFC 8020).
	if o.v4.result == OK || o.v4.result == NXDomain {
		defer time.AfterFunc(grace, func() { cancel(errGrace) }).Stop()
	}
	o.v6 = <-v6
	if errors.Is(o.v6.err, errGrace) {
		o.v6.err = fmt.Errorf("no answer %v after that for A", grace)
	}
	o.combine()
	return o
}

// combine makes one result of two.
func (o *outcome) combine() {
	v4, v6 := &o.v4, &o.v6
	switch {
	case v4.result == OK && v6.result == OK:
		o.ttl = min(v4.ttl, v6.ttl)
	case v4.result == OK:
		o.ttl = v4.ttl
		if v6.result.failed() {
			o.partial = fmt.Errorf("type AAAA: %w", v6.why())
		}
	case v6.result == OK:
		o.ttl = v6.ttl
		if v4.result.failed() {
			o.partial = fmt.Errorf("type A: %w", v4.why())
		}
	case v4.result == NXDomain || v4.result.failed():
		o.result, o.err, o.ttl = v4.result, v4.why(), v4.ttl
	case v6.result.failed(): // and A no data: the name may have only AAAA
		o.result, o.err = v6.result, fmt.Errorf("type AAAA: %w", v6.why())
	default:
		o.result, o.ttl = NoData, min(v4.ttl, v6.ttl)
		if v4.server == v6.server {
			o.err = fmt.Errorf("%w; %w", v4.why(), v6.err)
		} else {
			o.err = fmt.Errorf("%w; %w", v4.why(), v6.why())
		}
	}
}

// follow asks for one family, and for the target if the answer ends in an alias. The
// server that answered is asked first for the rest of the chain.
func (r *Resolver) follow(ctx context.Context, c *config, first int, fqdn string, qtype uint16) family {
	ch := newChain(fqdn, qtype)
	for {
		m, at, err := r.ask(ctx, c, first, ch.at, qtype)
		if err != nil {
			return unanswered(ch, err)
		}
		first = at
		result, more, err := ch.read(m)
		if more {
			continue
		}
		f := family{result: result, err: err, addrs: ch.addrs, server: c.servers[at], aliases: ch.aliases(), end: key(ch.at), way: ch}
		switch {
		case result == OK:
			f.ttl = time.Duration(ch.ttl) * time.Second
		case result.negative():
			f.ttl = ch.negativeTTL(r.opts.MaxTTL)
		}
		return f
	}
}

// unanswered is the outcome where no server answered, for the reason err, at that place of the chain.
func unanswered(ch *chain, err error) family {
	f := family{result: Timeout, err: err}
	if fs := failures(nil); errors.As(err, &fs) {
		f.result = fs.result()
	}
	if ch.aliases() > 0 {
		f.err = fmt.Errorf("%s: %w", ch.where(), err)
	}
	return f
}
