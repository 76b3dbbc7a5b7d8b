package haproxy

import (
	"slices"
	"strings"
)

// routes fills the routes of a listener, or its only upstream.
func (im *importer) routes(p *proxy, ln *listener, a *access) {
	im.reportTests(p, ln.bound)
	if im.serveAll(p, ln, a) {
		return
	}
	r := &routing{im: im, proxy: p, listener: ln, place: map[string]int{}}
	below := ""
	if overlap(a) {
		below = "*"
	}
	refused := refusedUnder(a)
	for i, k := range a.kinds {
		v := a.verdicts[i]
		switch under := refused[k.pattern]; {
		case v.proxy == nil:
		case k.pattern == "":
			im.changed(v.at, strings.TrimSpace(v.at.text()), k.what+": l4fwd refuses them, since routes list names, with *. for one label")
		case !strings.HasPrefix(k.pattern, "*."):
			r.add("", k.pattern, v)
		case under != "":
			im.changed(v.at, v.at.text(), k.pattern+": refused, since HAProxy refuses "+under+", and a route makes no exception")
		default:
			r.add(below, k.pattern, v)
		}
	}
}

// routing adds the routes of one listener.
type routing struct {
	im       *importer
	proxy    *proxy
	listener *listener
	place    map[string]int // of a route, by its group and its upstream
}

// add lets a name lead where the verdict sends it. Names of one group with the same upstream share a route.
func (r *routing) add(group, name string, v verdict) {
	up, ok := r.im.reached(r.proxy, v, r.listener)
	if !ok {
		return
	}
	i, there := r.place[group+up]
	if !there {
		i = len(r.listener.routes)
		r.place[group+up] = i
		r.listener.routes = append(r.listener.routes, routed{upstream: up})
	}
	r.listener.routes[i].names = append(r.listener.routes[i].names, name)
}

// overlap reports whether a listed name lies under a wildcard that leads elsewhere: then names come before wildcards.
func overlap(a *access) bool {
	wild := map[string]target{}
	for i, k := range a.kinds {
		if rest, ok := strings.CutPrefix(k.pattern, "*."); ok {
			wild[rest] = a.verdicts[i].target
		}
	}
	for i, k := range a.kinds {
		if _, rest, found := strings.Cut(k.pattern, "."); found && !strings.HasPrefix(k.pattern, "*.") {
			if t, under := wild[rest]; under && t != a.verdicts[i].target {
				return true
			}
		}
	}
	return false
}

// refusedUnder is for each wildcard the first listed name under it that HAProxy refuses, if there is one.
func refusedUnder(a *access) map[string]string {
	first := map[string]string{}
	for i, k := range a.kinds {
		label, rest, found := strings.Cut(k.pattern, ".")
		if wild := "*." + rest; found && label != "*" && a.verdicts[i].proxy == nil && first[wild] == "" {
			first[wild] = k.pattern
		}
	}
	return first
}

// serveAll takes a listener all of whose TLS clients go to one place: it has no routes.
func (im *importer) serveAll(p *proxy, ln *listener, a *access) bool {
	other := a.verdicts[len(a.verdicts)-3] // see kindsOf: other names, no name, no TLS
	if other.proxy == nil {
		return false
	}
	for i, v := range a.verdicts[:len(a.verdicts)-2] {
		if v.target != other.target && a.kinds[i].pattern != "" {
			return false
		}
	}
	for i, v := range a.verdicts {
		switch {
		case v.target == other.target:
		case v.proxy == nil:
			im.changed(v.at, strings.TrimSpace(v.at.text()), a.kinds[i].what+": l4fwd lets them in, since a listener without routes takes everybody")
		default:
			im.changed(v.at, v.at.text(), a.kinds[i].what+": they go where all others go, since a listener without routes has one upstream")
		}
	}
	ln.upstream, _ = im.reached(p, other, ln)
	return true
}

// reached makes the upstream of a verdict, and notes that it is used.
func (im *importer) reached(front *proxy, v verdict, ln *listener) (name string, ok bool) {
	if v.proxy.skip {
		im.dropped(v.at, strings.TrimSpace(v.at.text()), v.proxy.name+" was not carried: these clients are refused")
		return "", false
	}
	if name, ok = im.upstream(v.target, ln.bound.addr.Port()); !ok {
		im.dropped(v.at, strings.TrimSpace(v.at.text()), "no server of "+v.proxy.name+" was carried: these clients are refused")
		return "", false
	}
	v.proxy.used = true
	if !slices.ContainsFunc(im.out.paths, func(t pathTimes) bool { return t.front == front && t.back == v.proxy }) {
		im.out.paths = append(im.out.paths, im.timesOf(front, v.proxy))
	}
	return name, true
}

// reportTests remarks on tests on names that l4fwd compares otherwise.
func (im *importer) reportTests(p *proxy, b bound) {
	rules := (&judge{im: im, front: p, proxied: b.proxied}).reach()
	tests := testsOf(rules, sni)
	for _, t := range tests {
		upper := slices.ContainsFunc(t.patterns, func(x pattern) bool { return !x.fold && x.text != strings.ToLower(x.text) })
		folds := t.lower || !slices.ContainsFunc(t.patterns, func(x pattern) bool { return !x.fold })
		switch {
		case t.loose():
			im.changed(t.at, t.at.text(), "routes cannot list what matches -m "+t.method+": names that match and stand nowhere else are refused")
		case upper && t.method != "found":
			im.changed(t.at, t.at.text(), "without -i only a client that sends capitals matches, and clients send none")
		case !folds:
			im.note(t.at, t.at.text(), "names never depend on case")
		}
	}
	if len(tests) > 0 && im.delayOf(p) == "" {
		im.note(p.section.at, p.section.at.text(),
			"without tcp-request inspect-delay HAProxy may decide before the ClientHello is there; l4fwd waits for it")
	}
}

// delayOf is the inspect-delay of a frontend; "" if it has none.
func (im *importer) delayOf(p *proxy) string {
	for _, l := range p.each("tcp-request") {
		if len(l.words) > 2 && l.words[1] == "inspect-delay" {
			return l.words[2]
		}
	}
	return ""
}
