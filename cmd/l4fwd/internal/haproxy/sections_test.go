package haproxy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// timed is a listen section with timeouts of its own, whose lines begin at line 5.
func timed(lines ...string) string {
	return "listen app\n mode tcp\n retries 0\n bind :1\n " + strings.Join(append(lines, oneServer), "\n ") + "\n"
}

// Times are HAProxy's: milliseconds without a unit, and units from us to d. Any byte restarts both timeouts of a connection, so that
// the shorter one counts, and timeout tunnel takes the place of both.
func TestTimeouts(t *testing.T) {
	for _, c := range []importCase{
		{text: timed("timeout client 60000", "timeout server 1h"), has: []string{"idle: 1m,", "half_close: 1m}"}, exact: true},
		{text: timed("timeout client 2h", "timeout server 1d"), has: []string{"idle: 2h,"}, exact: true},
		{text: timed("timeout client 90s", "timeout server 90000ms"), has: []string{"idle: 90s,"}, exact: true},
		{text: timed("timeout client 60000000us", "timeout server 60s"), has: []string{"idle: 1m,"}, exact: true},
		{text: timed("timeout client 1m", "timeout server 1m", "timeout tunnel 3h"), has: []string{"idle: 3h,"}, exact: true},
		{text: timed("timeout client 1m", "timeout server 1m", "timeout client-fin 5s", "timeout server-fin 5s"),
			has: []string{"half_close: 5s}"}, exact: true},
		{text: timed("timeout client 1m", "timeout server 1m", "timeout client-fin 5s"), has: []string{"half_close: 1m}"},
			says: []string{"changed: timeout client-fin 5s: l4fwd has one timeouts.half_close"}},
		{text: timed("timeout client 1m", "timeout server 1m", "timeout server-fin 5s"), has: []string{"half_close: 1m}"},
			says: []string{"x.cfg:7: changed: timeout server-fin 5s: l4fwd has one timeouts.half_close"}},
		{text: timed("timeout client 1m", "timeout server 1m", "timeout client-fin 2m", "timeout server-fin 5s"),
			has: []string{"half_close: 2m}"}, says: []string{"changed: timeout server-fin 5s"}, saysNot: []string{"client-fin"}},
		{text: timed("timeout client 100ms", "timeout server 1m"), has: []string{"idle: 1s,"},
			says: []string{"changed: timeout client 100ms: l4fwd takes 1s to 720h: it is 1s"}},
		{text: timed("timeout client 99999d", "timeout server 1m"), has: []string{"idle: 1m,"}, exact: true},
		{text: timed(), has: []string{"idle: 720h,"},
			says: []string{"x.cfg:1: changed: listen app: no timeout client, timeout server or timeout tunnel is set"}},
		{text: timed("timeout client 1m", "timeout server 1m", "timeout client 2m"), has: []string{"idle: 1m,"}, exact: true},
		{text: timed("timeout client 1m", "timeout server 1m") + strings.Replace(timed("timeout client 2m", "timeout server 2m"),
			"app\n mode tcp\n retries 0\n bind :1", "more\n bind :2", 1), has: []string{"idle: 2m,"},
			says: []string{"x.cfg:5: changed: timeout client 1m: l4fwd has one timeouts.idle for all connections and both directions, the longest: 2m"}},
		{text: timed("timeout client 1m", "timeout server 1m", "tcp-request inspect-delay 3s"), has: []string{"preface: 3s,"}, exact: true},
		{text: timed("timeout client 1m", "timeout server 1m", "tcp-request inspect-delay 3s", "tcp-request inspect-delay 1s"),
			has: []string{"preface: 3s,"}, says: []string{"l4fwd has one timeouts.preface, the longest: 3s"}},
		{text: timed("timeout client 1m", "timeout server 1m", "tcp-request inspect-delay 2h"), has: []string{"preface: 1h,"},
			says: []string{"changed: inspect-delay 2h: l4fwd takes 10ms to 1h"}},
		{text: timed("timeout client 1m", "timeout server 1m", "timeout frob 1s"),
			says: []string{"dropped: timeout frob 1s: l4fwd does not know this directive"}},
	} {
		c.run(t)
	}
}

// l4fwd has one keepalive for both legs: the shorter times, and the longest user timeout.
func TestKeepalive(t *testing.T) {
	for _, c := range []importCase{
		{text: listening("clitcpka-idle 30s", "clitcpka-intvl 5s", "clitcpka-cnt 3", oneServer),
			has: []string{"keepalive: {idle: 30s, interval: 5s, count: 3}"}, exact: true},
		{text: listening("clitcpka-idle 30s", "srvtcpka-idle 20s", oneServer), has: []string{"keepalive: {idle: 20s}"},
			says: []string{"l4fwd has one keepalive for clients and servers, with the shorter time"}},
		{text: listening("srvtcpka-idle 10h", "srvtcpka-intvl 9h", oneServer), has: []string{"keepalive: {idle: 9h, interval: 9h}"},
			says: []string{"x.cfg:8: changed: srvtcpka-idle 10h: l4fwd takes 1s to 9h"}, saysNot: []string{"intvl"}},
		{text: listening("clitcpka-cnt 127", "srvtcpka-cnt 2", oneServer), has: []string{"keepalive: {count: 2}"},
			says: []string{"x.cfg:9: changed: srvtcpka-cnt 2: l4fwd has one keepalive for clients and servers, with the smaller count"}},
		{text: listening("clitcpka-cnt 2", "srvtcpka-cnt 3", oneServer), has: []string{"keepalive: {count: 2}"}, says: []string{"the smaller count"}},
		{text: listening("clitcpka-cnt 1", "srvtcpka-cnt 1", oneServer), has: []string{"keepalive: {count: 1}"}, exact: true},
		{text: listening("clitcpka-cnt 0", "srvtcpka-cnt 128", oneServer), hasNot: []string{"keepalive"},
			says: []string{"dropped: clitcpka-cnt 0: it is no number from 1", "dropped: srvtcpka-cnt 128: it is no number from 1"}},
		{text: listening("server s 10.0.0.1:3 tcp-ut 30s"), has: []string{"keepalive: {user_timeout: 30s}"},
			says: []string{"warning: changed: tcp-ut 30s"}, exact: true},
		{text: strings.Replace(listening("server s 10.0.0.1:3 tcp-ut 30s"), "bind :1", "bind :1 tcp-ut 40s", 1),
			has: []string{"user_timeout: 40s"}, says: []string{"changed: tcp-ut 30s: l4fwd has one keepalive.user_timeout"}},
		{text: listening("option tcpka", "option clitcpka", "option srvtcpka", oneServer), says: []string{"keepalive is always on"}, exact: true},
	} {
		c.run(t)
	}
}

// Sections inherit from the defaults before them or those that they name, and "no" turns off what was inherited.
func TestInheritance(t *testing.T) {
	for _, c := range []importCase{
		{text: "defaults a\n timeout client 1m\n timeout server 1m\ndefaults b\n timeout client 2m\n timeout server 2m\nlisten x from a\n bind :1\n " + oneServer + "\n", has: []string{"idle: 1m,"}, exact: true},
		{text: "defaults a\n timeout client 1m\n timeout server 1m\ndefaults b from a\n timeout server 30s\nlisten x\n bind :1\n " + oneServer + "\n", has: []string{"idle: 30s,"}, exact: true},
		{text: "defaults\n timeout client 1m\n timeout server 1m\ndefaults\n timeout client 2m\n timeout server 2m\nlisten x\n bind :1\n " + oneServer + "\n", has: []string{"idle: 2m,"}, exact: true},
		{text: "defaults\n timeout client 1m\n timeout server 1m\n log global\nlisten x\n no log\n bind :1\n " + oneServer + "\n",
			hasNot: []string{"access"}, saysNot: []string{"log"}, exact: true},
		{text: "defaults\n timeout client 1m\n timeout server 1m\n log global\nlisten x\n bind :1\n " + oneServer + "\n",
			has: []string{"log: {access: all}"}, exact: true},
		{text: "defaults\n timeout client 1m\n timeout server 1m\n log global\n option dontlog-normal\nlisten x\n bind :1\n " + oneServer + "\n", has: []string{"log: {access: errors}"}, exact: true},
		{text: listening("option transparent", "no option transparent", oneServer), saysNot: []string{"transparent"}, exact: true},
		{text: listening("option transparent", oneServer),
			says: []string{"dropped: option transparent: l4fwd goes only to hosts that are listed"}},
		{text: listening("disabled", "enabled", oneServer), has: []string{"upstream: app"}, exact: true},
		{text: listening("enabled", "disabled", oneServer), says: []string{"listen app: it is disabled in HAProxy, too"}, exact: true},
		{text: listening("disabled", oneServer), says: []string{"warning: dropped: listen app: it is disabled in HAProxy, too"}, exact: true},
		{text: "defaults\n mode http\n" + listening(oneServer)[len("defaults\n"):], says: []string{"dropped: listen app: it is in mode http"}},
		{text: listening(oneServer) + "frontend web\n mode http\n bind :2\n stats enable\n",
			says: []string{"warning: dropped: frontend web: l4fwd has l4fwd status"}, exact: true},
		{text: listening(oneServer) + "frontend web\n mode http\n bind :2\n http-request redirect scheme https\n",
			says: []string{"x.cfg:9: dropped: frontend web: it is in mode http"}},
		{text: listening(oneServer) + "listen h\n mode health\n bind :2\n",
			says: []string{"warning: dropped: listen h: mode health forwards no connections"}, exact: true},
		{text: listening(oneServer) + "log-forward l\n bind :2\n", says: []string{"dropped: log-forward l: l4fwd has nothing of this kind"}},
		{text: listening(oneServer) + "peers p\n peer a 10.0.0.1:1\nmailers m\nuserlist u\ncache c\n",
			says: []string{"warning: dropped: peers p", "warning: dropped: userlist u"}, exact: true},
		{text: "global\n nbthread 3\nglobal\n nbthread 4\n grace 3s\n hard-stop-after 1m\n" + listening(oneServer),
			has: []string{"loops: 4\n", "drain: {lame_duck: 3s, timeout: 1m}"}, exact: true},
		{text: "global\n frobnicate\n tune.bufsize 1\n lua-load x.lua\n" + listening(oneServer),
			says: []string{"x.cfg:2: dropped: frobnicate: l4fwd does not know", "x.cfg:3: warning: dropped: tune.bufsize 1"}},
	} {
		c.run(t)
	}
}

// Each address of bind is a listener; what l4fwd cannot accept on is reported.
func TestBind(t *testing.T) {
	at := func(bind string) string { return strings.Replace(listening(oneServer), "bind :1", bind, 1) }
	for bind, want := range map[string]string{
		"bind :443": "0.0.0.0:443", "bind *:443": "0.0.0.0:443", "bind 0.0.0.0:443": "0.0.0.0:443", "bind ipv4@:443": "0.0.0.0:443",
		"bind :::443 v4v6": ":443", "bind [::]:443": ":443", "bind ipv6@:443": ":443",
		"bind 10.0.0.7:443": "10.0.0.7:443", "bind [fd00::1]:443": "'[fd00::1]:443'", "bind localhost:443": "127.0.0.1:443",
		"bind ip@10.0.0.7:443": "10.0.0.7:443", "bind stream+tcp4@*:443": "0.0.0.0:443", "bind tcp6@*:443": ":443",
		"bind ::ffff:10.0.0.7:443": "10.0.0.7:443", "bind *:443 defer-accept nice 2 name x": "0.0.0.0:443",
	} {
		yaml, said, matters := imported(t, at(bind))
		require.Contains(t, strings.ReplaceAll(yaml, "address: ':443'", "address: :443"), "address: "+want+"\n", "%s: %s", bind, said)
		require.False(t, matters, "%s: %s", bind, said)
	}
	for bind, why := range map[string]string{
		"bind /run/x.sock": "no Unix socket", "bind abns@x": "on an IP address only", "bind quic4@:443": "on an IP address only",
		"bind 443": "there is no port", "bind": "there is no address", "bind lb.example:443": "not on a name",
		"bind :0": "the port is no number", "bind :http": "the port is no number", "bind :9-7": "the port is no number",
		"bind :1000-2000": "at most 100 of a range", "bind :443 ssl crt x.pem": "does not terminate TLS",
		"bind :443 namespace x": "its own network namespace", "bind 224.0.0.1:443": "cannot listen there",
		"bind fe80::1:443": "cannot listen there", "bind :443 accept-netscaler-cip 1": "PROXY headers only",
	} {
		importCase{text: at(bind), says: []string{"x.cfg:7: dropped: bind", why}}.run(t)
	}
	for bind, why := range map[string]string{
		"bind :443 interface eth0": "accepts on every interface", "bind :443 transparent": "addresses of this machine only", "bind :443 maxconn 9": "limits.max_connections", "bind :443 frobnicate": "does not know this option", "bind :::443 v6only": "takes IPv4 clients there, too",
	} {
		importCase{text: at(bind), has: []string{"443"}, says: []string{why}}.run(t)
	}
	importCase{text: at("bind 10.0.0.7:1-2,10.0.0.8:5 accept-proxy"), has: []string{"10.0.0.7:1\n    upstream: app\n    accept_proxy: required", "10.0.0.7:2\n", "10.0.0.8:5\n    upstream: app\n    accept_proxy: required"}, exact: true}.run(t)
	importCase{text: at("bind *:1\n bind :::1 v6only"), has: []string{"address: :1\n"}, hasNot: []string{"0.0.0.0"}, exact: true}.run(t)
	importCase{text: at("bind :8080\n bind :9901"), has: []string{"health: {address: ':8081'}", "admin: {address: '127.0.0.1:9902'}"},
		says: []string{"l4fwd's own health port makes way"}, exact: true}.run(t)
	importCase{text: at("bind :443\n tcp-request connection expect-proxy layer4"), has: []string{"accept_proxy: required"}, exact: true}.run(t)
	importCase{text: at("bind :443\n tcp-request connection expect-proxy layer4 if { src 10.0.0.1 }"),
		has: []string{"accept_proxy: required"}, says: []string{"every client must begin with a PROXY header"}}.run(t)
}

// The name servers of the resolvers that servers use are asked; no more than one port, and no name.
func TestResolvers(t *testing.T) {
	with := func(server string, lines ...string) string {
		return "resolvers r\n " + strings.Join(lines, "\n ") + "\n" + listening(server)
	}
	named := "server s up.example:3 resolvers r"
	for _, c := range []importCase{
		{text: with(named, "nameserver a 10.0.0.2:53", "nameserver b udp@10.0.0.3:5353", "nameserver c 10.0.0.2:53", "hold valid 2s", "timeout retry 500"), has: []string{"dns: {servers: ['10.0.0.2:53', '10.0.0.3:5353'], min_ttl: 2s, max_ttl: 2s, timeout: 500ms}"}, exact: true},
		{text: with(named, "nameserver a [fd00::2]:53", "nameserver b 10.0.0.2"),
			has: []string{"dns: {servers: ['[fd00::2]:53', '10.0.0.2:53']}"}, exact: true},
		{text: with(named, "nameserver a fd00::2:53", "nameserver b [fd00::3]", "nameserver c ip@[::ffff:10.0.0.2]:5353"),
			has: []string{"dns: {servers: ['[fd00::2]:53', '[fd00::3]:53', '10.0.0.2:5353']}"}, exact: true},
		{text: with(named, "nameserver a 10.0.0.2:0", "nameserver b 224.0.0.1:53", "nameserver c [::]:53", "nameserver d 10.0.0.2:65536"),
			hasNot: []string{"dns:"}, says: []string{"nameserver a 10.0.0.2:0: it is no", "nameserver b 224.0.0.1:53: it is no",
				"nameserver c [::]:53: it is no", "nameserver d 10.0.0.2:65536: it is no"}},
		{text: with(named, "nameserver a dns.example:53"), hasNot: []string{"dns:"},
			says: []string{"dropped: nameserver a dns.example:53: it is no IP address with a port"}},
		{text: with(named, "parse-resolv-conf", "hold obsolete 1m", "timeout resolve 1s", "resolve_retries 3",
			"accepted_payload_size 512"), hasNot: []string{"dns:"}, exact: true},
		{text: with(named, "parse-resolv-conf", "nameserver a 10.0.0.2:53"), says: []string{"changed: resolvers r: parse-resolv-conf"}},
		{text: with(named, "hold valid 3s", "hold valid 2s", "timeout retry 2m", "frobnicate", "nameserver a"), has: []string{"dns: {min_ttl: 2s, max_ttl: 2s, timeout: 1m}"},
			says: []string{"x.cfg:5: warning: dropped: frobnicate: l4fwd resolves names without it", "x.cfg:4: changed: timeout retry 2m: l4fwd takes 10ms to 1m"}},
		{text: with("server s 10.0.0.1:3", "nameserver a 10.0.0.2:53"), hasNot: []string{"dns:"},
			says: []string{"warning: dropped: resolvers r: no server uses it"}, exact: true},
		{text: with(named+"\n server plain other.example:3", "nameserver a 10.0.0.2:53"),
			says: []string{"changed: server plain other.example:3: l4fwd asks dns.servers for this name, too"}},
		{text: "resolvers q\n nameserver a 10.0.0.4:53\n" + with(named+"\n server t t.example:3 resolvers q", "nameserver a 10.0.0.2:53"),
			has: []string{"servers: ['10.0.0.2:53', '10.0.0.4:53']"}, says: []string{"l4fwd asks the name servers of all resolvers for every name"}},
	} {
		c.run(t)
	}
}

// l4fwd does not forward to itself, and what leads nowhere is not carried.
func TestLoopsAndLooseEnds(t *testing.T) {
	for _, c := range []importCase{
		{text: listening("server s 127.0.0.1:1", "server t 10.0.0.1:3"), has: []string{"address: 10.0.0.1:3\n"},
			hasNot: []string{"127.0.0.1"}, says: []string{"l4fwd does not forward to itself"}},
		{text: listening("server s 127.0.0.1"), says: []string{"x.cfg:8: dropped: server s 127.0.0.1: it is a listener of this very file"}},
		{text: listening("server s 127.0.0.1 backup", "server t 10.0.0.1"), hasNot: []string{"127.0.0.1"},
			says: []string{"x.cfg:8: dropped: server s 127.0.0.1 backup: it is a listener of this very file"}},
		{text: strings.Replace(listening("server s 127.0.0.1:1", "server t 10.0.0.7:2"), "bind :1", "bind 10.0.0.7:1", 1),
			has: []string{"address: 127.0.0.1:1\n    addresses: ['10.0.0.7:2']"}, exact: true},
		{text: listening("server s localhost:1"), says: []string{"l4fwd does not forward to itself"}},
		{text: listening(oneServer) + "backend unused\n server s 10.0.0.5:3\n", hasNot: []string{"10.0.0.5"},
			says: []string{"warning: dropped: backend unused: nothing that was carried leads to it"}, exact: true},
		{text: listening(oneServer) + "frontend f\n bind :2\n default_backend gone\nbackend gone\n server s /run/x.sock\n",
			hasNot: []string{"name: f"}, says: []string{"no server of gone was carried: these clients are refused"}},
		{text: listening(oneServer) + "frontend f\n bind :2\n default_backend gone\nbackend gone\n mode http\n server s 10.0.0.6:3\n",
			hasNot: []string{"name: f"}, says: []string{"gone was not carried: these clients are refused"}},
		{text: listening(oneServer) + "frontend f\n bind :1\n default_backend other\nbackend other\n server s 10.0.0.6:3\n",
			hasNot: []string{"10.0.0.6"}, says: []string{"line 7 accepts there already"}},
	} {
		c.run(t)
	}
}

// Any word that HAProxy does not have, or not yet, changes the exit status: nothing is dropped silently.
func TestUnknownWordsAreNeverSilent(t *testing.T) {
	for _, text := range []string{
		listening("frobnicate", oneServer), listening("option frobnicate", oneServer), listening("server s 10.0.0.1:3 frobnicate"),
		strings.Replace(listening(oneServer), "bind :1", "bind :1 frobnicate", 1),
		listening("tcp-request frobnicate accept", oneServer), listening("tcp-request connection frobnicate", oneServer),
		"global\n frobnicate\n" + listening(oneServer), listening("balance frobnicate", "server a 10.0.0.1:3", "server b 10.0.0.2:3"),
		listening("acl x frobnicate 1", "tcp-request connection reject if x", oneServer), listening("default-server frobnicate",
			oneServer), listening("monitor-net 10.0.0.0/8", oneServer),
	} {
		_, said, matters := imported(t, text)
		require.True(t, matters, "%s\n%s", text, said)
	}
}

// A # in quotes or after a backslash begins no comment.
func TestCommentsBeginOutsideOfQuotes(t *testing.T) {
	_, said, _ := imported(t, listening(`filter "a # b"`, `filter a\ \#\ c`, "filter d # e", oneServer))
	for _, want := range []string{"filter a # b: ", "filter a # c: ", "filter d: "} {
		require.Contains(t, said, "dropped: "+want)
	}
}
