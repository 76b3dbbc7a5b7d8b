package haproxy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// Directives of proxies that have no counterpart, and are not missed: each with what l4fwd does instead.
func TestDirectivesThatAreNotMissed(t *testing.T) {
	for directive, why := range map[string]string{
		"timeout http-request 5s": "no effect in mode tcp", "option httpclose": "no effect in mode tcp", "option http-server-close": "no effect in mode tcp",
		"option accept-invalid-http-request": "no effect in mode tcp", "compression algo gzip": "no effect in mode tcp",
		"errorfile 503 /x": "no effect in mode tcp", "option forwardfor": "learns the client's address from send_proxy",
		"option tcplog": "see log.access", "option dontlognull": "counts as probe", "option logasap": "log.starts: true", "log-tag x": "see log.access",
		"option log-health-checks": "when an address changes its state", "option socket-stats": "l4fwd status", "stats enable": "l4fwd status",
		"monitor-uri /up": "use /readyz", "monitor fail if TRUE": "use /readyz", "option splice-auto": "splices bulk by itself",
		"option tcp-smart-connect": "sets its sockets itself", "option nolinger": "an end waits for what was sent", "backlog 5": "net.core.somaxconn",
		"id 7": "has names only", "fullconn 9": "fixed limits", "hash-type consistent": "does not hash", "stick-table type ip size 1k": "no stick tables",
		"capture request header x len 9": "the name of the ClientHello", "option abortonclose": "clients do not queue",
		"load-server-state-from-file global": "keeps what is known of addresses", "email-alert to x": "made from /metrics",
		"option persist": "no effect in mode tcp", "option contstats": "always current", "external-check path /bin": "tcp, tls and https",
	} {
		importCase{text: listening(directive, oneServer), has: []string{"upstream: app"},
			says: []string{"x.cfg:8: warning: dropped: " + directive + ": ", why}, exact: true}.run(t)
	}
	for directive, why := range map[string]string{
		"option independent-streams": "any byte in either direction restarts timeouts.idle", "filter trace": "has no filters",
		"persist rdp-cookie": "does not stay with one server", "option tcplogg": "does not know",
	} {
		importCase{text: listening(directive, oneServer), says: []string{"x.cfg:8: dropped: " + directive + ": ", why}}.run(t)
	}
}

// A directive concerns clients or servers: where a section has none of them, or nothing leads to it, there is nothing to miss. One
// that is turned off, or that a later line replaces, is not missed either.
func TestDirectivesOfTheOtherSide(t *testing.T) {
	split := func(front, back string) string {
		return "defaults\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n retries 0\nfrontend f\n bind :1\n default_backend b\n " + front +
			"\nbackend b\n " + oneServer + "\n " + back + "\n"
	}
	for _, c := range []importCase{
		{text: split("option transparent\n timeout queue 5s\n fullconn 9", "option tcplog\n option clitcpka\n backlog 7"),
			saysNot: []string{"transparent", "queue", "fullconn", "tcplog", "clitcpka", "backlog"}, exact: true},
		{text: split("option clitcpka", "option srvtcpka"), says: []string{"x.cfg:9: warning: dropped: option clitcpka", "x.cfg:12: warning: dropped: option srvtcpka"},
			exact: true},
		{text: split("", "option transparent"), says: []string{"x.cfg:12: dropped: option transparent"}},
		{text: split("", "") + "backend unused\n option transparent\n", says: []string{"backend unused: nothing"}, saysNot: []string{"transparent"}, exact: true},
		{text: split("no option tcplog\n default option logasap", ""), saysNot: []string{"log"}, exact: true},
		{text: split("backlog 5\n backlog 7", ""), says: []string{"x.cfg:10: warning: dropped: backlog 7"}, saysNot: []string{"backlog 5"}, exact: true},
	} {
		c.run(t)
	}
}

// Sections in mode http: one that only answers by itself is a warning, as is a backend that no carried section leads to; one with
// clients or servers is not.
func TestSectionsInModeHTTP(t *testing.T) {
	for lines, why := range map[string]string{
		"frontend w|mode http|bind :2|http-request use-service prometheus-exporter if { path /metrics }": "warning: dropped: frontend w: l4fwd has l4fwd status",
		"frontend w|mode http|bind :2|http-request return status 200":                                    "warning: dropped: frontend w: l4fwd has l4fwd status",
		"frontend w|mode http|bind :2|monitor-uri /up":                                                   "warning: dropped: frontend w: l4fwd has l4fwd status",
		"frontend w|mode http|bind :2|monitor fail if FALSE":                                             "warning: dropped: frontend w: l4fwd has l4fwd status",
		"listen w|mode http|bind :2|stats enable|server s 10.0.0.2:3":                                    " dropped: listen w: it is in mode http, and",
		"frontend w|mode http|bind :2|stats enable|default_backend x|backend x|mode http":                " dropped: frontend w: it is in mode http, and",
		"frontend w|mode http|bind :2|stats enable|redirect scheme https":                                " dropped: frontend w: it is in mode http, and",
		"frontend w|mode http|bind :2|http-request use-service lua.x":                                    " dropped: frontend w: it is in mode http, and",
		"frontend w|mode http|bind :2":                                                                   " dropped: frontend w: it is in mode http, and",
		"backend w|mode http|server s 10.0.0.2:3":                                                        "warning: dropped: backend w: it is in mode http: keep HAProxy for it",
		"backend w|mode http|server s 10.0.0.2:3|frontend f|bind :2|use_backend w if TRUE":               ": dropped: backend w: it is in mode http, and",
		"backend w|mode http|server s 10.0.0.2:3|frontend f|bind :2|default_backend w":                   ": dropped: backend w: it is in mode http, and",
		"backend w|mode http|server s 10.0.0.2:3|frontend f|mode http|bind :2|default_backend w":         "warning: dropped: backend w: it is in mode http: keep",
	} {
		yaml, said, _ := imported(t, listening(oneServer)+strings.ReplaceAll(lines, "|", "\n ")+"\n")
		require.Contains(t, said, why, "%s\n%s", lines, said)
		require.NotContains(t, yaml, "10.0.0.2", lines)
	}
}

// Directives of global by their names, or the beginning of one that stands for a family.
func TestGlobalDirectives(t *testing.T) {
	for directive, why := range map[string]string{
		"tune.ssl.cachesize 9": "adapts by itself", "ssl-default-bind-ciphers x": "passes through untouched", "h1-case-adjust a A": "it is for HTTP",
		"httpclient.ssl.verify none": "it is for HTTP", "51degrees-data-file x": "it is for HTTP", "wurfl-data-file x": "it is for HTTP",
		"deviceatlas-json-file x": "it is for HTTP", "maxcompcpuusage 9": "it is for HTTP", "user haproxy": "the unit has it",
		"insecure-fork-wanted": "the unit protects", "mworker-max-reloads 3": "loses no connection", "cpu-map 1 0": "does not pin", "nosplice": "splices bulk",
		"profiling.tasks on": "/debug/pprof", "no strict-limits": "off here", "expose-experimental-directives": "there are none",
		"server-state-file x": "keeps what is known", "unix-bind user x": "set by systemd", "ulimit-n 9": "LimitNOFILE", "stats timeout 1s": "l4fwd status",
	} {
		importCase{text: "global\n " + directive + "\n" + listening(oneServer), says: []string{"x.cfg:2: warning: dropped: " + directive + ": ", why},
			exact: true}.run(t)
	}
	for _, directive := range []string{"tune", "logger x", "userx", "stats-x", "ssl", "httx", "mworker"} {
		importCase{text: "global\n " + directive + "\n" + listening(oneServer), says: []string{"x.cfg:2: dropped: " + directive + ": l4fwd does not know"}}.run(t)
	}
}

// Numbers of global: what l4fwd does not take is brought within its bounds, and what is no number is reported.
func TestNumbersOfGlobal(t *testing.T) {
	global := func(lines ...string) string {
		return "global\n " + strings.Join(lines, "\n ") + "\n" + listening(oneServer)
	}
	for _, c := range []importCase{
		{text: global("maxconn 99999999", "maxconnrate 2000000", "nbthread 5000"),
			has: []string{"loops: 1024\n", "limits: {max_connections: 10000000, accept_rate: 1000000}"}, exact: true},
		{text: global("maxconn x", "maxconnrate -1", "nbthread 1.5"), hasNot: []string{"limits", "loops"}, says: []string{
			"x.cfg:2: dropped: maxconn x: it is no number", "dropped: maxconnrate -1: it is no number", "dropped: nbthread 1.5: it is no number"}},
		{text: global("maxconn 0", "maxconn", "nbthread 0"), hasNot: []string{"limits", "loops"}, exact: true},
		{text: global("maxconn 7", "nbthread 3", "maxconn 9"), has: []string{"max_connections: 9}", "loops: 3\n"}, exact: true},
		{text: global("grace 0", "hard-stop-after 0"), has: []string{"drain: {lame_duck: 0ms}"}, exact: true},
		{text: global("grace 2h", "hard-stop-after 8d"), has: []string{"drain: {lame_duck: 1h, timeout: 168h}"}, says: []string{
			"x.cfg:2: changed: grace 2h: l4fwd takes 0ms to 1h: it is 1h", "changed: hard-stop-after 8d: l4fwd takes 0ms to 168h: it is 168h"}},
		{text: global("maxconn 10", "maxconnrate 20") + " maxconn 10\n rate-limit sessions 20\n", has: []string{"{max_connections: 10, accept_rate: 20}"},
			says: []string{"warning: dropped: maxconn 10: the limit of all connections is no larger"}, exact: true},
		{text: global("maxconnrate 20") + " rate-limit sessions 19\n", has: []string{"accept_rate: 19}"}, exact: true},
		{text: global("maxconnrate 20") + " rate-limit sessions 21\n", has: []string{"accept_rate: 20}"}, says: []string{"dropped: rate-limit sessions 21: "}},
		{text: global("nbthread 1") + " rate-limit sessions 2000000\n maxconn 0\n", has: []string{"accept_rate: 1000000}"}, exact: true},
		{text: global("nbthread 1") + " rate-limit sessions 0\n", hasNot: []string{"accept_rate"}, says: []string{"dropped: rate-limit sessions 0: "}},
	} {
		c.run(t)
	}
}
