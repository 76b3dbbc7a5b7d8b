package haproxy

import (
	"maps"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
)

// keepalive is what the file says about TCP keepalive; 0: l4fwd's own.
type keepalive struct {
	idle, interval time.Duration
	count          int
	userTimeout    time.Duration
}

// dns is how names are resolved.
type dns struct {
	servers []netip.AddrPort
	maxTTL  time.Duration
	timeout time.Duration
}

// globalLines are the lines of global in force, by their first word. It reports those that are not carried.
func (im *importer) globalLines() map[string]line {
	last := map[string]line{}
	for s := im.global; s != nil; s = s.base {
		for _, l := range s.lines {
			if old, there := last[l.words[0]]; !there || old.n < l.n {
				last[l.words[0]] = l
			}
			im.globalRest(l)
		}
	}
	return last
}

// number is the number of a line in force; 0 if there is none.
func (im *importer) number(lines map[string]line, key string) (int, line) {
	l := lines[key]
	if len(l.words) < 2 {
		return 0, l
	}
	n, err := strconv.Atoi(l.words[1])
	if err != nil || n < 0 {
		im.dropped(l, l.text(), "it is no number")
		return 0, l
	}
	return n, l
}

// globals carries global, and the limits and keepalives of the proxies.
func (im *importer) globals() {
	last := im.globalLines()
	o := &im.out
	var at line
	if o.maxConnections, at = im.number(last, "maxconn"); o.maxConnections > 0 {
		o.maxConnections = min(o.maxConnections, 10_000_000)
		im.note(at, at.text(), "a client beyond limits.max_connections is refused and does not wait")
	}
	if o.acceptRate, at = im.number(last, "maxconnrate"); o.acceptRate > 0 {
		o.acceptRate = min(o.acceptRate, 1_000_000)
		im.note(at, at.text(), "a client beyond limits.accept_rate is refused and does not wait")
	}
	if n, _ := im.number(last, "nbthread"); n > 0 {
		o.loops = min(n, 1024)
	}
	if l := last["hard-stop-after"]; len(l.words) > 1 {
		o.hardStop = im.bounded(l, "hard-stop-after", l.words[1], 0, 168*time.Hour)
	}
	if l := last["grace"]; len(l.words) > 1 {
		o.grace = im.bounded(l, "grace", l.words[1], 0, time.Hour)
	}
	for _, p := range im.proxies {
		if !p.skip && (p.front || p.used) {
			im.proxyLimits(p)
			im.keepalives(p)
			im.logging(p)
		}
	}
}

// proxyLimits carries maxconn and rate-limit sessions of a frontend.
func (im *importer) proxyLimits(p *proxy) {
	if !p.front {
		return
	}
	binds := p.each("bind")
	alone := !slices.ContainsFunc(im.out.listeners, func(l *listener) bool {
		return !slices.ContainsFunc(binds, func(b line) bool { return b.n == l.bound.at.n })
	})
	im.maxConnections(p, alone)
	im.sessionRate(p, alone)
}

// maxConnections carries maxconn of a frontend. alone means that every listener is the frontend's.
func (im *importer) maxConnections(p *proxy, alone bool) {
	text, at := p.argument("maxconn")
	if text == "" {
		return
	}
	n, err := strconv.Atoi(text)
	switch {
	case err != nil || n < 0:
		im.dropped(at, at.text(), "it is no number")
	case n == 0 || im.out.maxConnections > 0 && n >= im.out.maxConnections:
		im.harmless(at, at.text(), "the limit of all connections is no larger")
	case alone:
		im.out.maxConnections = n
		im.note(at, at.text(), "a client beyond limits.max_connections is refused and does not wait")
	default:
		im.dropped(at, at.text(),
			"l4fwd limits connections of all listeners (limits.max_connections) or of an upstream (max_connections), not of one listener")
	}
}

// sessionRate carries rate-limit sessions of a frontend. alone means that every listener is the frontend's.
func (im *importer) sessionRate(p *proxy, alone bool) {
	text, at := p.argument("rate-limit sessions")
	if text == "" {
		return
	}
	n, err := strconv.Atoi(text)
	if err != nil || n <= 0 || !alone || im.out.acceptRate > 0 && im.out.acceptRate < n {
		im.dropped(at, at.text(), "l4fwd limits the rate of all listeners together (limits.accept_rate)")
		return
	}
	im.out.acceptRate = min(n, 1_000_000)
	im.note(at, at.text(), "a client beyond limits.accept_rate is refused and does not wait")
}

// keepalives carries clitcpka-idle and its kin: l4fwd has one setting for both legs.
func (im *importer) keepalives(p *proxy) {
	k := &im.out.keepalive
	for _, side := range []string{"clitcpka", "srvtcpka"} {
		if side == "clitcpka" && !p.front || side == "srvtcpka" && !p.back {
			continue
		}
		for key, into := range map[string]*time.Duration{side + "-idle": &k.idle, side + "-intvl": &k.interval} {
			if text, at := p.argument(key); text != "" {
				d := im.bounded(at, key, text, time.Second, 9*time.Hour).Truncate(time.Second)
				if *into != 0 && *into != d {
					im.changed(at, at.text(), "l4fwd has one keepalive for clients and servers, with the shorter time")
				}
				if *into == 0 || d < *into {
					*into = d
				}
			}
		}
		if text, at := p.argument(side + "-cnt"); text != "" {
			im.keepaliveCount(at, text)
		}
	}
}

// keepaliveCount carries clitcpka-cnt and srvtcpka-cnt, of which l4fwd has one.
func (im *importer) keepaliveCount(at line, text string) {
	k := &im.out.keepalive
	n, err := strconv.Atoi(text)
	if err != nil || n < 1 || n > 127 {
		im.dropped(at, at.text(), "it is no number from 1 to 127")
		return
	}
	if k.count != 0 && n != k.count {
		im.changed(at, at.text(), "l4fwd has one keepalive for clients and servers, with the smaller count")
	}
	if k.count == 0 || n < k.count {
		k.count = n
	}
}

// userTimeout carries tcp-ut of bind and server: l4fwd has one, the longest.
func (im *importer) userTimeout(at line, o options) {
	text := o.value("tcp-ut")
	if text == "" {
		return
	}
	d := im.bounded(at, "tcp-ut", text, time.Second, 24*time.Hour)
	if old := im.out.keepalive.userTimeout; old != 0 && old != d {
		im.changed(at, "tcp-ut "+text, "l4fwd has one keepalive.user_timeout for both sides, the longest")
	} else {
		im.note(at, "tcp-ut "+text, "keepalive.user_timeout holds for both sides, and a peer that does not read but answers is not ended")
	}
	im.out.keepalive.userTimeout = max(im.out.keepalive.userTimeout, d)
}

// logging carries which connections are logged.
func (im *importer) logging(p *proxy) {
	if !p.front || len(p.each("log")) == 0 || p.off["log"] {
		return
	}
	switch {
	case p.has("option dontlog-normal"):
		if im.out.access == "" {
			im.out.access = "errors"
		}
	default:
		im.out.access = "all"
	}
}

// resolving carries the resolvers that servers use.
func (im *importer) resolving() {
	used, plain := im.usedResolvers()
	for _, name := range slices.Sorted(maps.Keys(im.resolvers)) {
		if sec := im.resolvers[name]; !slices.Contains(used, name) {
			im.harmless(sec.at, sec.at.text(), "no server uses it")
		}
	}
	for i, name := range used {
		sec := im.resolvers[name]
		if sec == nil {
			continue
		}
		if i > 0 {
			im.changed(sec.at, sec.at.text(), "l4fwd asks the name servers of all resolvers for every name")
		}
		im.resolver(sec)
	}
	if len(used) > 0 && plain != nil && len(im.out.dns.servers) > 0 {
		im.changed(plain.at, plain.at.text(), "l4fwd asks dns.servers for this name, too, and not those of /etc/resolv.conf")
	}
}

// usedResolvers lists the resolvers that servers name, in their order. plain is a server with a host name and without resolvers.
func (im *importer) usedResolvers() (used []string, plain *server) {
	for _, p := range im.proxies {
		for _, s := range p.serverList {
			if s.faulty || !s.isName() || !p.used {
				continue
			}
			name := s.options.value("resolvers")
			if name == "" {
				plain = s
			} else if !slices.Contains(used, name) {
				used = append(used, name)
			}
		}
	}
	return used, plain
}

// resolver carries one resolvers section.
func (im *importer) resolver(sec *section) {
	d := &im.out.dns
	system := false
	for _, l := range sec.lines {
		switch key := l.words[0]; {
		case key == "nameserver" && len(l.words) > 2:
			im.nameserver(l)
		case key == "parse-resolv-conf":
			system = true
		case key == "hold" && len(l.words) > 2 && l.words[1] == "valid":
			if hold := im.bounded(l, "hold valid", l.words[2], 100*time.Millisecond, 24*time.Hour); hold > 0 && (d.maxTTL == 0 || hold < d.maxTTL) {
				d.maxTTL = hold
				im.note(l, l.text(), "an answer is kept for its TTL, and at most dns.max_ttl")
			}
		case key == "hold":
			im.harmless(l, l.text(), "the last good answer is used until a better one arrives")
		case key == "timeout" && len(l.words) > 2 && l.words[1] == "retry":
			d.timeout = im.bounded(l, "timeout retry", l.words[2], 10*time.Millisecond, time.Minute)
		case key == "timeout":
			im.harmless(l, l.text(), "names are asked for again when their TTL ends")
		case key == "resolve_retries":
			im.harmless(l, l.text(), "l4fwd asks until it has an answer")
		case key == "accepted_payload_size":
			im.harmless(l, l.text(), "l4fwd asks over TCP where an answer is too long")
		default:
			im.harmless(l, l.text(), "l4fwd resolves names without it")
		}
	}
	if system && len(d.servers) > 0 {
		im.changed(sec.at, sec.at.text(), "parse-resolv-conf: l4fwd asks dns.servers, or without any those of /etc/resolv.conf, not both")
	}
}

// nameserver carries one name server.
func (im *importer) nameserver(l line) {
	_, rest, found := strings.Cut(l.words[2], "@")
	if !found {
		rest = l.words[2]
	}
	host, port, hasPort := splitPort(rest)
	if !hasPort {
		port = "53"
	}
	addr, err := netip.ParseAddr(host)
	n, fault := strconv.ParseUint(port, 10, 16)
	if err != nil || fault != nil || n == 0 || addr.IsUnspecified() || addr.IsMulticast() {
		im.dropped(l, l.text(), "it is no IP address with a port")
		return
	}
	ap := netip.AddrPortFrom(addr.Unmap(), uint16(n))
	if !slices.Contains(im.out.dns.servers, ap) {
		im.out.dns.servers = append(im.out.dns.servers, ap)
	}
}
