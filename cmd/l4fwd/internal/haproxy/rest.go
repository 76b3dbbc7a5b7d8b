package haproxy

import (
	"slices"
	"strings"
)

// side is which proxies a directive concerns.
type side int

const (
	both side = iota
	fronts
	backs
)

// fate is what becomes of a directive that nothing else reports.
type fate struct {
	side    side
	handled bool // carried or reported elsewhere
	matters bool
	why     string
}

const (
	whyLog      = "l4fwd has one format of log lines, JSON: see log.access"
	whySplice   = "l4fwd splices bulk by itself"
	whySticky   = "l4fwd has no stick tables; a rule that uses one is reported by itself"
	whyInTCP    = "it has no effect in mode tcp"
	whyStats    = "use l4fwd status and /metrics"
	whyKeepIdle = "keepalive is always on for both sides: see keepalive"
)

// group are names, with commas between, that share a fate or an effect.
type group[T any] struct {
	shared T
	names  string
}

// byName is a map of groups.
func byName[T any](groups []group[T]) map[string]T {
	all := map[string]T{}
	for _, g := range groups {
		for name := range strings.SplitSeq(g.names, ",") {
			all[strings.TrimSpace(name)] = g.shared
		}
	}
	return all
}

// fates are the directives of proxies by the names that settingOf gives.
var fates = byName([]group[fate]{
	{fate{handled: true}, `mode, bind, server, server-template, default-server, dispatch, acl, use_backend, default_backend,
		use-server, tcp-request, balance, retries, maxconn, source, stick, timeout connect, timeout client, timeout server,
		timeout tunnel, timeout check, timeout client-fin, timeout server-fin, rate-limit sessions, clitcpka-idle,
		clitcpka-intvl, clitcpka-cnt, srvtcpka-idle, srvtcpka-intvl, srvtcpka-cnt, option redispatch, option tcp-check,
		tcp-check, http-check, option allbackups, enabled, disabled, description, option dontlog-normal`},
	{fate{side: backs, why: "clients do not queue"}, `timeout queue, option abortonclose`},
	{fate{why: whyInTCP}, `timeout http-request, timeout http-keep-alive, timeout tarpit, unique-id-header, option checkcache,
		compression algo, compression type, compression offload, errorfile, errorfiles, errorloc, errorloc302, errorloc303,
		http-request, http-response, http-after-response, http-error, http-reuse, http-send-name-header, redirect, retry-on,
		max-keep-alive-queue, force-persist, ignore-persist, use-fcgi-app, option originalto`},
	{fate{side: fronts, why: "l4fwd writes its log to standard error, one JSON line a connection: log.access"}, `log`},
	{fate{side: fronts, why: whyLog}, `log-format, log-format-sd, error-log-format, option tcplog, option httplog,
		option httpslog, option log-separate-errors`},
	{fate{why: whyLog}, `log-tag, log-steps, unique-id-format, declare capture`},
	{fate{side: fronts, why: "a connection without a byte counts as probe, and log.access: errors leaves it out"}, `
		option dontlognull`},
	{fate{side: fronts, why: "log.starts: true writes a line when a connection begins, too"}, `option logasap`},
	{fate{why: "l4fwd logs when an address changes its state"}, `option log-health-checks`},
	{fate{why: whyStats}, `option socket-stats, stats`},
	{fate{why: "counters are always current"}, `option contstats`},
	{fate{why: "use /readyz"}, `monitor-uri, monitor fail`},
	{fate{why: whySplice}, `option splice-auto, option splice-request, option splice-response`},
	{fate{why: whyKeepIdle}, `option tcpka`},
	{fate{side: fronts, why: whyKeepIdle}, `option clitcpka`},
	{fate{side: backs, why: whyKeepIdle}, `option srvtcpka`},
	{fate{why: whySocket}, `option tcp-smart-accept, option tcp-smart-connect`},
	{fate{why: "a reset is passed on, and an end waits for what was sent"}, `option nolinger`},
	{fate{side: backs, why: whyInTCP}, `option persist, option prefer-last-server, cookie`},
	{fate{side: backs, matters: true, why: "a client does not stay with one server"}, `persist rdp-cookie`},
	{fate{matters: true, why: "any byte in either direction restarts timeouts.idle"}, `option independent-streams`},
	{fate{side: backs, matters: true, why: "l4fwd goes only to hosts that are listed"}, `option transparent, transparent`},
	{fate{side: fronts, why: "net.core.somaxconn bounds the queue"}, `backlog`},
	{fate{why: "there is one process"}, `bind-process`},
	{fate{why: "l4fwd has names only"}, `id, guid`},
	{fate{side: backs, why: "l4fwd has fixed limits"}, `fullconn`},
	{fate{side: backs, why: "l4fwd does not hash"}, `hash-type, hash-balance-factor, hash-preserve-affinity`},
	{fate{why: whySticky}, `stick-table`},
	{fate{why: "the access log has the name of the ClientHello: sni"}, `capture`},
	{fate{side: backs, why: "a reload keeps what is known of addresses"}, `load-server-state-from-file, server-state-file-name`},
	{fate{matters: true, why: "l4fwd has no filters"}, `filter`},
	{fate{side: backs, matters: true, why: "l4fwd does not judge what servers answer"}, `tcp-response`},
	{fate{side: backs, why: "the checks of l4fwd are tcp, tls and https"}, `external-check command, external-check path`},
	{fate{why: "alerts are made from /metrics"}, `email-alert from, email-alert to, email-alert level, email-alert mailers,
		email-alert myhostname`},
	{fate{why: whyInTCP + ": a server learns the client's address from send_proxy"}, `option forwardfor`},
})

// httpOptions are options that concern HTTP only.
var httpOptions = []string{"option http", "option accept-", "option h1-", "option idle-", "option disable-h2", "option use-",
	"option forceclose", "option httpclose"}

// fateOf is what becomes of a directive. One that l4fwd does not know matters.
func fateOf(key string) fate {
	if f, ok := fates[key]; ok {
		return f
	}
	if slices.Contains(ownChecks, key) {
		return fate{handled: true}
	}
	if slices.ContainsFunc(httpOptions, func(o string) bool { return strings.HasPrefix(key, o) }) {
		return fate{why: whyInTCP}
	}
	return fate{matters: true, why: "l4fwd does not know this directive"}
}

// rest reports the directives of a proxy that nothing else has taken.
func (im *importer) rest(p *proxy) {
	for _, l := range p.lines {
		words := l.words
		if words[0] == "no" || words[0] == "default" {
			continue // what is turned off is not missed
		}
		key := settingOf(words)
		if now, there := p.last[key]; there && (now.n != l.n || p.off[key]) {
			continue // another line is in force
		}
		f := fateOf(key)
		switch {
		case f.handled, f.side == fronts && !p.front, f.side == backs && !(p.back && p.used), words[0] == "option" && len(words) < 2:
		case key == "timeout queue" && p.limited():
		case words[0] == "log" && p.off["log"]:
		default:
			im.remark(l, true, f.matters, l.text(), f.why)
		}
	}
}

// limited reports whether a server of the proxy has a limit, beyond which clients would queue.
func (p *proxy) limited() bool {
	return slices.ContainsFunc(p.serverList, func(s *server) bool { return !s.faulty && s.options.value("maxconn") != "" })
}
