package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/l4fwd/l4fwd/health/probe"
)

// slowLookup is from when a lookup is worth a warning: one in a cache takes a few milliseconds, and the daemon waits 2 s.
const slowLookup = time.Second

// lookup is what one resolver answered.
type lookup struct {
	server netip.AddrPort
	probe.DNSResult
	err error
}

// found is an address of a target, and which resolvers answered with it.
type found struct {
	addr    netip.Addr
	servers []netip.AddrPort
}

// testName asks every resolver for the name of a target, beside each other. It returns a step for each, one that compares
// them, and the addresses.
func (x *examination) testName(ctx context.Context, t Target) (steps []Step, all []lookup) {
	s := Step{Kind: Name, Target: t.Host}
	if a, err := netip.ParseAddr(t.Host); err == nil {
		s.Target, s.State, s.Evidence = t.String(), OK, "an IP address: there is no name to look up"
		return []Step{s}, []lookup{{DNSResult: probe.DNSResult{Records: []probe.DNSRecord{{Addr: a}}}}}
	}
	servers := probe.Resolvers(x.Servers)
	steps, all = make([]Step, len(servers)), make([]lookup, len(servers))
	var wg sync.WaitGroup
	for i, server := range servers {
		wg.Go(func() {
			one := s
			one.Subject = server.String()
			steps[i] = measure(ctx, nameTime, one, func(ctx context.Context, s *Step) { all[i] = x.ask(ctx, t, server, s) })
		})
	}
	wg.Wait()
	if slices.ContainsFunc(all, func(l lookup) bool { return l.Hosts }) { // the same file for every resolver
		steps, all = steps[:1], all[:1]
		steps[0].Subject = "the hosts file"
		return steps, all
	}
	if len(all) > 1 {
		forgive(steps, all)
		steps = append(steps, compare(t, all))
	}
	return steps, all
}

// ask makes one lookup and describes it.
func (x *examination) ask(ctx context.Context, t Target, server netip.AddrPort, s *Step) lookup {
	r, err := probe.DNS(ctx, probe.DNSRequest{Name: t.Host, Server: server, Servers: x.Servers, Timeout: x.DNSTimeout})
	s.Took = milliseconds(r.Took)
	s.Evidence = describeLookup(r)
	switch {
	case err != nil && ctx.Err() != nil:
		s.Evidence = "no answer in " + nameTime.String()
		explainLookup(s, t, server, r)
	case err != nil:
		s.Evidence = brief(err, "look up "+t.Host+": ", server.String()+": ")
		explainLookup(s, t, server, r)
	case r.Hosts:
		s.Evidence += ", from the hosts file"
		s.warn("the hosts file has this name, so no resolver is asked, and the daemon will not notice when the address changes", "remove the line of "+t.Host+" from /etc/hosts")
	case r.Partial != nil:
		s.Evidence += "; " + r.Partial.Error()
	}
	if err == nil && r.Took > slowLookup {
		s.warn("the resolver is slow; l4fwd keeps the last good answer, so only a start has to wait for it", digAt(server, t.Host))
	}
	return lookup{server, r, err}
}

// brief is the text of an error without its first words, which are those of the step.
func brief(err error, first ...string) string {
	text := err.Error()
	for _, words := range first {
		text = strings.TrimPrefix(text, words)
	}
	return text
}

// describeLookup is an answer on one line: the aliases and the addresses, each with its TTL.
func describeLookup(r probe.DNSResult) string {
	var b strings.Builder
	for _, a := range r.Aliases {
		fmt.Fprintf(&b, "CNAME %s (%s) → ", a.Target, seconds(a.TTL))
	}
	for i, a := range r.Records {
		if i > 0 {
			b.WriteString(", ")
		}
		kind := "A"
		if a.Addr.Is6() {
			kind = "AAAA"
		}
		fmt.Fprintf(&b, "%s %s (%s, %s)", kind, a.Addr, seconds(a.TTL), reach(a.Addr))
	}
	return b.String()
}

// seconds is a TTL.
func seconds(d time.Duration) string { return fmt.Sprintf("%d s", int(d.Seconds())) }

// shared is the space of carriers and clouds that is not routed in the internet (RFC 6598).
var shared = netip.MustParsePrefix("100.64.0.0/10")

// reach says who can reach an address: everybody, or a network.
func reach(a netip.Addr) string {
	switch {
	case a.IsLoopback(), a.IsLinkLocalUnicast():
		return "local"
	case a.IsPrivate(), shared.Contains(a):
		return "private"
	}
	return "public"
}

// explainLookup says what a failed lookup means.
func explainLookup(s *Step, t Target, server netip.AddrPort, r probe.DNSResult) {
	dig := digAt(server, t.Host)
	at := "DNS; " + t.Host + " "
	switch r.Result {
	case "nxdomain":
		s.fail(at+"does not exist", "no such name: it is misspelled, the resource was deleted, or this resolver does not know the private zone",
			dig, "az cognitiveservices account show --name "+resource(t.Host)+" --resource-group RG --query properties.endpoint")
	case "no_data":
		s.fail(at+"has no address", "the name exists and has no A or AAAA record: the record of a private endpoint is missing in its zone, or an alias leads nowhere", dig)
	case "timeout":
		s.fail(fmt.Sprintf("DNS; the resolver %s does not answer", server), "the resolver is down, or a firewall drops the questions (UDP and TCP port "+
			fmt.Sprint(server.Port())+")", dig, "resolvectl status")
	case "network":
		s.fail(fmt.Sprintf("DNS; the resolver %s cannot be reached", server), "nothing listens there, or there is no route", dig, "cat /etc/resolv.conf")
	case "refused":
		s.fail(fmt.Sprintf("DNS; the resolver %s refuses to answer", server), "the resolver does not serve this machine", dig)
	default:
		s.fail(fmt.Sprintf("DNS; the resolver %s fails (%s)", server, r.Result), "the resolver answers, and has no usable answer: look at the resolver, or at the zone of the name", dig)
	}
}

// resource is the name of the Azure resource behind a host: the first label of a name of Azure's. Another name, and an IP address, do not
// show it.
func resource(host string) string {
	if !publicService(host) {
		return "RESOURCE"
	}
	first, _, _ := strings.Cut(host, ".")
	return first
}

// silent reports whether a lookup said nothing about the name.
func (l lookup) silent() bool { return l.err != nil && l.Result != "nxdomain" && l.Result != "no_data" }

// forgive makes the silence of a resolver a warning if another one answers: the daemon asks that one next.
func forgive(steps []Step, all []lookup) {
	if !slices.ContainsFunc(all, func(l lookup) bool { return !l.silent() }) {
		return
	}
	for i := range steps {
		if all[i].silent() {
			steps[i].State, steps[i].Fault = Warning, ""
			steps[i].Meaning += "; l4fwd asks the next resolver, so a lookup takes longer"
		}
	}
}

// compare is the step that compares the answers of several resolvers.
func compare(t Target, all []lookup) Step {
	s := Step{Kind: Resolvers, Target: t.Host, State: OK}
	speaking := slices.DeleteFunc(slices.Clone(all), lookup.silent)
	if len(speaking) < 2 {
		return skip(s, fmt.Sprintf("%d of %d resolvers answer", len(speaking), len(all)))
	}
	first := speaking[0]
	for _, other := range speaking[1:] {
		switch {
		case (first.err == nil) != (other.err == nil):
			has, lacks := first, other
			if has.err != nil {
				has, lacks = other, first
			}
			s.Evidence = fmt.Sprintf("%s has addresses, %s says %s", has.server, lacks.server, lacks.Result)
			s.fail(fmt.Sprintf("DNS; the resolvers disagree: %s does not know %s", lacks.server, t.Host),
				"l4fwd believes the first resolver that answers, so what it does depends on which one that is", "configure only resolvers of the same view: dns.servers or /etc/resolv.conf")
			return s
		case first.err == nil && reaches(first) != reaches(other):
			s.Evidence = fmt.Sprintf("%s answers with %s addresses, %s with %s ones", first.server, reaches(first), other.server, reaches(other))
			s.fail(fmt.Sprintf("DNS; the resolvers disagree about %s: %s from %s, %s from %s", t.Host, reaches(first), first.server, reaches(other), other.server),
				"one of them has a private zone, or an entry of its own, that the other lacks", "configure only resolvers of the same view: dns.servers or /etc/resolv.conf")
			return s
		}
	}
	s.Evidence = fmt.Sprintf("%d resolvers answer alike", len(speaking))
	return s
}

// reaches is who can reach the addresses of an answer.
func reaches(l lookup) string {
	var kinds []string
	for _, r := range l.Records {
		if kind := reach(r.Addr); !slices.Contains(kinds, kind) {
			kinds = append(kinds, kind)
		}
	}
	slices.Sort(kinds)
	return strings.Join(kinds, " and ")
}

// mostAddresses are tested of one target: more would not change the verdict.
const mostAddresses = 16

// gather collects the addresses of all answers, each once, with who answered so.
func gather(all []lookup) []found {
	var list []found
	for _, l := range all {
		for _, r := range l.Records {
			at := slices.IndexFunc(list, func(f found) bool { return f.addr == r.Addr })
			if at < 0 {
				at, list = len(list), append(list, found{addr: r.Addr})
			}
			list[at].servers = append(list[at].servers, l.server)
		}
	}
	return list[:min(len(list), mostAddresses)]
}
