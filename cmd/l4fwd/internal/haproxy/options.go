package haproxy

import (
	"strings"
)

// effect is what becomes of a word after the address of bind or server.
type effect int

const (
	carried effect = iota // it is carried, or needs nothing
	missed                // it is dropped, and nobody misses it
	lost                  // it is dropped, and that matters
	fatal                 // the line as a whole cannot be carried
)

// option is a word after the address, and how many values follow it.
type option struct {
	values int
	effect effect
	why    string
}

const (
	whyTLS       = "l4fwd does not terminate TLS: keep HAProxy for this port, or let TLS pass through"
	whyServerTLS = "l4fwd does not add TLS: the server would get what the client sends, unencrypted"
	whySocket    = "l4fwd sets its sockets itself"
	whyUnit      = "the owner of a socket is set by systemd"
	whyHTTP      = "it is for HTTP"
	whyThreads   = "the event loops share every port"
)

var bindOptions = byName([]group[option]{
	{option{}, `accept-proxy, v4v6, v6only`},
	{option{values: 1}, `name, tcp-ut`},
	{option{1, missed, "l4fwd has names only"}, `id`},
	{option{1, missed, "net.core.somaxconn bounds the queue"}, `backlog`},
	{option{0, missed, whySocket}, `defer-accept, tfo`},
	{option{1, missed, whySocket}, `mss, nice, cc`},
	{option{1, missed, whyThreads}, `process, thread, shards`},
	{option{1, missed, "l4fwd hands its sockets over by itself"}, `expose-fd`},
	{option{1, missed, "it is for the stats socket"}, `level, severity-output`},
	{option{1, missed, whyUnit}, `user, group, mode, uid, gid`},
	{option{1, missed, whyHTTP}, `proto, idle-ping`},
	{option{1, missed, "it is for TLS"}, `alpn, npn`},
	{option{1, lost, "l4fwd limits connections of all listeners (limits.max_connections) or of an upstream (max_connections)"}, `
		maxconn`},
	{option{1, lost, "l4fwd accepts on every interface: name an address of the interface, or restrict the port in the network"}, `
		interface`},
	{option{0, lost, "l4fwd accepts connections to addresses of this machine only"}, `transparent`},
	{option{1, fatal, "l4fwd accepts in its own network namespace only"}, `namespace`},
	{option{1, fatal, "l4fwd reads PROXY headers only"}, `accept-netscaler-cip`},
	{option{0, fatal, whyTLS}, `ssl`},
})

var serverOptions = byName([]group[option]{
	{option{}, `check, no-check, backup, no-backup, disabled, enabled, send-proxy, send-proxy-v2, send-proxy-v2-ssl,
		send-proxy-v2-ssl-cn, no-send-proxy, no-send-proxy-v2, no-send-proxy-v2-ssl, no-send-proxy-v2-ssl-cn, check-ssl,
		no-check-ssl, ssl, no-ssl, no-verifyhost, ssl-reuse, no-ssl-reuse, tls-tickets, no-tls-tickets, force-tlsv10,
		force-tlsv11, force-tlsv12, force-tlsv13, no-sslv3, no-tlsv10, no-tlsv11, no-tlsv12, no-tlsv13, allow-0rtt, no-tfo,
		non-stick, stick, no-agent-check`},
	{option{values: 1}, `inter, rise, fall, weight, maxconn, proxy-v2-options, resolvers, check-sni, verify, ca-file,
		verifyhost, source, observe, error-limit, on-error, init-addr, tcp-ut, agent-port, agent-addr, agent-inter, agent-send`},
	{option{1, lost, "l4fwd passes on the TLVs that it received"}, `set-proxy-v2-tlv-fmt`},
	{option{1, lost, "l4fwd connects from its own addresses"}, `usesrc`},
	{option{1, lost, "l4fwd leaves the interface to the routing table"}, `interface`},
	{option{1, missed, "checks have one interval"}, `fastinter, downinter`},
	{option{1, missed, "an address that was out of use gets its share back over 30 s"}, `slowstart`},
	{option{1, missed, "l4fwd has names only"}, `id, guid`},
	{option{1, missed, whyHTTP}, `cookie, redir, proto, ws, check-proto, max-reuse, pool-max-conn, pool-low-conn,
		pool-purge-delay, pool-conn-name, check-pool-conn-name`},
	{option{1, missed, "it is for TLS"}, `alpn, npn, check-alpn, crt, crl-file, ciphers, ciphersuites, ssl-min-ver, ssl-max-ver`},
	{option{1, missed, "TLS passes through with the client's own name"}, `sni`},
	{option{0, missed, whySocket}, `tfo`},
	{option{0, missed, "a check of type tls or https sends a header if the upstream gets one; a check of type tcp sends nothing"}, `
		check-send-proxy`},
	{option{1, missed, "l4fwd uses addresses of both families in turn"}, `resolve-prefer`},
	{option{1, lost, "l4fwd uses every address of the answer"}, `resolve-net`},
	{option{1, missed, "l4fwd uses each address of the answer once"}, `resolve-opts`},
	{option{1, missed, "it is for logs"}, `log-proto, log-bufsize`},
	{option{1, missed, "l4fwd does not hash"}, `hash-key`},
	{option{1, missed, "l4fwd has one limit, max_connections"}, `minconn`},
	{option{1, missed, "clients do not queue"}, `maxqueue`},
	{option{0, lost, "nobody asks an agent: l4fwd checks the server itself"}, `agent-check`},
	{option{1, lost, "l4fwd checks the port that clients are sent to"}, `port`},
	{option{1, lost, "l4fwd checks the address that clients are sent to"}, `addr`},
	{option{1, lost, "l4fwd checks each upstream by itself"}, `track`},
	{option{1, lost, "connections to a server that fails its check go on"}, `on-marked-down`},
	{option{1, lost, "connections to backups go on when a primary is back"}, `on-marked-up`},
	{option{0, fatal, "l4fwd connects directly only"}, `check-via-socks4`},
	{option{1, fatal, "l4fwd connects directly only: bytes would not pass the SOCKS proxy"}, `socks4`},
	{option{1, fatal, "l4fwd connects from its own network namespace only"}, `namespace`},
	{option{1, lost, "the checks of l4fwd are tcp, tls and https"}, `healthcheck`},
	{option{0, missed, whyHTTP}, `check-reuse-pool`},
})

// options are the words of one bind or server line, by name, with their last values.
type options map[string][]string

// has reports whether the option is there, with or without values.
func (o options) has(name string) bool {
	_, ok := o[name]
	return ok
}

// value is the first value of an option; "" if it is not there.
func (o options) value(name string) string {
	if v := o[name]; len(v) > 0 {
		return v[0]
	}
	return ""
}

// readOptions reads the words after an address into o, by a table. usable is false if one of them makes the whole line useless.
func (im *importer) readOptions(at line, words []string, table map[string]option, o options) (usable bool) {
	usable = true
	for i := 0; i < len(words); i++ {
		name := words[i]
		spec, known := table[name]
		if !known {
			im.dropped(at, brief([]string{at.words[0], name}), "l4fwd does not know this option")
			continue
		}
		end := min(i+1+spec.values, len(words))
		values := words[i+1 : end]
		o[name] = values
		what := brief(append([]string{name}, values...))
		switch spec.effect {
		case missed:
			im.harmless(at, what, spec.why)
		case lost:
			im.dropped(at, what, spec.why)
		case fatal:
			im.dropped(at, at.text(), spec.why)
			usable = false
		}
		if base, negated := strings.CutPrefix(name, "no-"); negated {
			delete(o, base)
		}
		if name == "enabled" {
			delete(o, "disabled")
		}
		i = end - 1
		if !usable {
			return false // what follows, such as the certificate of ssl, goes with it
		}
	}
	return usable
}
