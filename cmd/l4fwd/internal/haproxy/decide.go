package haproxy

import "slices"

// answer is what a condition comes to for a client.
type answer int

const (
	no answer = iota
	maybe
	yes
)

// target is where a client goes; the zero value is nowhere: it is refused.
type target struct {
	proxy  *proxy
	server string // "": as the proxy balances
}

// verdict is what becomes of a client, and the line that decides it.
type verdict struct {
	target
	at line
	by *rule // nil: default_backend, or no rule at all
}

// client is one kind of client from one part of the address space.
type client struct {
	kind
	facts string // of its region
	port  uint16
}

// judge tries clients on the rules of a frontend or listen.
type judge struct {
	im      *importer
	front   *proxy
	proxied bool // clients begin with a PROXY header
}

// decide follows a client through the rules in HAProxy's order.
func (j *judge) decide(c client) verdict {
	rules := &j.front.rules
	for _, layer := range [][]*rule{rules.connection, rules.session, rules.content} {
		if r := j.first(layer, c); r != nil && r.verb == refuse {
			return verdict{at: r.at, by: r}
		}
	}
	v := j.backend(c)
	if v.proxy == nil {
		return v
	}
	if v.proxy != j.front {
		if r := j.first(v.proxy.rules.content, c); r != nil && r.verb == refuse {
			return verdict{at: r.at, by: r}
		}
	}
	if r := j.first(v.proxy.rules.servers, c); r != nil {
		v.server = r.to
		if v.by == nil {
			v.at, v.by = r.at, r
		}
	}
	return v
}

// backend is where use_backend and default_backend send a client.
func (j *judge) backend(c client) verdict {
	for _, r := range j.front.rules.backends {
		if r.off || j.im.byName[r.to] == nil {
			continue // a map may name what there is not: HAProxy goes on, too
		}
		if j.holds(r, c) {
			return verdict{target: target{proxy: j.im.byName[r.to]}, at: r.at, by: r}
		}
	}
	if name, at := j.front.argument("default_backend"); name != "" {
		return verdict{target: target{proxy: j.im.byName[name]}, at: at}
	}
	if j.front.back && j.front.serves() {
		return verdict{target: target{proxy: j.front}, at: j.front.at}
	}
	return verdict{at: j.front.at}
}

// first is the first rule of a list that holds for a client.
func (j *judge) first(rules []*rule, c client) *rule {
	for _, r := range rules {
		if !r.off && j.holds(r, c) {
			return r
		}
	}
	return nil
}

// holds reports whether a rule holds for a client. One that depends on what l4fwd cannot judge does not, and is reported.
func (j *judge) holds(r *rule, c client) bool {
	j.im.work -= 1 + len(r.when.any)
	got := no
	if len(r.when.any) == 0 {
		got = yes
	}
	for _, all := range r.when.any {
		if got = max(got, j.all(r, all, c)); got == yes {
			break
		}
	}
	if r.when.unless {
		got = yes - got
	}
	if got == maybe {
		r.fact = j.fact(r)
	}
	return got == yes
}

// all is whether every term holds.
func (j *judge) all(r *rule, terms []term, c client) answer {
	got := yes
	for _, t := range terms {
		one := no
		for _, x := range t.tests {
			if one = max(one, j.test(r, x, c)); one == yes {
				break
			}
		}
		if t.negated {
			one = yes - one
		}
		if got = min(got, one); got == no {
			break
		}
	}
	return got
}

// lbAddress is why a rule of the connection layer cannot judge clients behind a load balancer.
const lbAddress = "before the PROXY header it judges the load balancer's address, and l4fwd judges clients only: " +
	"restrict the port in the network"

// test is whether one test matches.
func (j *judge) test(r *rule, t *test, c client) answer {
	is := func(b bool) answer {
		if b {
			return yes
		}
		return no
	}
	j.im.work -= 1 + len(t.patterns)/1000
	switch t.subject {
	case always:
		return is(t.constant)
	case source:
		if r.layer == "connection" && j.proxied {
			return maybe
		}
		return is(c.facts[t.number] == '1')
	case sni:
		return is(c.tls && c.name != "" && t.matchesName(c.name))
	case hello:
		return is(c.tls && t.hasInt(1))
	case port:
		if j.proxied {
			return maybe
		}
		return is(t.hasInt(int(c.port)))
	}
	return maybe
}

// fact is what the rule depends on that l4fwd cannot judge.
func (j *judge) fact(r *rule) string {
	for _, t := range r.when.tests() {
		switch {
		case t.subject == unknown:
			return t.why
		case t.subject == source && r.layer == "connection" && j.proxied:
			return lbAddress
		case t.subject == port && j.proxied:
			return "l4fwd does not judge the port that a PROXY header names"
		}
	}
	return "l4fwd cannot judge it"
}

// reach returns the rules that a client of the frontend can come to.
func (j *judge) reach() []*rule {
	all := j.front.rules.all()
	for _, p := range j.targets() {
		if p != j.front {
			all = slices.Concat(all, p.rules.content, p.rules.servers)
		}
	}
	return all
}

// targets are the proxies that the frontend can send clients to.
func (j *judge) targets() []*proxy {
	var all []*proxy
	add := func(p *proxy) {
		if p != nil && !slices.Contains(all, p) {
			all = append(all, p)
		}
	}
	for _, r := range j.front.rules.backends {
		add(j.im.byName[r.to])
	}
	if name, _ := j.front.argument("default_backend"); name != "" {
		add(j.im.byName[name])
	}
	if j.front.back {
		add(j.front)
	}
	return all
}

// serves reports whether a listen or backend has servers of its own.
func (p *proxy) serves() bool {
	return len(p.each("server"))+len(p.each("server-template"))+len(p.each("dispatch")) > 0
}

// testsOf returns the tests of the rules that look at a subject, each once, numbered by their place.
func testsOf(rules []*rule, s subject) []*test {
	var all []*test
	seen := map[*test]bool{}
	for _, r := range rules {
		for _, t := range r.when.tests() {
			if t.subject == s && !seen[t] {
				seen[t] = true
				t.number = len(all)
				all = append(all, t)
			}
		}
	}
	return all
}
