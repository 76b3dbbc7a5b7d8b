package haproxy

import (
	"fmt"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// output is the configuration as it grows.
type output struct {
	listeners      []*listener
	upstreams      []*upstream
	paths          []pathTimes
	preface        time.Duration // 0: l4fwd's own
	idle           time.Duration
	halfClose      time.Duration
	maxConnections int
	perSource      int
	acceptRate     int
	loops          int
	keepalive      keepalive
	dns            dns
	hardStop       time.Duration // drain.timeout; 0: l4fwd's own
	grace          time.Duration // drain.lame_duck; -1: l4fwd's own
	access         string        // log.access; "": l4fwd's own
	health, admin  string        // where l4fwd's own ports must make way; "": nowhere
}

// listener is one entry of listeners.
type listener struct {
	name     string
	bound    bound
	allow    []netip.Prefix // nil: all
	upstream string         // without routes
	routes   []routed
}

// routed is a list of names and the upstream that serves them.
type routed struct {
	names    []string
	upstream string
}

// translate makes the configuration of what was read.
func (im *importer) translate() error {
	im.out.grace = -1
	for _, p := range im.proxies {
		p.settle()
	}
	if err := im.frontends(); err != nil {
		return err
	}
	im.withoutLoops()
	im.unused()
	im.timeouts()
	im.globals()
	im.resolving()
	for _, p := range im.proxies {
		if !p.skip && (p.front || p.used) {
			im.rest(p)
		}
	}
	im.ownPorts()
	return nil
}

// frontends reads the rules of all sections, and makes the listeners and the upstreams that they lead to.
func (im *importer) frontends() error {
	for _, p := range im.proxies {
		if im.leftOut(p) {
			continue
		}
		if err := im.readRules(p); err != nil {
			return err
		}
	}
	if err := im.known(); err != nil {
		return err
	}
	for _, p := range im.proxies {
		if !p.front || p.skip {
			continue
		}
		if err := im.frontend(p); err != nil {
			return err
		}
	}
	return nil
}

// leftOut reports proxies that l4fwd has nothing for as a whole.
func (im *importer) leftOut(p *proxy) bool {
	at := p.section.at
	p.skip = true
	switch mode := p.mode(); {
	case p.has("disabled"):
		im.harmless(at, at.text(), "it is disabled in HAProxy, too")
	case mode == "tcp":
		p.skip = false
	case mode != "http":
		im.harmless(at, at.text(), "mode "+mode+" forwards no connections of clients")
	case p.onlyStats():
		im.harmless(at, at.text(), "l4fwd has l4fwd status, /readyz and /metrics for it")
	case !p.front && !im.reachable(p):
		im.harmless(at, at.text(), "it is in mode http: keep HAProxy for it")
	default:
		im.dropped(at, at.text(), "it is in mode http, and l4fwd forwards TCP: keep HAProxy for it, or let TLS pass through in mode tcp")
	}
	return p.skip
}

// onlyStats reports whether a proxy in mode http answers by itself: statistics, metrics, health.
func (p *proxy) onlyStats() bool {
	if p.serves() || p.has("default_backend") || len(p.each("use_backend"))+len(p.each("redirect")) > 0 {
		return false
	}
	for _, l := range p.each("http-request") {
		if len(l.words) > 1 && (l.words[1] == "redirect" || l.words[1] == "use-service" && !strings.Contains(brief(l.words),
			"prometheus-exporter")) {
			return false
		}
	}
	return len(p.each("stats")) > 0 || p.has("monitor-uri") || len(p.each("http-request"))+len(p.each("monitor")) > 0
}

// reachable reports whether a frontend in mode tcp may lead to the proxy.
func (im *importer) reachable(p *proxy) bool {
	for _, f := range im.proxies {
		if !f.front || f.mode() != "tcp" {
			continue
		}
		if name, _ := f.argument("default_backend"); name == p.name {
			return true
		}
		for _, l := range f.each("use_backend") {
			if len(l.words) > 1 && l.words[1] == p.name {
				return true
			}
		}
	}
	return false
}

// known finds rules that name backends or servers there are not: HAProxy refuses such a file.
func (im *importer) known() error {
	for _, p := range im.proxies {
		if p.skip {
			continue
		}
		if name, at := p.argument("default_backend"); name != "" && p.front && im.byName[name] == nil {
			return fmt.Errorf("%s:%d: there is no backend %q", at.file, at.n, name)
		}
		for _, r := range p.rules.backends {
			if im.byName[r.to] == nil && !strings.Contains(brief(r.at.words), "%[") {
				return fmt.Errorf("%s:%d: there is no backend %q", r.at.file, r.at.n, r.to)
			}
		}
	}
	return nil
}

// frontend makes the listeners of a frontend or listen.
func (im *importer) frontend(p *proxy) error {
	all := im.binds(p)
	im.inspectDelay(p)
	cache := map[string]*access{}
	byPort := len(testsOf((&judge{im: im, front: p}).reach(), port)) > 0
	for _, b := range all {
		key := strconv.FormatBool(b.proxied)
		if byPort {
			key += strconv.Itoa(int(b.addr.Port()))
		}
		a := cache[key]
		if a == nil {
			var err error
			if a, err = im.judge(p, b.proxied, b.addr.Port()); err != nil {
				return err
			}
			cache[key] = a
		}
		im.listener(p, b, a, len(all) > 1)
	}
	return nil
}

// listener makes one listener.
func (im *importer) listener(p *proxy, b bound, a *access, several bool) {
	for _, other := range im.out.listeners {
		if other.bound.addr == b.addr || other.bound.addr.Port() == b.addr.Port() && other.bound.addr.Addr().IsUnspecified() &&
			b.addr.Addr().IsUnspecified() {
			im.dropped(b.at, "bind "+b.addr.String(),
				fmt.Sprintf("line %d accepts there already: HAProxy shares the clients out between both", other.bound.at.n))
			return
		}
	}
	ln := &listener{name: p.name, bound: b}
	if several {
		ln.name += ":" + strconv.Itoa(int(b.addr.Port()))
	}
	for n := 2; slices.ContainsFunc(im.out.listeners, func(o *listener) bool { return o.name == ln.name }); n++ {
		ln.name = fmt.Sprintf("%s:%d-%d", p.name, b.addr.Port(), n)
	}
	im.routes(p, ln, a)
	if ln.upstream == "" && len(ln.routes) == 0 {
		im.dropped(b.at, b.at.text(), "no client would be served there: nothing listens")
		return
	}
	if slices.ContainsFunc(a.regions, func(r region) bool { return !a.admitted[r.facts] }) {
		ln.allow = cover(a.regions, func(facts string) bool { return a.admitted[facts] })
	}
	im.out.listeners = append(im.out.listeners, ln)
	im.perSourceLimits(p)
}

// withoutLoops drops addresses of upstreams that are listeners of the result.
func (im *importer) withoutLoops() {
	lost, gone := map[string]bool{}, map[string]bool{}
	loops := func(address string) bool {
		gone[address] = im.isListener(address)
		return gone[address]
	}
	for _, u := range im.out.upstreams {
		u.addresses, u.backups = slices.DeleteFunc(u.addresses, loops), slices.DeleteFunc(u.backups, loops)
		if lost[u.name] = loops(u.address); lost[u.name] && len(u.addresses) > 0 {
			u.address, u.addresses, lost[u.name] = u.addresses[0], u.addresses[1:], false
		}
	}
	for _, p := range im.proxies {
		for _, s := range p.serverList {
			if !s.faulty && slices.ContainsFunc(im.out.listeners, func(l *listener) bool { return gone[s.endpoint(l.bound.addr.Port())] }) {
				im.dropped(s.at, s.at.text(),
					"it is a listener of this very file: l4fwd does not forward to itself; route to that section's servers instead")
			}
		}
	}
	im.without(lost)
}

// isListener reports whether a connection to the address would reach a listener of the result.
func (im *importer) isListener(address string) bool {
	ap, err := netip.ParseAddrPort(strings.Replace(address, "localhost:", "127.0.0.1:", 1))
	return err == nil && slices.ContainsFunc(im.out.listeners, func(l *listener) bool {
		a := l.bound.addr
		return a.Port() == ap.Port() && (a.Addr() == ap.Addr() || a.Addr().IsUnspecified() && ap.Addr().IsLoopback())
	})
}

// without removes upstreams, by name, the routes to them, and listeners that lead nowhere then.
func (im *importer) without(lost map[string]bool) {
	im.out.upstreams = slices.DeleteFunc(im.out.upstreams, func(u *upstream) bool { return lost[u.name] })
	for _, ln := range im.out.listeners {
		ln.routes = slices.DeleteFunc(ln.routes, func(r routed) bool { return lost[r.upstream] })
	}
	im.out.listeners = slices.DeleteFunc(im.out.listeners, func(l *listener) bool {
		return lost[l.upstream] || l.upstream == "" && len(l.routes) == 0
	})
}

// unused reports backends that nothing leads to, and drops upstreams that no listener uses any more.
func (im *importer) unused() {
	used := map[string]bool{}
	for _, ln := range im.out.listeners {
		used[ln.upstream] = true
		for _, r := range ln.routes {
			used[r.upstream] = true
		}
	}
	im.out.upstreams = slices.DeleteFunc(im.out.upstreams, func(u *upstream) bool { return !used[u.name] })
	for _, p := range im.proxies {
		if p.kind == "backend" && !p.skip && !p.used {
			im.harmless(p.section.at, p.section.at.text(), "nothing that was carried leads to it")
		}
	}
}
