package haproxy_test

import (
	"testing"
)

// Backups: who serves while primaries work, in which order, and what is said of it.
func TestBackupsInOrder(t *testing.T) {
	a, b := "server a 10.0.0.1:3", "server b 10.0.0.2:3 backup"
	for _, c := range []importCase{
		{text: listening("balance leastconn", a, b), hasNot: []string{"balance"}, has: []string{"stagger: 0s"}, exact: true,
			says: []string{"x.cfg:10: warning: changed: backup: a connection that failed at every primary tries the backup, too"}},
		{text: listening("server a up.example:3", b, "server c 10.0.0.3:3 backup"), has: []string{"balance: round_robin"},
			says: []string{"x.cfg:10: changed: server c 10.0.0.3:3 backup: l4fwd uses all backups at a time"}},
		{text: listening(b, "server c 10.0.0.3:3 backup"), has: []string{"address: 10.0.0.2:3\n    addresses: ['10.0.0.3:3']\n    balance: round_robin"},
			hasNot: []string{"backups", "stagger"}, saysNot: []string{"backup"}, exact: true},
		{text: listening("balance first", a, "server c 10.0.0.3:3"), has: []string{"balance: first", "stagger: 0s"}, exact: true},
		{text: listening(a, "server c 10.0.0.3:3"), hasNot: []string{"stagger"}, exact: true},
		// A backup that is a primary too, or stands twice, is one address.
		{text: listening(a, b, "server c 10.0.0.1:3 backup"), has: []string{"backups: ['10.0.0.2:3']\n"}, says: []string{"x.cfg:10: warning: dropped: server c"},
			exact: true},
		{text: listening("server a 10.0.0.1", b, "server c 10.0.0.1:1 backup", "server d 10.0.0.2:3 backup"), has: []string{"address: 10.0.0.1:1\n    backups: ['10.0.0.2:3']\n"},
			says: []string{"x.cfg:11: warning: dropped: server d"}, exact: true},
		{text: listening(a, "server c 10.0.0.3:3", "server d 10.0.0.3 backup", "bind :3"), has: []string{"name: app:3\n    address: 10.0.0.1:3\n    addresses: ['10.0.0.3:3']\n    balance"},
			hasNot: []string{"name: app:3\n    address: 10.0.0.1:3\n    addresses: ['10.0.0.3:3']\n    backups"}, exact: true},
	} {
		c.run(t)
	}
}

// A limit of 0 is none in HAProxy. Limits of backups do not count.
func TestLimitsThatAreNone(t *testing.T) {
	for _, c := range []importCase{
		{text: listening("server a 10.0.0.1:3 maxconn 10", "server b 10.0.0.2:3 maxconn 0"), hasNot: []string{"max_connections"},
			says: []string{"x.cfg:8: dropped: maxconn 10: l4fwd limits", "x.cfg:9: dropped: maxconn 0: l4fwd limits"}},
		{text: listening("server a 10.0.0.1:3 maxconn 1"), has: []string{"max_connections: 1\n"}, exact: true},
		{text: listening("server a 10.0.0.1:3 maxconn 0"), hasNot: []string{"max_connections"}, exact: true},
		{text: listening("server a 10.0.0.1:3 maxconn 10", "server b 10.0.0.2:3 maxconn 5 backup"), has: []string{"max_connections: 10\n"}, exact: true},
		{text: listening("server a 10.0.0.1:3 maxconn 9000000", "server b 10.0.0.2:3 maxconn 9000000"), has: []string{"max_connections: 10000000\n"}, exact: true},
	} {
		c.run(t)
	}
}

// What HAProxy learns of failed connections: observe, and what it does then.
func TestPassiveChecks(t *testing.T) {
	for _, c := range []importCase{
		{text: listening("server a 10.0.0.1:3"), hasNot: []string{"outlier"}, exact: true},
		{text: listening("server a 10.0.0.1:3", "server b 10.0.0.2:3"), has: []string{"outlier: {failures: 0}"}, exact: true},
		{text: listening("server a 10.0.0.1:3 observe layer4"), has: []string{"outlier: {failures: 10}"}, exact: true,
			says: []string{"x.cfg:8: warning: changed: observe layer4: outlier ejects"}},
		{text: listening("server a 10.0.0.1:3 observe layer4 error-limit 0"), has: []string{"outlier: {failures: 10}"}, exact: true},
		{text: listening("server a 10.0.0.1:3 observe layer4 error-limit 1"), has: []string{"outlier: {failures: 1}"}, exact: true},
		{text: listening("server a 10.0.0.1:3 observe layer4 error-limit 1000000"), has: []string{"outlier: {failures: 1000000}"}, exact: true},
		{text: listening("server a 10.0.0.1:3 observe layer4 error-limit 1000001"), has: []string{"outlier: {failures: 10}"}, exact: true},
		{text: listening("server a 10.0.0.1:3 observe layer4 on-error fastinter"), says: []string{"warning: changed: on-error fastinter: an address that fails"},
			exact: true},
		{text: listening("server a 10.0.0.1:3 observe layer4 on-error mark-down"), saysNot: []string{"on-error"}, exact: true},
		{text: listening("server a 10.0.0.1:3 on-error fail-check"), saysNot: []string{"on-error"}, exact: true},
		{text: listening("server a 10.0.0.1:3 observe layer7 on-error fastinter"), saysNot: []string{"on-error"}, exact: true},
	} {
		c.run(t)
	}
}

// Options of servers that are carried otherwise or dropped: each with its values and its reason.
func TestOptionsOfServers(t *testing.T) {
	for option, want := range map[string]string{
		"send-proxy-v2 proxy-v2-options ssl,cert-cn": "warning: changed: proxy-v2-options ssl,cert-cn: the header has the TLVs that l4fwd received",
		"send-proxy-v2-ssl-cn":                       "warning: changed: send-proxy-v2-ssl-cn: the header has the TLVs",
		"check fastinter 1s":                         "warning: dropped: fastinter 1s: checks have one interval",
		"slowstart 10s":                              "warning: dropped: slowstart 10s: ",
		"cookie a":                                   "warning: dropped: cookie a: it is for HTTP",
		"sni str(x)":                                 "warning: dropped: sni str(x): TLS passes through",
		"check check-send-proxy":                     "warning: dropped: check-send-proxy: a check of type tls",
		"alpn h2,http/1.1":                           "warning: dropped: alpn h2,http/1.1: it is for TLS",
		"maxqueue 5":                                 "warning: dropped: maxqueue 5: clients do not queue",
		"resolve-net 10.0.0.0/8":                     " dropped: resolve-net 10.0.0.0/8: l4fwd uses every address",
		"interface eth0":                             " dropped: interface eth0: l4fwd leaves the interface",
		"track b/x":                                  " dropped: track b/x: l4fwd checks each upstream by itself",
		"check addr 10.0.0.9":                        " dropped: addr 10.0.0.9: l4fwd checks the address",
		"on-marked-up shutdown-backup-sessions":      " dropped: on-marked-up shutdown-backup-sessions: connections to backups",
		"usesrc clientip":                            " dropped: usesrc clientip: l4fwd connects from its own",
	} {
		c := importCase{text: listening("server s 10.0.0.1:3 " + option), has: []string{"address: 10.0.0.1:3\n"}, says: []string{"x.cfg:8: " + want}}
		if want[0] == ' ' {
			c.says = []string{"x.cfg:8:" + want}
		} else {
			c.exact = true
		}
		c.run(t)
	}
	for _, c := range []importCase{
		{text: listening("server s 10.0.0.1:3 ssl crt x.pem"), says: []string{"x.cfg:8: dropped: server s 10.0.0.1:3 ssl crt x.pem: l4fwd does not add TLS"}},
		{text: listening("default-server ssl", "server s 10.0.0.1:3 no-ssl"), has: []string{"address: 10.0.0.1:3"}, exact: true},
		{text: listening("default-server ssl", "server s 10.0.0.1:3", "server t 10.0.0.2:3 no-ssl"), has: []string{"address: 10.0.0.2:3\n"},
			hasNot: []string{"10.0.0.1"}, says: []string{"x.cfg:9: dropped: server s 10.0.0.1:3: l4fwd does not add TLS"}},
		{text: listening("default-server send-proxy", "server s 10.0.0.1:3 no-send-proxy"), hasNot: []string{"send_proxy"}, exact: true},
		{text: listening("server s 10.0.0.1:3", "default-server send-proxy"), hasNot: []string{"send_proxy"}, exact: true},
		{text: listening("server 1234567890123456789012345678901234567890 10.0.0.1:3"), has: []string{"10.0.0.1:3"}, exact: true},
		{text: listening("server 12345678901234567890123456789012345678901 10.0.0.1:3"), says: []string{"at most 40 of them"}},
		{text: listening("server s 10.0.0.1:65535"), has: []string{"10.0.0.1:65535"}, exact: true},
		{text: listening("server s 10.0.0.1:65536"), says: []string{"the port is no number from 1 to 65535"}},
		{text: listening("server s 10.0.0.1:3 inter"), has: []string{"10.0.0.1:3"}, exact: true}, // HAProxy refuses it
	} {
		c.run(t)
	}
}

// Names are resolved at run time, by DNS: init-addr is not needed, and a template has no slots.
func TestNamesOfServers(t *testing.T) {
	for _, c := range []importCase{
		{text: listening("server s up.example:3 init-addr last,libc,none"), exact: true, says: []string{
			"x.cfg:8: warning: changed: up.example: l4fwd keeps the name resolved", "x.cfg:8: warning: dropped: init-addr last,libc,none: l4fwd asks DNS at start"}},
		{text: listening("server-template s 1-5 up.example:3 init-addr none"), has: []string{"address: up.example:3\n"}, saysNot: []string{"changed: up.example"},
			says: []string{"warning: changed: s 1-5: l4fwd uses every address of the answer: there are no slots", "dropped: init-addr none"}, exact: true},
		{text: listening("server s 10.0.0.1:3 init-addr none"), saysNot: []string{"init-addr"}, exact: true},
		{text: listening("server-template s 5"), says: []string{"x.cfg:8: dropped: server-template s 5: "}},
		{text: listening("dispatch up.example:3"), has: []string{"address: up.example:3\n"}, saysNot: []string{"changed"}, exact: true},
	} {
		c.run(t)
	}
}

// The timeout of a check follows inter and timeout connect; timeout check adds to it where an answer is awaited.
func TestTimeoutsOfChecks(t *testing.T) {
	secure := "server s up.example:3 check check-ssl"
	for _, c := range []importCase{
		{text: listening("timeout connect 10s", "server s 10.0.0.1:3 check inter 3s"), has: []string{"interval: 3s, timeout: 3s,"}, exact: true},
		{text: listening("timeout connect 10m", "server s 10.0.0.1:3 check inter 1h"), has: []string{"connect: {timeout: 5m,", "interval: 1h, timeout: 5m,"},
			says: []string{"changed: timeout connect 10m: l4fwd takes 10ms to 5m: it is 5m"}},
		{text: listening("timeout check 10m", secure), has: []string{"type: tls, interval: 2s, timeout: 5m"}, says: []string{"timeout check 10m: l4fwd takes"}},
		{text: listening("timeout check 0", secure), has: []string{"type: tls, interval: 2s, timeout: 1s"}, exact: true},
		{text: listening("server s 10.0.0.1:3 check rise 0 fall x"), has: []string{"rise: 2, fall: 3}"}, exact: true},
		{text: listening("server s 10.0.0.1:3 check rise 1 fall 1001"), has: []string{"rise: 1, fall: 1000}"}, exact: true},
		{text: listening("server s 10.0.0.1:3 check inter x"), has: []string{"interval: 2s"}, says: []string{"dropped: inter x: it is no time"}},
		{text: listening("option httpchk HEAD \"/a#b\" /ok HTTP/1.0", secure), has: []string{"type: https", "path: /ok"}, says: []string{"any answer passes"}},
		{text: listening("option httpchk", secure), has: []string{"type: https", "path: /}"}, says: []string{"any answer passes"}},
		{text: listening("option httpchk GET /x", "http-check expect status 200", secure), says: []string{"x.cfg:9: dropped: http-check expect status 200"}},
		{text: listening("http-check expect status 200", secure), saysNot: []string{"http-check"}, exact: true},
		{text: listening("tcp-check expect string x", "server s 10.0.0.1:3 check"), saysNot: []string{"tcp-check"}, exact: true},
		{text: listening("option tcp-check", "tcp-check connect port 9", "server s 10.0.0.1:3 check"), says: []string{"dropped: tcp-check connect port 9"}},
		{text: listening("option ssl-hello-chk", "server s 10.0.0.1:3"), has: []string{"type: none"}, saysNot: []string{"ssl-hello-chk"}, exact: true},
		{text: listening("server a up.example:3 check check-ssl", "server b 10.0.0.2:3 check"), says: []string{"x.cfg:9: warning: changed: check-ssl: all addresses"}, exact: true},
		{text: listening(secure + " ca-file /etc/ssl/certs/ca-certificates.crt"), has: []string{"type: tls"}, exact: true},
		{text: listening("server a 10.0.0.1:3", "server b 10.0.0.2:3 check rise 9"), has: []string{"rise: 9"},
			says: []string{"x.cfg:8: warning: changed: a without check: l4fwd checks every address"}, exact: true},
	} {
		c.run(t)
	}
}
