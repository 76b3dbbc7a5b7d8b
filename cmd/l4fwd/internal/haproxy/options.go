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

var bindOptions = map[string]option{
	"accept-proxy": {}, "v4v6": {}, "v6only": {}, "name": {values: 1}, "id": {1, missed, "l4fwd has names only"},
	"backlog": {1, missed, "net.core.somaxconn bounds the queue"}, "defer-accept": {0, missed, whySocket}, "tfo": {0, missed, whySocket},
	"mss": {1, missed, whySocket}, "nice": {1, missed, whySocket}, "process": {1, missed, whyThreads}, "thread": {1, missed, whyThreads},
	"shards": {1, missed, whyThreads}, "expose-fd": {1, missed, "l4fwd hands its sockets over by itself"}, "tcp-ut": {values: 1},
	"level": {1, missed, "it is for the stats socket"}, "severity-output": {1, missed, "it is for the stats socket"},
	"user": {1, missed, whyUnit}, "group": {1, missed, whyUnit}, "mode": {1, missed, whyUnit}, "uid": {1, missed, whyUnit}, "gid": {1, missed, whyUnit},
	"proto": {1, missed, whyHTTP}, "alpn": {1, missed, "it is for TLS"}, "npn": {1, missed, "it is for TLS"}, "idle-ping": {1, missed, whyHTTP}, "cc": {1, missed, whySocket},
	"maxconn":              {1, lost, "l4fwd limits connections of all listeners (limits.max_connections) or of an upstream (max_connections)"},
	"interface":            {1, lost, "l4fwd accepts on every interface: name an address of the interface, or restrict the port in the network"},
	"transparent":          {0, lost, "l4fwd accepts connections to addresses of this machine only"},
	"namespace":            {1, fatal, "l4fwd accepts in its own network namespace only"},
	"accept-netscaler-cip": {1, fatal, "l4fwd reads PROXY headers only"},
	"ssl":                  {0, fatal, whyTLS},
}

var serverOptions = map[string]option{
	"check": {}, "no-check": {}, "backup": {}, "no-backup": {}, "disabled": {}, "enabled": {}, "inter": {values: 1}, "rise": {values: 1}, "fall": {values: 1},
	"weight": {values: 1}, "maxconn": {values: 1}, "send-proxy": {}, "send-proxy-v2": {}, "send-proxy-v2-ssl": {}, "send-proxy-v2-ssl-cn": {},
	"no-send-proxy": {}, "no-send-proxy-v2": {}, "no-send-proxy-v2-ssl": {}, "no-send-proxy-v2-ssl-cn": {}, "proxy-v2-options": {values: 1}, "set-proxy-v2-tlv-fmt": {1, lost, "l4fwd passes on the TLVs that it received"},
	"resolvers": {values: 1}, "check-ssl": {}, "no-check-ssl": {}, "check-sni": {values: 1}, "verify": {values: 1}, "ca-file": {values: 1}, "verifyhost": {values: 1}, "source": {values: 1},
	"usesrc": {1, lost, "l4fwd connects from its own addresses"}, "interface": {1, lost, "l4fwd leaves the interface to the routing table"},
	"observe": {values: 1}, "error-limit": {values: 1}, "on-error": {values: 1}, "init-addr": {values: 1}, "tcp-ut": {values: 1}, "ssl": {}, "no-ssl": {},
	"fastinter": {1, missed, "checks have one interval"}, "downinter": {1, missed, "checks have one interval"},
	"slowstart": {1, missed, "an address that was out of use gets its share back over 30 s"}, "id": {1, missed, "l4fwd has names only"},
	"cookie": {1, missed, whyHTTP}, "redir": {1, missed, whyHTTP}, "proto": {1, missed, whyHTTP}, "ws": {1, missed, whyHTTP}, "check-proto": {1, missed, whyHTTP},
	"alpn": {1, missed, "it is for TLS"}, "npn": {1, missed, "it is for TLS"}, "check-alpn": {1, missed, "it is for TLS"}, "sni": {1, missed, "TLS passes through with the client's own name"},
	"crt": {1, missed, "it is for TLS"}, "crl-file": {1, missed, "it is for TLS"}, "ciphers": {1, missed, "it is for TLS"}, "ciphersuites": {1, missed, "it is for TLS"},
	"ssl-min-ver": {1, missed, "it is for TLS"}, "ssl-max-ver": {1, missed, "it is for TLS"}, "no-verifyhost": {}, "ssl-reuse": {}, "no-ssl-reuse": {}, "tls-tickets": {}, "no-tls-tickets": {},
	"force-tlsv10": {}, "force-tlsv11": {}, "force-tlsv12": {}, "force-tlsv13": {}, "no-sslv3": {}, "no-tlsv10": {}, "no-tlsv11": {}, "no-tlsv12": {}, "no-tlsv13": {}, "allow-0rtt": {},
	"tfo": {0, missed, whySocket}, "no-tfo": {}, "max-reuse": {1, missed, whyHTTP}, "pool-max-conn": {1, missed, whyHTTP}, "pool-low-conn": {1, missed, whyHTTP}, "pool-purge-delay": {1, missed, whyHTTP},
	"check-send-proxy": {0, missed, "a check of type tls or https sends a header if the upstream gets one; a check of type tcp sends nothing"},
	"resolve-prefer":   {1, missed, "l4fwd uses addresses of both families in turn"}, "resolve-net": {1, lost, "l4fwd uses every address of the answer"},
	"resolve-opts": {1, missed, "l4fwd uses each address of the answer once"}, "log-proto": {1, missed, "it is for logs"}, "log-bufsize": {1, missed, "it is for logs"}, "hash-key": {1, missed, "l4fwd does not hash"},
	"minconn": {1, missed, "l4fwd has one limit, max_connections"}, "maxqueue": {1, missed, "clients do not queue"}, "non-stick": {}, "stick": {}, "no-agent-check": {}, "guid": {1, missed, "l4fwd has names only"},
	"agent-check": {0, lost, "nobody asks an agent: l4fwd checks the server itself"}, "agent-port": {values: 1}, "agent-addr": {values: 1}, "agent-inter": {values: 1}, "agent-send": {values: 1},
	"port": {1, lost, "l4fwd checks the port that clients are sent to"}, "addr": {1, lost, "l4fwd checks the address that clients are sent to"},
	"track":                {1, lost, "l4fwd checks each upstream by itself"},
	"on-marked-down":       {1, lost, "connections to a server that fails its check go on"},
	"on-marked-up":         {1, lost, "connections to backups go on when a primary is back"},
	"check-via-socks4":     {0, fatal, "l4fwd connects directly only"},
	"socks4":               {1, fatal, "l4fwd connects directly only: bytes would not pass the SOCKS proxy"},
	"namespace":            {1, fatal, "l4fwd connects from its own network namespace only"},
	"healthcheck":          {1, lost, "the checks of l4fwd are tcp, tls and https"},
	"pool-conn-name":       {1, missed, whyHTTP},
	"check-reuse-pool":     {0, missed, whyHTTP},
	"check-pool-conn-name": {1, missed, whyHTTP},
}

// options are the words of one bind or server line, by name, with their last values.
type options map[string][]string

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
		i = end - 1
		if !usable {
			return false // what follows, such as the certificate of ssl, goes with it
		}
	}
	return usable
}
