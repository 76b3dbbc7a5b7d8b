package doctor

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"

	"github.com/l4fwd/l4fwd/health/probe"
)

// targetFindings are what was found out about one target.
type targetFindings struct {
	target    Target
	steps     []Step
	addresses []*addressFindings
}

// testTarget follows a target from its name to an answer.
func (x *examination) testTarget(ctx context.Context, t Target) targetFindings {
	out := targetFindings{target: t}
	look := t
	if x.Through != nil { // then the target's name is only what is asked for
		look = *x.Through
	}
	steps, lookups := x.testName(ctx, look)
	list := gather(lookups)
	out.addresses = make([]*addressFindings, len(list))
	var wg sync.WaitGroup
	for i, f := range list {
		wg.Go(func() { out.addresses[i] = x.testAddress(ctx, t.String(), t.by(look), f) })
	}
	wg.Wait()
	soften(out.addresses)
	blameResolver(t, steps, lookups, out.addresses)
	out.steps = append(out.steps, steps...)
	for _, f := range out.addresses {
		out.steps = append(out.steps, f.steps...)
	}
	if len(list) == 0 {
		for _, k := range []Kind{Connect, Hello, HelloPieces, Certificate, HTTPS} {
			out.steps = append(out.steps, skip(Step{Kind: k, Target: t.String()}, failedStep(Name)))
		}
	}
	if t.Expect != "" {
		out.steps = judgeExpectation(t, out.steps, lookups, out.addresses)
	}
	return out
}

// by is the target as it is connected to: itself, or what its connections go through.
func (t Target) by(via Target) Target {
	if via.String() == t.String() {
		return t
	}
	return Target{Host: via.Host, Port: via.Port, ServerName: t.server(), Path: t.path(), First: via.First, Hint: via.Hint, through: true}
}

// OfThisMachine reports whether a host is this machine, without asking a resolver.
func OfThisMachine(host string) bool {
	addr, err := netip.ParseAddr(host)
	if err != nil {
		return host == "localhost"
	}
	if addr.IsLoopback() {
		return true
	}
	own, _ := net.InterfaceAddrs() // without them only loopback is known to be here
	return slices.ContainsFunc(own, func(a net.Addr) bool {
		p, err := netip.ParsePrefix(a.String())
		return err == nil && p.Addr() == addr.Unmap()
	})
}

// blameResolver finds the resolver whose addresses do not serve the name, while those of another one do.
func blameResolver(t Target, steps []Step, all []lookup, addresses []*addressFindings) {
	at := slices.IndexFunc(steps, func(s Step) bool { return s.Kind == Resolvers && s.State == OK })
	if at < 0 {
		return
	}
	serves := func(f *addressFindings) bool {
		return f.works && (f.tls.Certificate == nil || f.tls.Certificate.Fault == probe.CertificateValid)
	}
	if !slices.ContainsFunc(addresses, serves) {
		return
	}
	for _, l := range all {
		own := slices.DeleteFunc(slices.Clone(addresses), func(f *addressFindings) bool { return !slices.Contains(f.servers, l.server) })
		if len(own) == 0 || slices.ContainsFunc(own, serves) {
			continue
		}
		var bad []string
		for _, f := range own {
			bad = append(bad, f.addr.String())
		}
		s := &steps[at]
		s.Evidence = fmt.Sprintf("%s answers with %s, which does not serve the name; addresses of another resolver do", l.server, strings.Join(bad, ", "))
		s.fail(fmt.Sprintf("DNS; the resolver %s answers with a wrong address for %s: %s", l.server, t.Host, strings.Join(bad, ", ")),
			"its answer is old, or forged, or an entry of its own; l4fwd connects there whenever it asks this resolver", digAt(l.server, t.Host),
			"take this resolver out of dns.servers or /etc/resolv.conf")
	}
}

// digAt is the command that asks one resolver for a name.
func digAt(server netip.AddrPort, name string) string {
	if server.Port() != 53 {
		return fmt.Sprintf("dig @%s -p %d %s", server.Addr(), server.Port(), name)
	}
	return fmt.Sprintf("dig @%s %s", server.Addr(), name)
}
