package haproxy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/haproxy"
)

// listening is a listen section on port 1 without retries, whose lines begin at line 8.
func listening(lines ...string) string {
	return "defaults\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n retries 0\nlisten app\n bind :1\n " + strings.Join(lines, "\n ") + "\n"
}

// A server's address is carried in every spelling that HAProxy has; what l4fwd cannot or must not connect to is reported.
func TestAddressesOfServers(t *testing.T) {
	for address, want := range map[string]string{
		"10.0.0.1:3": "10.0.0.1:3", "ipv4@10.0.0.1:3": "10.0.0.1:3", "tcp4@10.0.0.1:3": "10.0.0.1:3", "tcp@10.0.0.1:3": "10.0.0.1:3",
		"[2001:db8::1]:3": "'[2001:db8::1]:3'", "2001:db8::1:3": "'[2001:db8::1]:3'", "ipv6@[2001:db8::1]:3": "'[2001:db8::1]:3'",
		"ip@10.0.0.1:3": "10.0.0.1:3", "stream+ipv6@2001:db8::1:3": "'[2001:db8::1]:3'", "tcp6@[2001:db8::1]": "'[2001:db8::1]:1'",
		"10.0.0.1":    "10.0.0.1:1",
		"localhost:3": "localhost:3", "up.example:3": "up.example:3", "10.0.0.1:0": "10.0.0.1:1",
	} {
		yaml, said, matters := imported(t, listening("server s "+address))
		require.Contains(t, yaml, "address: "+want+"\n", "%s: %s", address, said)
		require.False(t, matters, "%s: %s", address, said)
	}
	for address, why := range map[string]string{
		"/run/app.sock": "over TCP only", "unix@/run/app.sock": "over TCP only", "abns@app": "over TCP only", "fd@3": "over TCP only",
		"quic4@10.0.0.1:3": "addresses of the kind quic4", "dgram+ip@10.0.0.1:3": "addresses of the kind dgram+ip", "abnsz@x": "over TCP only",
		"sockpair@3":    "over TCP only",
		"10.0.0.1:+100": "no offset", "10.0.0.1:-1": "no offset", "10.0.0.1:99999": "the port is no number",
		"10.0.0.1:http":          "the port is no number",
		"_https._tcp.up.example": "SRV records", "*:3": "hosts that are listed", "0.0.0.0:3": "hosts that are listed",
		":3": "hosts that are listed", "[::]:3": "hosts that are listed",
		"a..b:3": "", "10.0.0.1:3 ssl": "does not add TLS", "10.0.0.1:3 socks4 10.0.0.2:1": "SOCKS proxy",
		"10.0.0.1:3 namespace x": "its own network namespace", "10.0.0.1:3 check-via-socks4": "directly only",
	} {
		importCase{text: listening("server s "+address, "server other 10.0.0.9:3"), has: []string{"address: 10.0.0.9:3\n"},
			hasNot: []string{"addresses:"},
			says:   []string{"x.cfg:8: dropped: server s ", why}}.run(t)
	}
	importCase{text: listening("server s"), says: []string{"x.cfg:8: dropped: server s: there is no address"}}.run(t)
	importCase{text: listening("server a/b 10.0.0.1:3"), says: []string{"a server's name has letters"}}.run(t)
}

// Servers of one backend become addresses and backups in order; each once, and none that gets no clients.
func TestStandingOfServers(t *testing.T) {
	for _, c := range []importCase{
		{text: listening("server a 10.0.0.1:3", "server b 10.0.0.2:3"),
			has: []string{"address: 10.0.0.1:3\n    addresses: ['10.0.0.2:3']\n    balance: round_robin"}, exact: true},
		{text: listening("server a 10.0.0.1:3", "server b 10.0.0.1:3"), has: []string{"address: 10.0.0.1:3\n"},
			hasNot: []string{"addresses", "balance"}, says: []string{"an earlier line has the same address"}, exact: true},
		{text: listening("server a 10.0.0.1:3 disabled", "server b 10.0.0.2:3"), has: []string{"address: 10.0.0.2:3\n"},
			says: []string{"warning: dropped: server a"}, exact: true},
		{text: listening("server a 10.0.0.1:3 weight 0", "server b 10.0.0.2:3"), has: []string{"address: 10.0.0.2:3\n"},
			says: []string{"its weight is 0"}, exact: true},
		{text: listening("default-server disabled", "server a 10.0.0.1:3 enabled", "server b 10.0.0.2:3"),
			has: []string{"address: 10.0.0.1:3\n"}, hasNot: []string{"10.0.0.2"}, exact: true},
		{text: listening("default-server enabled", "server a 10.0.0.1:3 disabled", "server b 10.0.0.2:3"),
			has: []string{"address: 10.0.0.2:3\n"}, hasNot: []string{"10.0.0.1"}, exact: true},
		{text: listening("server a 10.0.0.1", "server b 10.0.0.2:3", "server c 10.0.0.1:1"),
			has: []string{"address: 10.0.0.1:1\n    addresses: ['10.0.0.2:3']\n"}, exact: true},
		{text: listening("server a 10.0.0.1:3 weight 2", "server b 10.0.0.2:3 weight 2"), exact: true},
		{text: listening("server a 10.0.0.1:3 weight 2", "server b 10.0.0.2:3"),
			says: []string{"x.cfg:9: dropped: weight 1: servers of an upstream have equal shares"}},
		{text: listening("server a 10.0.0.1:3 backup", "server b 10.0.0.2:3"),
			has: []string{"address: 10.0.0.2:3\n    backups: ['10.0.0.1:3']"}, exact: true},
		{text: listening("server a 10.0.0.1:3 backup"), has: []string{"address: 10.0.0.1:3\n"}, hasNot: []string{"backups"}, exact: true},
		{text: listening("default-server backup", "server a 10.0.0.1:3 no-backup", "server b 10.0.0.2:3"),
			has: []string{"backups: ['10.0.0.2:3']"}, exact: true},
		{text: listening("server a 10.0.0.1:3", "server b 10.0.0.2:3 backup", "server c 10.0.0.3:3 backup"),
			has: []string{"backups: ['10.0.0.2:3', '10.0.0.3:3']\n    balance: first"}, exact: true},
		{text: listening("option allbackups", "server a 10.0.0.1:3", "server b 10.0.0.2:3 backup", "server c 10.0.0.3:3 backup"),
			hasNot: []string{"balance"}, exact: true},
		{text: listening("server a 10.0.0.1:3", "server b 10.0.0.2:3", "server c 10.0.0.3:3 backup", "server d 10.0.0.4:3 backup"),
			has:  []string{"balance: round_robin"},
			says: []string{"x.cfg:11: changed: server d 10.0.0.4:3 backup: l4fwd uses all backups at a time"}},
		{text: listening("server a 10.0.0.1:3 send-proxy", "server b 10.0.0.2:3"), has: []string{"send_proxy: v1"},
			hasNot: []string{"10.0.0.2"}, says: []string{"the same PROXY header, and the first one gets v1"}},
		{text: listening("server a 10.0.0.1:3 send-proxy-v2 no-send-proxy-v2"), hasNot: []string{"send_proxy"}, exact: true},
		{text: listening("server a 10.0.0.1:3 send-proxy-v2-ssl"), has: []string{"send_proxy: v2"},
			says: []string{"warning: changed: send-proxy-v2-ssl: the header has the TLVs that l4fwd received"}, exact: true},
		{text: listening("server a 10.0.0.1:3 frobnicate"), says: []string{"dropped: server frobnicate: l4fwd does not know this option"}},
		{text: listening("server a 10.0.0.1:3 on-marked-down shutdown-sessions"),
			says: []string{"dropped: on-marked-down shutdown-sessions: connections to a server that fails its check go on"}},
		{text: listening("server a 10.0.0.1:3 agent-check agent-port 9"), says: []string{"nobody asks an agent"}},
	} {
		c.run(t)
	}
}

// The ways to balance, and what keeps a client at one server.
func TestBalance(t *testing.T) {
	for method, want := range map[string]string{"roundrobin": "round_robin", "static-rr": "round_robin", "leastconn": "least_conn",
		"first": "first", "random": "least_conn", "random(2)": "least_conn"} {
		yaml, said, matters := imported(t, listening("balance "+method, "server a 10.0.0.1:3", "server b 10.0.0.2:3"))
		require.Contains(t, yaml, "balance: "+want+"\n", "%s: %s", method, said)
		require.Equal(t, strings.HasPrefix(method, "random"), strings.Contains(said, "not of two drawn at random"), said)
		require.False(t, matters, "%s: %s", method, said)
	}
	for _, method := range []string{"source", "hash src", "rdp-cookie(mstshash)"} {
		importCase{text: listening("balance "+method, "server a 10.0.0.1:3", "server b 10.0.0.2:3"),
			says: []string{"changed: balance " + method + ": a client does not stay with one server"}}.run(t)
		importCase{text: listening("balance "+method, "server a 10.0.0.1:3"), hasNot: []string{"balance"},
			says: []string{"there is one server only"}, exact: true}.run(t)
	}
	importCase{text: listening("stick on src", "stick-table type ip size 1k", "server a 10.0.0.1:3", "server b 10.0.0.2:3"),
		says: []string{"dropped: stick on src"}}.run(t)
	importCase{text: listening("stick on src", "stick-table type ip size 1k", "server a 10.0.0.1:3"),
		says: []string{"warning: dropped: stick on src"}, exact: true}.run(t)
}

// use-server makes an upstream of one server, with the others as backups.
func TestUseServer(t *testing.T) {
	text := listening("tcp-request inspect-delay 1s", "tcp-request content reject unless { req.ssl_hello_type 1 }",
		"use-server b if { req.ssl_sni -i b.example }", "server a 10.0.0.1:3", "server b 10.0.0.2:3")
	importCase{text: text, has: []string{"sni: [b.example]\n        upstream: app.b\n"},
		says: []string{"changed: listen app: other names: l4fwd refuses them"}}.run(t)
	text = sniRules("use_backend b if { req.ssl_sni -i a.example b.example }") + " use-server x if { req.ssl_sni -i b.example }\n server x 10.0.0.7:3\n"
	text = strings.Replace(text, "use_backend b if", "use_backend d if", 1)
	importCase{text: text, has: []string{"sni: [a.example]\n        upstream: d\n", "sni: [b.example]\n        upstream: d.x\n",
		"name: d.x\n    address: 10.0.0.7:3\n    backups: ['10.0.0.3:3']"}, exact: true}.run(t)
}

// The name of a server may be made at run time, or be that of a template's slot: that is reported, and no fault of the file.
func TestUseServerByAFormat(t *testing.T) {
	importCase{text: listening("use-server web2 if TRUE", "server-template web 3 up.example:3"), has: []string{"address: up.example:3\n"},
		says: []string{"x.cfg:8: dropped: use-server web2 if TRUE: l4fwd uses every address of a template alike: there are no slots"}}.run(t)
	_, err := haproxy.Import(options("x.cfg", listening("use-server wob2 if TRUE", "server-template web 3 up.example:3")))
	require.EqualError(t, err, `x.cfg:8: use-server wob2 if TRUE: there is no server "wob2"`)
	importCase{text: listening("use-server %[req.ssl_sni] if TRUE", "server a 10.0.0.1:3", "server b 10.0.0.2:3"),
		has:  []string{"addresses: ['10.0.0.2:3']"},
		says: []string{"x.cfg:8: dropped: use-server %[req.ssl_sni] if TRUE: l4fwd does not make the name of a server of what a client sends"}}.run(t)
}

// Limits of servers add up for the upstream, unless one has none.
func TestLimitsOfServers(t *testing.T) {
	for _, c := range []importCase{
		{text: listening("server a 10.0.0.1:3 maxconn 10", "server b 10.0.0.2:3 maxconn 20"), has: []string{"max_connections: 30\n"},
			says: []string{"max_connections: 30 holds for the whole upstream"}, exact: true},
		{text: listening("server a 10.0.0.1:3 maxconn 10", "server b 10.0.0.2:3"), hasNot: []string{"max_connections"},
			says: []string{"dropped: maxconn 10: l4fwd limits the connections of a whole upstream"}},
		{text: listening("timeout queue 1s", "server a 10.0.0.1:3 maxconn 10"), has: []string{"max_connections: 10\n"},
			says: []string{"dropped: timeout queue 1s: clients beyond a limit are refused at once"}},
		{text: listening("timeout queue 1s", "server a 10.0.0.1:3"),
			says: []string{"warning: dropped: timeout queue 1s: clients do not queue"}, exact: true},
		{text: listening("maxconn 50", oneServer), has: []string{"limits: {max_connections: 50}"}, exact: true},
		{text: listening("maxconn x", oneServer), says: []string{"dropped: maxconn x: it is no number"}},
		{text: "global\n maxconn 40\n" + listening("maxconn 50", oneServer), has: []string{"limits: {max_connections: 40}"}, exact: true},
		{text: listening("maxconn 50", oneServer) + "listen other\n bind :2\n server s 10.0.0.2:3\n", hasNot: []string{"max_connections"},
			says: []string{"dropped: maxconn 50: l4fwd limits connections of all listeners"}},
		{text: listening("rate-limit sessions 9", oneServer), has: []string{"limits: {accept_rate: 9}"}, exact: true},
		{text: listening("rate-limit sessions 9", oneServer) + "listen other\n bind :2\n server s 10.0.0.2:3\n",
			hasNot: []string{"accept_rate"}, says: []string{"dropped: rate-limit sessions 9"}},
		{text: "global\n maxconnrate 7\n maxsessrate 9\n" + listening(oneServer), has: []string{"accept_rate: 7"},
			says: []string{"x.cfg:3: dropped: maxsessrate 9"}},
		{text: "global\n harden.reject-privileged-ports.tcp on\n" + listening(oneServer),
			says: []string{"x.cfg:2: dropped: harden.reject-privileged-ports.tcp on"}},
	} {
		c.run(t)
	}
}

// Addresses to connect from, and how often to try.
func TestConnecting(t *testing.T) {
	for _, c := range []importCase{
		{text: listening("source 10.9.0.1", oneServer), has: []string{"source_addresses: [10.9.0.1]"}, exact: true},
		{text: listening("server a 10.0.0.1:3 source 10.9.0.1:1024-2048"), has: []string{"source_addresses: [10.9.0.1]"},
			says: []string{"the kernel chooses the port"}, exact: true},
		{text: listening("server a 10.0.0.1:3 source [fd00::1]"), has: []string{"source_addresses: ['fd00::1']"}, exact: true},
		{text: listening("source ipv6@fd00::1:0", oneServer), has: []string{"source_addresses: ['fd00::1']"}, exact: true},
		{text: listening("server a 10.0.0.1:3 source [fd00::1]:1024-2048"), has: []string{"source_addresses: ['fd00::1']"},
			says: []string{"dropped: source [fd00::1]:1024-2048: the kernel chooses the port"}, exact: true},
		{text: listening("source unix@/run/x.sock", oneServer), hasNot: []string{"source_addresses"},
			says: []string{"dropped: source unix@/run/x.sock: it is no IP address"}},
		{text: listening("source *", oneServer), hasNot: []string{"source_addresses"}, exact: true},
		{text: listening("source 0.0.0.0", oneServer), hasNot: []string{"source_addresses"}, exact: true},
		{text: listening("source 10.9.0.1 usesrc clientip", oneServer),
			says: []string{"dropped: usesrc clientip: l4fwd connects from its own addresses"}},
		{text: listening("source eth0", oneServer), says: []string{"dropped: source eth0: it is no IP address"}},
		{text: listening("server a 10.0.0.1:3 source 10.9.0.1", "server b 10.0.0.2:3 source 10.9.0.2"),
			has: []string{"source_addresses: [10.9.0.1, 10.9.0.2]"}, says: []string{"from each of the addresses in turn"}},
		{text: listening("retries 4", "server a 10.0.0.1:3", "server b 10.0.0.2:3"), has: []string{"attempts: 5}"},
			says: []string{"warning: changed: retries without option redispatch"}, exact: true},
		{text: listening("retries 4", "option redispatch", "server a 10.0.0.1:3", "server b 10.0.0.2:3"), saysNot: []string{"redispatch"},
			exact: true},
		{text: listening("retries 99", "option redispatch", "server a 10.0.0.1:3", "server b 10.0.0.2:3"), has: []string{"attempts: 100}"},
			exact: true},
		{text: listening("retries 100", "option redispatch", "server a 10.0.0.1:3", "server b 10.0.0.2:3"), has: []string{"attempts: 100}"},
			says: []string{"x.cfg:8: changed: retries 100: l4fwd makes at most 100 attempts"}},
		{text: listening("retries 4", oneServer), says: []string{"a connection tries an address once"}, exact: true},
		{text: listening("timeout connect 1ms", oneServer), has: []string{"timeout: 10ms"},
			says: []string{"changed: timeout connect 1ms: l4fwd takes 10ms to 5m: it is 10ms"}},
		{text: listening("timeout connect x", oneServer), says: []string{"dropped: timeout connect x: it is no time"}},
		{text: listening("server a 10.0.0.1:3 observe layer4 error-limit 7"), has: []string{"outlier: {failures: 7}"}, exact: true},
		{text: listening("server a 10.0.0.1:3 observe layer7"), hasNot: []string{"outlier"}, says: []string{"it is for HTTP"}, exact: true},
	} {
		c.run(t)
	}
}

// Checks of servers; those that judge more than l4fwd does are reported.
func TestChecks(t *testing.T) {
	for _, c := range []importCase{
		{text: listening(oneServer), has: []string{"check: {type: none}"}, exact: true},
		{text: listening("server s 10.0.0.1:3 check"), has: []string{"check: {type: tcp, interval: 2s, timeout: 1s, rise: 2, fall: 3}"},
			exact: true},
		{text: listening("server s 10.0.0.1:3 check inter 500 rise 4 fall 5"),
			has: []string{"check: {type: tcp, interval: 500ms, timeout: 500ms, rise: 4, fall: 5}"}, exact: true},
		{text: listening("default-server check inter 3s", oneServer), has: []string{"interval: 3s"}, exact: true},
		{text: listening("default-server check", "server s 10.0.0.1:3 no-check"), has: []string{"type: none"}, exact: true},
		{text: listening("server s 10.0.0.1:3 check inter 10ms"), has: []string{"interval: 100ms"},
			says: []string{"changed: inter 10ms: l4fwd takes 100ms to 24h"}},
		{text: listening("server a 10.0.0.1:3 check rise 2", "server b 10.0.0.2:3 check inter 2000"), saysNot: []string{"checked alike"},
			exact: true},
		{text: listening("server a 10.0.0.1:3 check", "server b 10.0.0.2:3 check fall 9", "server c 10.0.0.3:3"),
			says: []string{"x.cfg:9: warning: changed: fall: all addresses", "x.cfg:10: warning: changed: c without check"}, exact: true},
		{text: listening("server s up.example:3 check check-ssl verify required"), has: []string{"type: tls"}, exact: true},
		{text: listening("server s up.example:3 check check-ssl check-sni up.example verify required ca-file @system-ca"),
			has: []string{"type: tls"}, exact: true},
		{text: listening("server s up.example:3 check check-ssl check-sni other.example"), has: []string{"type: tcp"},
			says: []string{"l4fwd asks for the host of the upstream's address"}},
		{text: listening("server s up.example:3 check check-ssl verify none"), has: []string{"type: tcp"},
			says: []string{"l4fwd always verifies the certificate"}},
		{text: listening("server s up.example:3 check check-ssl ca-file own.pem"), has: []string{"type: tcp"},
			says: []string{"start l4fwd with SSL_CERT_FILE"}},
		{text: listening("server s 10.0.0.1:3 check check-ssl"), has: []string{"type: tcp"}, says: []string{"name the upstream by its DNS name"}},
		{text: listening("option httpchk GET /health HTTP/1.1", "server s up.example:3 check check-ssl"), has: []string{"type: https",
			"path: /health"}, says: []string{"any answer passes"}},
		{text: listening("option httpchk", "server s 10.0.0.1:3 check"), has: []string{"type: tcp"},
			says: []string{"changed: option httpchk: the check is of type tcp"}},
		{text: listening("option httpchk", "no option httpchk", "server s 10.0.0.1:3 check"), saysNot: []string{"httpchk"}, exact: true},
		{text: listening("option pgsql-check user x", "server s 10.0.0.1:3 check"), says: []string{"changed: option pgsql-check user x"}},
		{text: listening("option tcp-check", "tcp-check connect", "server s 10.0.0.1:3 check"), exact: true},
		{text: listening("option tcp-check", "tcp-check connect", "tcp-check expect string +PONG", "server s 10.0.0.1:3 check"),
			says: []string{"dropped: tcp-check expect string +PONG"}},
		{text: listening("timeout check 3s", "server s up.example:3 check check-ssl"), has: []string{"timeout: 4s"}, exact: true},
		{text: listening("timeout check 3s", "server s up.example:3 check"), has: []string{"timeout: 1s"},
			says: []string{"x.cfg:8: warning: ", "timeout check 3s: it is for the answer to a check, and a check of type tcp awaits none"}, exact: true},
		{text: listening("server s 10.0.0.1:3 check port 8008"),
			says: []string{"dropped: port 8008: l4fwd checks the port that clients are sent to"}},
	} {
		c.run(t)
	}
}
