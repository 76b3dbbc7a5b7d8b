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

// fates are the directives of proxies by the names that settingOf gives.
var fates = map[string]fate{
	"mode": {handled: true}, "bind": {handled: true}, "server": {handled: true}, "server-template": {handled: true}, "default-server": {handled: true},
	"dispatch": {handled: true}, "acl": {handled: true}, "use_backend": {handled: true}, "default_backend": {handled: true}, "use-server": {handled: true}, "tcp-request": {handled: true},
	"balance": {handled: true}, "retries": {handled: true}, "maxconn": {handled: true}, "source": {handled: true}, "stick": {handled: true},
	"timeout connect": {handled: true}, "timeout client": {handled: true}, "timeout server": {handled: true}, "timeout tunnel": {handled: true}, "timeout check": {handled: true},
	"timeout client-fin": {handled: true}, "timeout server-fin": {handled: true}, "timeout queue": {side: backs, why: "clients do not queue"}, "rate-limit sessions": {handled: true},
	"clitcpka-idle": {handled: true}, "clitcpka-intvl": {handled: true}, "clitcpka-cnt": {handled: true}, "srvtcpka-idle": {handled: true}, "srvtcpka-intvl": {handled: true}, "srvtcpka-cnt": {handled: true},
	"option redispatch": {handled: true}, "option tcp-check": {handled: true}, "tcp-check": {handled: true}, "http-check": {handled: true}, "option allbackups": {handled: true}, "enabled": {handled: true}, "disabled": {handled: true},
	"description": {handled: true}, "option dontlog-normal": {handled: true},

	"timeout http-request": {why: whyInTCP}, "timeout http-keep-alive": {why: whyInTCP}, "timeout tarpit": {why: whyInTCP},
	"log": {side: fronts, why: "l4fwd writes its log to standard error, one JSON line a connection: log.access"}, "log-format": {side: fronts, why: whyLog}, "log-format-sd": {side: fronts, why: whyLog}, "error-log-format": {side: fronts, why: whyLog},
	"log-tag": {why: whyLog}, "log-steps": {why: whyLog}, "unique-id-format": {why: whyLog}, "unique-id-header": {why: whyInTCP},
	"option tcplog": {side: fronts, why: whyLog}, "option httplog": {side: fronts, why: whyLog}, "option httpslog": {side: fronts, why: whyLog}, "option dontlognull": {side: fronts, why: "a connection without a byte counts as probe, and log.access: errors leaves it out"},
	"option logasap": {side: fronts, why: "log.starts: true writes a line when a connection begins, too"}, "option log-separate-errors": {side: fronts, why: whyLog}, "option log-health-checks": {why: "l4fwd logs when an address changes its state"},
	"option socket-stats": {why: whyStats}, "option contstats": {why: "counters are always current"}, "stats": {why: whyStats}, "monitor-uri": {why: "use /readyz"}, "monitor fail": {why: "use /readyz"},
	"option splice-auto": {why: whySplice}, "option splice-request": {why: whySplice}, "option splice-response": {why: whySplice},
	"option tcpka": {why: whyKeepIdle}, "option clitcpka": {side: fronts, why: whyKeepIdle}, "option srvtcpka": {side: backs, why: whyKeepIdle},
	"option tcp-smart-accept": {why: whySocket}, "option tcp-smart-connect": {why: whySocket}, "option nolinger": {why: "a reset is passed on, and an end waits for what was sent"},
	"option persist": {side: backs, why: whyInTCP}, "option abortonclose": {side: backs, why: "clients do not queue"}, "option prefer-last-server": {side: backs, why: whyInTCP}, "option checkcache": {why: whyInTCP}, "persist rdp-cookie": {side: backs, matters: true, why: "a client does not stay with one server"},
	"option independent-streams": {matters: true, why: "any byte in either direction restarts timeouts.idle"}, "option transparent": {side: backs, matters: true, why: "l4fwd goes only to hosts that are listed"}, "transparent": {side: backs, matters: true, why: "l4fwd goes only to hosts that are listed"},
	"backlog": {side: fronts, why: "net.core.somaxconn bounds the queue"}, "bind-process": {why: "there is one process"}, "id": {why: "l4fwd has names only"}, "guid": {why: "l4fwd has names only"}, "fullconn": {side: backs, why: "l4fwd has fixed limits"},
	"hash-type": {side: backs, why: "l4fwd does not hash"}, "hash-balance-factor": {side: backs, why: "l4fwd does not hash"}, "hash-preserve-affinity": {side: backs, why: "l4fwd does not hash"}, "stick-table": {why: whySticky}, "capture": {why: "the access log has the name of the ClientHello: sni"}, "declare capture": {why: whyLog},
	"load-server-state-from-file": {side: backs, why: "a reload keeps what is known of addresses"}, "server-state-file-name": {side: backs, why: "a reload keeps what is known of addresses"},
	"filter": {matters: true, why: "l4fwd has no filters"}, "tcp-response": {side: backs, matters: true, why: "l4fwd does not judge what servers answer"}, "external-check command": {side: backs, why: "the checks of l4fwd are tcp, tls and https"}, "external-check path": {side: backs, why: "the checks of l4fwd are tcp, tls and https"},
	"email-alert from": {why: "alerts are made from /metrics"}, "email-alert to": {why: "alerts are made from /metrics"}, "email-alert level": {why: "alerts are made from /metrics"}, "email-alert mailers": {why: "alerts are made from /metrics"}, "email-alert myhostname": {why: "alerts are made from /metrics"},
	"cookie": {side: backs, why: whyInTCP}, "compression algo": {why: whyInTCP}, "compression type": {why: whyInTCP}, "compression offload": {why: whyInTCP}, "errorfile": {why: whyInTCP}, "errorfiles": {why: whyInTCP}, "errorloc": {why: whyInTCP}, "errorloc302": {why: whyInTCP}, "errorloc303": {why: whyInTCP},
	"http-request": {why: whyInTCP}, "http-response": {why: whyInTCP}, "http-after-response": {why: whyInTCP}, "http-error": {why: whyInTCP}, "http-reuse": {why: whyInTCP}, "http-send-name-header": {why: whyInTCP}, "redirect": {why: whyInTCP}, "retry-on": {why: whyInTCP}, "max-keep-alive-queue": {why: whyInTCP},
	"force-persist": {why: whyInTCP}, "ignore-persist": {why: whyInTCP}, "use-fcgi-app": {why: whyInTCP}, "option forwardfor": {why: whyInTCP + ": a server learns the client's address from send_proxy"}, "option originalto": {why: whyInTCP},
}

// httpOptions are options that concern HTTP only.
var httpOptions = []string{"option http", "option accept-", "option h1-", "option idle-", "option disable-h2", "option use-", "option forceclose", "option httpclose"}

// fateOf is what becomes of a directive; ok is false if l4fwd does not know it.
func fateOf(key string) (f fate, ok bool) {
	if f, ok = fates[key]; ok {
		return f, true
	}
	if slices.Contains(ownChecks, key) {
		return fate{handled: true}, true
	}
	if slices.ContainsFunc(httpOptions, func(o string) bool { return strings.HasPrefix(key, o) }) {
		return fate{why: whyInTCP}, true
	}
	return fate{matters: true, why: "l4fwd does not know this directive"}, false
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
		f, _ := fateOf(key)
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

// globalFates are the directives of global by their first word, or the beginning of it.
var globalFates = map[string]string{
	"daemon": "systemd runs l4fwd", "user": "the unit has it", "group": "the unit has it", "uid": "the unit has it", "gid": "the unit has it", "chroot": "the unit protects the system", "pidfile": "systemd knows the process",
	"log": "l4fwd writes its log to standard error", "log-tag": whyLog, "log-send-hostname": whyLog, "stats": whyStats, "ulimit-n": "the unit has LimitNOFILE", "fd-hard-limit": "limits.max_connections bounds the files", "strict-limits": "limits.max_connections is lowered to what RLIMIT_NOFILE allows",
	"cpu-map": "l4fwd does not pin its loops", "numa-cpu-mapping": "l4fwd does not pin its loops", "nbproc": "there is one process", "thread-groups": "see loops", "thread-group": "see loops", "cpu-policy": "l4fwd does not pin its loops", "cpu-set": "l4fwd does not pin its loops",
	"tune.": "l4fwd has no such setting, and adapts by itself", "ssl-": "TLS passes through untouched", "ca-base": "TLS passes through untouched", "crt-base": "TLS passes through untouched", "key-base": "TLS passes through untouched", "issuers-chain-path": "TLS passes through untouched",
	"lua-": "l4fwd runs no Lua; a rule that uses it is reported by itself", "master-worker": "l4fwd reload loses no connection", "mworker-": "l4fwd reload loses no connection", "nosplice": whySplice, "noepoll": "see engine", "nopoll": "see engine", "nokqueue": "see engine", "noevports": "see engine", "noreuseport": whySocket,
	"busy-polling": "see engine", "spread-checks": "checks are spread by up to a tenth", "max-spread-checks": "checks are spread by up to a tenth", "node": whyStats, "description": whyStats, "localpeer": "there are no peers", "maxpipes": whySplice, "maxsslconn": "TLS passes through untouched", "maxsslrate": "TLS passes through untouched",
	"set-dumpable": "the unit has LimitCORE", "insecure-": "the unit protects the system", "external-check": "the checks of l4fwd are tcp, tls and https", "server-state-": "a reload keeps what is known of addresses", "unix-bind": whyUnit, "quiet": "see log.level", "debug": "see log.level", "zero-warning": "l4fwd check reports every fault",
	"expose-": "there are none", "h1-": whyHTTP, "h2-": whyHTTP, "http": whyHTTP, "profiling.": "use /debug/pprof", "default-path": "it is for files that the file names", "cluster-secret": "it is for QUIC", "presetenv": "", "setenv": "", "unsetenv": "", "resetenv": "", "maxconn": "", "maxconnrate": "", "nbthread": "", "hard-stop-after": "", "grace": "",
	"maxcomp": whyHTTP, "maxzlibmem": whyHTTP, "no-memory-trimming": "it is for HAProxy's memory", "no-quic": "it is for QUIC", "limited-quic": "it is for QUIC", "wurfl": whyHTTP, "51degrees": whyHTTP, "deviceatlas": whyHTTP, "anonkey": whyLog, "nogetaddrinfo": "names are resolved by DNS", "pp2-never-send-local": "a check of type tcp sends no header",
	"set-var": "there are no variables", "prealloc-fd": "", "dns-accept-family": "l4fwd uses addresses of both families in turn", "stress-level": "it is for HAProxy's tests", "harden.": whySocket, "trace": "see log.level", "warn-": "it is for HAProxy's log", "close-spread-time": "a drain closes connections at its end",
	"shm-stats": whyStats, "no": "it is off here, too", "jobs": "there is one process",
}

// longestWord bounds the beginnings of a word that are looked up.
const longestWord = 40

// globalRest reports a directive of global that is not carried.
func (im *importer) globalRest(l line) {
	word := l.words[0]
	why, known := globalFates[word]
	for prefix := word[:min(len(word), longestWord)]; !known && prefix != ""; prefix = prefix[:len(prefix)-1] {
		why, known = globalFates[prefix]
		known = known && (strings.HasSuffix(prefix, "-") || strings.HasSuffix(prefix, ".") || slices.Contains([]string{"http", "wurfl", "51degrees", "deviceatlas", "maxcomp"}, prefix))
	}
	switch {
	case word == "maxsessrate":
		im.dropped(l, l.text(), "l4fwd limits the rate of new connections: limits.accept_rate")
	case !known:
		im.dropped(l, l.text(), "l4fwd does not know this directive")
	case why != "":
		im.harmless(l, l.text(), why)
	}
}
