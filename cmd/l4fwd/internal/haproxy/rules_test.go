package haproxy_test

import (
	"errors"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/haproxy"
)

// importCase is a file and what becomes of it.
type importCase struct {
	text    string
	has     []string // in the configuration
	hasNot  []string
	says    []string // in the remarks
	saysNot []string
	exact   bool // nothing changes routing, access or timeouts
}

func (c importCase) run(t *testing.T) {
	t.Helper()
	yaml, said, matters := imported(t, c.text)
	for _, want := range c.has {
		require.Contains(t, yaml, want, "%s\n%s", c.text, said)
	}
	for _, no := range c.hasNot {
		require.NotContains(t, yaml, no, "%s\n%s", c.text, said)
	}
	for _, want := range c.says {
		require.Contains(t, said, want, "%s\n%s", c.text, yaml)
	}
	for _, no := range c.saysNot {
		require.NotContains(t, said, no, "%s\n%s", c.text, yaml)
	}
	require.Equal(t, !c.exact, matters, "%s\n%s", c.text, said)
}

const oneServer = "server s 10.0.0.1:3"

// guarded is a listen section with rules on sources.
func guarded(rules ...string) string {
	return app(append(append([]string{"bind :1"}, rules...), oneServer)...)
}

// Networks become the list of those that are let in, whatever the order and the spelling of the rules are.
func TestSourcesAreCarriedExactly(t *testing.T) {
	for rules, list := range map[string]string{
		"tcp-request connection reject unless { src 10.1 }":                                 "[10.0.0.1]",
		"tcp-request connection reject unless { src 10.1/16 }":                              "[10.0.0.0/16]",
		"tcp-request connection reject unless { src 10.0.0.0/255.255.0.0 }":                 "[10.0.0.0/16]",
		"tcp-request connection reject unless { src 10.0.0.1 10.0.0.0/31 }":                 "[10.0.0.0/31]",
		"tcp-request connection reject unless { src 10.0.0.0/25 } or { src 10.0.0.128/25 }": "[10.0.0.0/24]",
		"tcp-request connection reject unless { src ::ffff:10.0.0.0/104 }":                  "[10.0.0.0/8]",
		"tcp-request connection reject unless { src fd00::/8 }":                             "['fd00::/8']",
		"tcp-request connection reject if { src 0.0.0.0/1 }":                                "[128.0.0.0/1, '::/0']",
		"tcp-request connection reject if { src ::/1 }":                                     "['8000::/1']",
		// ::ffff:0:0/96 lies in it
		"tcp-request connection accept if { src 10.0.0.0/8 }|tcp-request connection reject":              "[10.0.0.0/8]",
		"tcp-request connection reject if !{ src 10.0.0.0/8 }":                                           "[10.0.0.0/8]",
		"tcp-request connection reject if ! { src 10.0.0.0/8 }":                                          "[10.0.0.0/8]",
		"tcp-request connection reject if !! { src 0.0.0.0/0 }":                                          "['::/0']",
		"acl in src 10.0.0.0/8|acl in src 192.168.0.0/16|tcp-request session reject unless in":           "[10.0.0.0/8, 192.168.0.0/16]",
		"acl a src 10.0.0.0/8|acl b src 10.1.0.0/16|tcp-request content reject unless a !b":              "[10.0.0.0/16, 10.2.0.0/15, 10.4.0.0/14, 10.8.0.0/13, 10.16.0.0/12, 10.32.0.0/11, 10.64.0.0/10, 10.128.0.0/9]",
		"tcp-request connection silent-drop unless { src 10.0.0.0/8 }":                                   "[10.0.0.0/8]",
		"tcp-request connection accept if { src 10.0.0.0/8 }|tcp-request session reject if { src ::/1 }": "['8000::/1']",
		"tcp-request connection reject unless LOCALHOST":                                                 "[127.0.0.0/8, '::1']",
		"tcp-request connection reject if { src 10.0.0.0/8 } { always_false }":                           "",
	} {
		yaml, said, matters := imported(t, guarded(strings.Split(rules, "|")...))
		if list == "" {
			require.NotContains(t, yaml, "allow_sources", rules)
		} else {
			flat := strings.NewReplacer("allow_sources:\n      - ", "allow_sources: [", "\n      - ", ", ").Replace(yaml)
			require.Contains(t, flat, "allow_sources: "+strings.TrimSuffix(list, "]"), "%s\n%s\n%s", rules, yaml, said)
		}
		require.False(t, matters, "%s\n%s", rules, said)
	}
}

// A rule that l4fwd cannot judge is reported, whoever it would let in.
func TestRulesThatCannotBeJudgedAreReported(t *testing.T) {
	for rule, why := range map[string]string{
		"tcp-request connection reject if { src,map(x) 1 }":             "l4fwd judges addresses as they are",
		"tcp-request connection reject if { src -m str 10.0.0.1 }":      "l4fwd judges addresses by networks, not by -m str",
		"tcp-request connection reject if { src lb.example.com }":       "lb.example.com is no address",
		"tcp-request connection reject if { src 10.0.0.0/33 }":          "10.0.0.0/33 is no network",
		"tcp-request connection reject if { src 10.0.0.0/255.0.255.0 }": "10.0.0.0/255.0.255.0 is no network",
		"tcp-request content reject if { ssl_fc_sni a.example }":        "l4fwd does not terminate TLS",
		"tcp-request content reject if { payload(0,3) -m bin 535348 }":  "l4fwd does not judge payload(0,3)",
		"tcp-request content reject if { req.len 0 }":                   "l4fwd does not count the bytes that are there",
		"tcp-request content reject if { req.len lt 5 }":                "l4fwd does not count the bytes that are there",
		"tcp-request content reject if { sc0_conn_rate gt 5 }":          "l4fwd does not judge sc0_conn_rate",
		"tcp-request content reject unless { src_conn_cur gt 5 }":       "l4fwd does not judge src_conn_cur",
		"tcp-request content reject if { src_conn_cur gt x }":           "l4fwd does not judge src_conn_cur",
		"tcp-request content reject if { src_conn_cur ge 0 }":           "l4fwd does not judge src_conn_cur",
		"tcp-request content reject if { src_conn_cur lt 5 }":           "l4fwd does not judge src_conn_cur",
		"tcp-request content reject if { req.ssl_sni,field(1,:) a }":    "l4fwd compares the name as it is, without field(1,:)",
		"tcp-request content reject if { req.ssl_sni -m reg (?!a) }":    "l4fwd cannot read the regular expression",
		"tcp-request content reject if { req.ssl_sni -m ip 1.2.3.4 }":   "l4fwd does not know the method ip",
		"tcp-request content reject if { dst_port http }":               "http is no number",
		"tcp-request content use-service x":                             "l4fwd has no such action",
		"tcp-request content set-dst var(txn.a)":                        "l4fwd has no such action",
		"tcp-request frobnicate reject":                                 "l4fwd does not know this directive",
		"tcp-response content reject if { always_true }":                "l4fwd does not judge what servers answer",
	} {
		importCase{text: guarded(rule), has: []string{"upstream: app"}, says: []string{why}}.run(t)
	}
	for _, rule := range []string{"tcp-request connection track-sc0 src", "tcp-request content set-var(txn.a) src",
		"tcp-request content capture req.ssl_sni len 9"} {
		importCase{text: guarded(rule), has: []string{"upstream: app"}, says: []string{"warning: dropped: " + rule}, exact: true}.run(t)
	}
}

// A length that every client reaches, and versions of TLS that all of today's clients have, are no conditions.
func TestConditionsThatAlwaysHold(t *testing.T) {
	for condition, want := range map[string]struct{ served, exact bool }{
		"req.len gt 0": {true, true}, "req_len ge 5": {true, true}, "WAIT_END": {true, true}, "REQ_CONTENT": {true, true},
		"req.ssl_ver gt 3.0": {true, true}, "req_ssl_ver 3.1:3.4": {true, true}, "req.ssl_ver 3": {false, false},
		"req.ssl_ver ge 3.3": {true, false},
		"req.ssl_ver 3.1":    {false, false}, "req.ssl_ver lt 3.4": {true, true},
	} {
		c := importCase{text: app("bind :1", "tcp-request inspect-delay 2s", "tcp-request content accept if { "+condition+" }",
			"tcp-request content reject", oneServer), exact: want.exact}
		switch words := strings.Fields(condition); {
		case len(words) == 1:
			c.text = strings.ReplaceAll(c.text, "{ "+condition+" }", condition)
		case strings.Contains(condition, "ssl_ver") && want.served: // what is not TLS is rejected, which a listener without routes does not
			c.exact, c.says = false, []string{"clients that speak no TLS: l4fwd lets them in"}
		}
		if want.served {
			c.has = []string{"upstream: app"}
		} else {
			c.says = []string{"no client would be served there"}
		}
		c.run(t)
	}
	importCase{text: sniRules("tcp-request content reject if { req.ssl_ver lt 3.3 }", "use_backend b if { req.ssl_sni a.example }"),
		has:  []string{"sni: [a.example]"},
		says: []string{"changed: req.ssl_ver lt 3.3: l4fwd takes every version of TLS: it is judged for TLS 1.2 and later"}}.run(t)
}

// sniRules is a frontend with rules, and backends b, c and d.
func sniRules(rules ...string) string {
	return "defaults\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n retries 0\nfrontend f\n bind :1\n tcp-request inspect-delay 2s\n" +
		" tcp-request content accept if { req.ssl_hello_type 1 }\n " + strings.Join(rules, "\n ") +
		"\nbackend b\n server s 10.0.0.1:3\nbackend c\n server s 10.0.0.2:3\nbackend d\n server s 10.0.0.3:3\n"
}

// refusing are such rules after one that refuses a name.
func refusing(name string, rules ...string) string {
	return strings.Replace(sniRules(rules...), " tcp-request content accept",
		" tcp-request content reject if { req.ssl_sni -i "+name+" }\n tcp-request content accept", 1)
}

// Names become routes that decide as the rules do; what routes cannot say is refused and reported.
func TestNamesBecomeRoutes(t *testing.T) {
	for _, c := range []importCase{
		{text: sniRules("use_backend b if { req.ssl_sni -i A.Example b.example }"),
			has: []string{"sni: [a.example, b.example]\n        upstream: b"}, exact: true},
		{text: sniRules("acl n req_ssl_sni,lower a.example", "use_backend b if n"),
			has: []string{"sni: [a.example]\n        upstream: b"}, exact: true},
		{text: sniRules("use_backend b if { req.ssl_sni -i a.example } or { req.ssl_sni -i c.example }"),
			has: []string{"sni: [a.example, c.example]"}, exact: true},
		{text: sniRules("use_backend b if { req.ssl_sni -i a.example }", "use_backend c if { req.ssl_sni -i a.example }"),
			has: []string{"upstream: b"}, hasNot: []string{"upstream: c"}, exact: true},
		{text: sniRules("use_backend c unless { req.ssl_sni -m found }", "use_backend b if { req.ssl_sni -i a.example }"),
			has:  []string{"sni: [a.example]\n        upstream: b"},
			says: []string{"clients that send no name: l4fwd refuses them", "clients that speak no TLS: l4fwd refuses them"}},
		{text: sniRules("use_backend b if { req.ssl_sni -m reg ^a\\.example$ }"), has: []string{"sni: [a.example]"}, exact: true},
		{text: sniRules("use_backend b if { req.ssl_sni -m reg ^[^.]+\\.example\\.com$ }"), has: []string{"sni: ['*.example.com']"}, exact: true},
		{text: sniRules("use_backend b if { req.ssl_sni -i -m reg ^[^.]+\\.Example\\.COM$ }"), has: []string{"sni: ['*.example.com']"}, exact: true},
		{text: sniRules("use_backend b if { req.ssl_sni -m reg \\.example\\.com$ }"), has: []string{"sni: ['*.example.com']"},
			says: []string{"names more than one label below example.com: l4fwd refuses them"}},
		{text: sniRules("use_backend b if { req.ssl_sni -m reg ^(a|b)\\.example$ }", "use_backend c if { req.ssl_sni b.example c.example }"), has: []string{"sni: [b.example]\n        upstream: b", "sni: [c.example]\n        upstream: c"},
			says: []string{"routes cannot list what matches -m reg"}},
		{text: sniRules("use_backend b if { req.ssl_sni -m beg a. }", "use_backend c if { req.ssl_sni a.example }"),
			has: []string{"sni: [a.example]\n        upstream: b"}, says: []string{"routes cannot list what matches -m beg"}},
		{text: sniRules("use_backend b if { req.ssl_sni -m sub exa }", "use_backend c if { req.ssl_sni a.example }"),
			has: []string{"upstream: b"}, hasNot: []string{"upstream: c"}, says: []string{"-m sub"}},
		{text: sniRules("use_backend b if { req.ssl_sni -m len 9 }", "use_backend c if { req.ssl_sni a.example bb.example }"),
			has: []string{"sni: [a.example]\n        upstream: b", "sni: [bb.example]\n        upstream: c"}, says: []string{"-m len"}},
		{text: sniRules("use_backend b if { req.ssl_sni -m end .example.com }"), has: []string{"sni: ['*.example.com']\n"},
			hasNot: []string{"example.com,"}, says: []string{"names more than one label below example.com"}},
		{text: sniRules("use_backend b if { req.ssl_sni -m dom example.com }"), has: []string{"sni: [example.com, '*.example.com']"},
			says: []string{"names that have example.com elsewhere than at their end: l4fwd refuses them"}},
		// A name below a wildcard that leads elsewhere comes before it; one that is refused takes the wildcard with it.
		{text: sniRules("use_backend c if { req.ssl_sni -i x.example.com }", "use_backend b if { req.ssl_sni -i -m end .example.com }",
			"use_backend c if { req.ssl_sni -i -m end .other.com }"),
			has: []string{"- sni: [x.example.com]\n        upstream: c\n      - sni: ['*.example.com']\n        upstream: b\n      - sni: ['*.other.com']\n        upstream: c"}},
		{text: refusing("x.example.com", "use_backend b if { req.ssl_sni -i -m end .example.com }",
			"use_backend c if { req.ssl_sni c.example }"), has: []string{"sni: [c.example]"},
			hasNot: []string{"*.example.com"}, says: []string{"*.example.com: refused, since HAProxy refuses x.example.com"}},
		{text: refusing("x.example.com", "use_backend b if { req.ssl_sni -i x.example.com }"), says: []string{"no client would be served there"}},
		{text: sniRules("use_backend b if { req.ssl_sni -i a.example }", "default_backend c"),
			has: []string{"sni: [a.example]\n        upstream: b"}, hasNot: []string{"upstream: c"},
			says: []string{"default_backend c: other names: l4fwd refuses them", "backend c: nothing that was carried leads to it"}},
		{text: sniRules("use_backend b if { req.ssl_sni -i a.example } { src 10.0.0.0/8 }",
			"use_backend c if { req.ssl_sni -i a.example }"), has: []string{"upstream: c"}, hasNot: []string{"upstream: b"},
			says: []string{"l4fwd does not choose an upstream by the client's address"}},
		// A name that is refused from some addresses is refused from all, on whichever side of the list they are.
		{text: strings.Replace(refusing("a.example", "use_backend b if { req.ssl_sni -i a.example c.example }"), "a.example }\n",
			"a.example } { src 10.0.0.0/8 }\n", 1), has: []string{"sni: [c.example]"}, hasNot: []string{"a.example", "allow_sources"},
			says: []string{"a.example: refused from every address, since l4fwd judges addresses for a whole listener"}},
		{text: strings.Replace(refusing("a.example", "use_backend b if { req.ssl_sni -i a.example c.example }"), "a.example }\n",
			"a.example } !{ src 10.0.0.0/8 }\n", 1), has: []string{"sni: [c.example]"}, hasNot: []string{"a.example", "allow_sources"},
			says: []string{"a.example: refused from every address, since l4fwd judges addresses for a whole listener"}},
		{text: sniRules("use_backend b if { req.ssl_sni _bad.example 1.2.3.4 ok.example }"), has: []string{"ok.example"},
			hasNot: []string{"1.2.3.4"}, exact: true},
	} {
		c.run(t)
	}
}

// A limit of the connections of one client is limits.per_source, in each spelling.
func TestConnectionsOfAClient(t *testing.T) {
	for rule, n := range map[string]string{
		"tcp-request connection reject if { src_conn_cur ge 20 }":                                                       "19",
		"tcp-request connection reject if { src_conn_cur gt 20 }":                                                       "20",
		"tcp-request connection reject if { sc_conn_cur(0) gt 1 }":                                                      "1",
		"tcp-request connection reject if { sc1_conn_cur ge 1 }":                                                        "1",
		"acl many sc0_conn_cur gt 7|tcp-request connection reject if many":                                              "7",
		"tcp-request connection reject if { sc0_conn_cur gt 9 }|tcp-request connection reject if { sc0_conn_cur gt 4 }": "4",
	} {
		yaml, _, _ := imported(t, guarded(strings.Split(rule, "|")...))
		require.Contains(t, yaml, "per_source: "+n+"}", rule)
	}
}

// The port that was connected to chooses, but not behind a load balancer, whose header names another one.
func TestPortsChooseUnlessAHeaderNamesThem(t *testing.T) {
	text := "defaults\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n retries 0\nfrontend f\n bind :1-4%s\n use_backend b if { dst_port 2:3 }\n use_backend c if { dst_port gt 3 }\n default_backend d\n" +
		"backend b\n server s 10.0.0.1:3\nbackend c\n server s 10.0.0.2:3\nbackend d\n server s 10.0.0.3:3\n"
	importCase{text: strings.Replace(text, "%s", "", 1), has: []string{"0.0.0.0:1\n    upstream: d", "0.0.0.0:2\n    upstream: b",
		"0.0.0.0:3\n    upstream: b", "0.0.0.0:4\n    upstream: c"}, exact: true}.run(t)
	importCase{text: strings.Replace(text, "%s", " accept-proxy", 1), hasNot: []string{"upstream: b", "upstream: c"},
		says: []string{"l4fwd does not judge the port that a PROXY header names"}}.run(t)
}

// Maps choose by the name; a map that cannot be read is reported. A list with opt@ may be missing, as in HAProxy.
func TestMapsAndOptionalLists(t *testing.T) {
	files := map[string]string{"m.map": "a.example b\nc.example none\n# x\nd.example c\n", "tabs.map": "a.example\tb\nd.example \t c\n"}
	for text, want := range map[string]struct{ has, says string }{
		sniRules("use_backend %[req.ssl_sni,lower,map(m.map)]"):    {"sni: [a.example]\n        upstream: b\n      - sni: [d.example]\n        upstream: c", ""},
		sniRules("use_backend %[req.ssl_sni,lower,map(tabs.map)]"): {"sni: [a.example]\n        upstream: b\n      - sni: [d.example]\n        upstream: c", ""},
		sniRules("use_backend %[req.ssl_sni,map_str(m.map,d)]"):    {"sni: [a.example]\n        upstream: b", "other names: l4fwd refuses them"},
		sniRules("use_backend %[req.ssl_sni,map_end(m.map)]"):      {"sni: [a.example, '*.a.example']\n        upstream: b", "names more than one label below"},
		sniRules("use_backend %[req.ssl_sni,map_reg(m.map)]", "default_backend d"): {"upstream: d",
			"l4fwd does not convert the name by map_reg"},
		sniRules("use_backend %[req.ssl_sni,map(none.map)]", "default_backend d"): {"upstream: d", "l4fwd cannot read none.map"},
		sniRules("use_backend %[src,map(m.map)]", "default_backend d"): {"upstream: d",
			"by the name in the ClientHello only"},
		sniRules("use_backend %[req.ssl_sni,map(m.map)] unless { src 10.0.0.0/8 }"):              {"sni: [a.example]", ""},
		sniRules("acl x req.ssl_sni -f opt@none.lst", "use_backend b if x", "default_backend d"): {"upstream: d", ""},
		sniRules("acl x req.ssl_sni -f none.lst", "use_backend b if x", "default_backend d"):     {"upstream: d", "l4fwd cannot read none.lst"},
		sniRules("acl x req.ssl_sni -i -f m.map -M a.example", "use_backend b if x"):             {"upstream: b", ""},
		sniRules("acl x req.ssl_sni -i -M -f tabs.map", "use_backend b if x"):                    {"sni: [a.example, d.example]\n        upstream: b", ""},
	} {
		yaml, said, matters := withFiles(t, text, files)
		require.Contains(t, yaml, want.has, "%s\n%s", text, said)
		require.Contains(t, said, want.says, text)
		require.Equal(t, want.says != "", matters, "%s\n%s", text, said)
	}
	o := options("x.cfg", sniRules("acl x req.ssl_sni -f opt@none.lst", "use_backend b if x"))
	o.Read = func(string) ([]byte, error) { return nil, errors.New("permission denied") }
	r, err := haproxy.Import(o)
	require.NoError(t, err)
	require.True(t, r.Matters(), "a list that is there and cannot be read")
}
