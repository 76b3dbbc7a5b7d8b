package haproxy_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// binding is a listen section with these bind lines, the first of which is line 7.
func binding(lines ...string) string {
	return strings.Replace(listening(oneServer), "bind :1", strings.Join(lines, "\n "), 1)
}

// The wildcards of both families on a port become one listener, whichever comes first; not where one of them alone expects a header.
func TestWildcardsOfBothFamilies(t *testing.T) {
	for _, c := range []importCase{
		{text: binding("bind :::5 v6only", "bind :5"), has: []string{"name: app\n    address: :5\n"}, hasNot: []string{"0.0.0.0"}, exact: true},
		{text: binding("bind :5", "bind :::5 v6only", "bind :::6 v6only", "bind *:6"), has: []string{"app:5\n    address: :5\n", "app:6\n    address: :6\n"},
			hasNot: []string{"0.0.0.0"}, exact: true},
		{text: binding("bind :5", "bind :::5", "bind 0.0.0.0:5"), has: []string{"name: app\n    address: :5\n"}, exact: true},
		{text: binding("bind :5-6,:::5-6 v6only"), has: []string{"app:5\n    address: :5\n", "app:6\n    address: :6\n"}, exact: true},
		{text: binding("bind :::5 v6only", "bind 10.0.0.7:5"), has: []string{"address: :5\n", "address: 10.0.0.7:5\n"},
			says: []string{"x.cfg:7: changed: bind :::5 v6only: l4fwd takes IPv4 clients there, too"}},
		{text: binding("bind :5", "bind :::5 v6only accept-proxy"), has: []string{"address: 0.0.0.0:5\n"}, hasNot: []string{"address: :5\n", "accept_proxy"},
			says: []string{"x.cfg:8: dropped: bind [::]:5: line 7 accepts there already"}},
		{text: binding("bind 10.0.0.7:5 v6only"), has: []string{"address: 10.0.0.7:5\n"}, exact: true},
		{text: binding("bind 10.0.0.7:5", "bind 10.0.0.7:5"), has: []string{"name: app:5\n"}, says: []string{"bind 10.0.0.7:5: line 7 accepts there already"}},
		{text: binding("bind 10.0.0.7:5", "bind :5"), has: []string{"address: 10.0.0.7:5\n", "address: 0.0.0.0:5\n"}, exact: true},
	} {
		c.run(t)
	}
}

// A range has 100 ports at most, and ports end at 65535.
func TestRangesOfPorts(t *testing.T) {
	yaml, said, matters := imported(t, binding("bind :1000-1099"))
	require.Equal(t, 100, strings.Count(yaml, "address: 0.0.0.0:"), said)
	require.Contains(t, yaml, "name: app:1099\n    address: 0.0.0.0:1099\n")
	require.False(t, matters)
	for bind, why := range map[string]string{
		"bind :1000-1100": "at most 100 of a range", "bind :65535-65536": "no number from 1 to 65535", "bind :-5": "no number from 1 to 65535",
		"bind :0-3": "no number from 1 to 65535", "bind :5-": "no number from 1 to 65535",
	} {
		importCase{text: binding(bind), says: []string{"x.cfg:7: dropped: " + bind + ": ", why}}.run(t)
	}
	importCase{text: binding("bind :65535"), has: []string{"0.0.0.0:65535\n"}, exact: true}.run(t)
	importCase{text: binding("bind :5,/run/x.sock"), has: []string{"0.0.0.0:5\n"}, says: []string{"dropped: bind /run/x.sock: "}}.run(t)
}

// l4fwd's own ports take the next ones that no listener has, and stay where they are if theirs are free.
func TestOwnPortsMakeWay(t *testing.T) {
	for _, c := range []importCase{
		{text: binding("bind :8080-8082"), has: []string{"health: {address: ':8083'}"}, hasNot: []string{"admin:"}, exact: true,
			says: []string{"x.cfg:7: warning: changed: bind :8080-8082: l4fwd's own health port makes way: health.address is :8083"}},
		{text: binding("bind 10.0.0.7:9901", "bind :9902"), has: []string{"admin: {address: '127.0.0.1:9903'}"}, hasNot: []string{"health:"}, exact: true,
			says: []string{"x.cfg:7: warning: changed: bind 10.0.0.7:9901: l4fwd's own admin port makes way: admin.address is 127.0.0.1:9903"}},
		{text: binding("bind :8081", "bind :9900"), hasNot: []string{"health:", "admin:"}, exact: true},
	} {
		c.run(t)
	}
}

// A PROXY header is required of every client if expect-proxy is there, and rules of the connection layer judge the load balancer then.
func TestRulesBehindALoadBalancer(t *testing.T) {
	for _, c := range []importCase{
		{text: guarded("tcp-request connection expect-proxy layer4", "tcp-request session reject unless { src 10.0.0.0/8 }"),
			has: []string{"accept_proxy: required\n    allow_sources: [10.0.0.0/8]"}, exact: true},
		{text: guarded("tcp-request connection expect-proxy layer4", "tcp-request connection reject unless { src 10.0.0.0/8 }"),
			has: []string{"accept_proxy: required"}, hasNot: []string{"allow_sources"},
			says: []string{"x.cfg:8: dropped: tcp-request connection reject unless { src 10.0.0.0/8 }: before the PROXY header it judges the load balancer's address"}},
		{text: guarded("tcp-request connection expect-proxy layer4 unless { src 10.0.0.0/8 }"), has: []string{"accept_proxy: required"},
			says: []string{"x.cfg:7: changed: ", "every client must begin with a PROXY header"}},
		// The one port takes headers, the other does not: each is judged by itself.
		{text: strings.Replace(guarded("tcp-request connection reject unless { src 10.0.0.0/8 }"), "bind :1", "bind :1\n bind :2 accept-proxy", 1),
			has:  []string{"0.0.0.0:1\n    upstream: app\n    allow_sources: [10.0.0.0/8]\n", "0.0.0.0:2\n    upstream: app\n    accept_proxy: required\nupstreams"},
			says: []string{"before the PROXY header it judges the load balancer's address"}},
	} {
		c.run(t)
	}
}

// Rules of the backend come after those of the frontend, for the clients that go there alone.
func TestRulesOfBackends(t *testing.T) {
	text := sniRules("use_backend b if { req.ssl_sni -i a.example }", "use_backend c if { req.ssl_sni -i b.example c.example }")
	in := func(backend, rule string) string {
		return strings.Replace(text, "backend "+backend+"\n", "backend "+backend+"\n "+rule+"\n", 1)
	}
	for _, c := range []importCase{
		{text: in("c", "tcp-request content reject if { req.ssl_sni -i a.example b.example }"),
			has: []string{"sni: [a.example]\n        upstream: b\n      - sni: [c.example]\n        upstream: c"}, exact: true},
		{text: in("b", "tcp-request content reject if { src 10.0.0.0/8 }"), has: []string{"sni: [b.example, c.example]\n        upstream: c"},
			hasNot: []string{"allow_sources", "a.example"}, says: []string{"a.example: refused from every address"}},
		{text: in("b", "tcp-request content accept if { req.ssl_sni -i a.example }\n tcp-request content reject"), has: []string{"sni: [a.example]"}, exact: true},
		{text: in("d", "tcp-request content reject"), has: []string{"upstream: b", "upstream: c"}, exact: true},
		{text: strings.Replace(text, "use_backend b if { req.ssl_sni -i a.example }", "default_backend d", 1) + " tcp-request content reject unless { src 10.0.0.0/8 }\n",
			says: []string{"x.cfg:18: changed: ", "other names: refused from every address"}, has: []string{"sni: [b.example, c.example]\n        upstream: c"}, hasNot: []string{"allow_sources"}},
	} {
		c.run(t)
	}
	plain := "defaults\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n retries 0\nfrontend f\n bind :1\n default_backend b\nbackend b\n" +
		" tcp-request content reject unless { src 10.0.0.0/8 }\n " + oneServer + "\n"
	importCase{text: plain, has: []string{"upstream: b\n    allow_sources: [10.0.0.0/8]\n"}, exact: true}.run(t)
}

// Where a rule that chooses by the client's address is given up, the one that refuses by it stays.
func TestARuleThatRefusesIsNeverGivenUp(t *testing.T) {
	importCase{text: refusing("a.example } { src 10.0.0.0/8", "use_backend b if { req.ssl_sni -i a.example } { src 192.0.2.0/24 }",
		"use_backend c if { req.ssl_sni -i a.example }", "use_backend d if { req.ssl_sni -i d.example }"),
		has: []string{"sni: [d.example]\n        upstream: d"}, hasNot: []string{"a.example"}, saysNot: []string{"dropped: tcp-request content reject"},
		says: []string{"dropped: use_backend b if { req.ssl_sni -i a.example } { src 192.0.2.0/24 }: l4fwd does not choose an upstream by the client's address",
			"a.example: refused from every address"}}.run(t)
}

// A ClientHello has type 1: tests of another one match no client of TLS.
func TestTypeOfTheHello(t *testing.T) {
	text := func(rule string) string {
		return app("bind :1", "tcp-request inspect-delay 2s", "tcp-request content "+rule, oneServer)
	}
	for _, c := range []importCase{
		{text: text("reject if !{ req.ssl_hello_type 1 }"), has: []string{"upstream: app"},
			says: []string{"x.cfg:8: changed: tcp-request content reject if !{ req.ssl_hello_type 1 }: clients that speak no TLS: l4fwd lets them in"}},
		{text: text("reject unless { req_ssl_hello_type gt 1 }"), says: []string{"no client would be served there: nothing listens"}},
		{text: text("reject if { req.ssl_hello_type 0 }"), has: []string{"upstream: app"}, exact: true},
		{text: text("reject if { req.ssl_hello_type lt 2 }"), says: []string{"no client would be served there"}, hasNot: []string{"upstream"}},
	} {
		c.run(t)
	}
}
