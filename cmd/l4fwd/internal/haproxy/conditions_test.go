package haproxy_test

import (
	"io/fs"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/haproxy"
)

// withFiles imports a text that names these files.
func withFiles(t *testing.T, text string, files map[string]string) (yaml, said string, matters bool) {
	t.Helper()
	o := options("x.cfg", text)
	o.Read = func(path string) ([]byte, error) {
		if content, ok := files[path]; ok {
			return []byte(content), nil
		}
		return nil, fs.ErrNotExist
	}
	r, err := haproxy.Import(o)
	require.NoError(t, err)
	for _, m := range r.Remarks {
		said += m.String() + "\n"
	}
	return string(r.YAML), said, r.Matters()
}

// use_backend makes the name of a backend of the host name: by a map with a condition, or with text before and behind it. A backend
// that there is not is passed over, as in HAProxy.
func TestBackendsNamedByTheHost(t *testing.T) {
	files := map[string]string{"m.map": "a.example b\nb.example nowhere\nc.example c\n"}
	both := "sni: [a.example]\n        upstream: b\n      - sni: [c.example]\n        upstream: c\n"
	for rule, want := range map[string]struct{ has, hasNot, says string }{
		"use_backend %[req.ssl_sni,map(m.map)]":                                                                     {both, "b.example", ""},
		"use_backend %[req.ssl_sni,map_dom(m.map)]":                                                                 {"sni: [a.example, '*.a.example']", "", "elsewhere than at their end"},
		"use_backend %[req.ssl_sni,map(m.map)] if { req.ssl_sni -i c.example }":                                     {"sni: [c.example]\n        upstream: c\n", "a.example", ""},
		"use_backend %[req.ssl_sni,map(m.map)] unless { req.ssl_sni -i c.example }":                                 {"sni: [a.example]\n        upstream: b\n", "c.example", ""},
		"use_backend %[req.ssl_sni,map(m.map)] if { req.ssl_sni -i c.example } or { src 10.0.0.0/8 } ":              {"sni: [c.example]", "", "a.example: refused from every address"},
		"use_backend %[req.ssl_sni,map(m.map)] unless { req.ssl_sni -i c.example } or { req.ssl_sni -i a.example }": {"", "sni", "no client would be served there"},
		"use_backend %[req.ssl_sni,map(m.map)] unless !{ req.ssl_sni -i c.example }":                                {"sni: [c.example]\n        upstream: c\n", "a.example", ""},
		"use_backend %[req.ssl_sni,map(m.map)] unless { src 10.0.0.0/8 } { req.ssl_sni c.example }":                 {"", "sni", "the condition is too involved beside a map"},
		"use_backend %[req.ssl_sni,map(m.map),upper]":                                                               {"", "sni", "l4fwd does not convert the name\n"},
		"use_backend %[req.ssl_sni,map(m.map)]%[src]":                                                               {"", "sni", "by the name in the ClientHello only"},
		"use_backend %[req.ssl_sni":                                                                                 {"", "sni", "by the name in the ClientHello only"},
		"use_backend %[req.ssl_sni,field(1,.)]":                                                                     {"", "sni", "l4fwd does not convert the name by field"},
	} {
		yaml, said, matters := withFiles(t, sniRules(rule), files)
		require.Contains(t, yaml, want.has, "%s\n%s", rule, said)
		if want.hasNot != "" {
			require.NotContains(t, yaml, want.hasNot, "%s\n%s", rule, said)
		}
		require.Contains(t, said, want.says, rule)
		require.Equal(t, want.says != "", matters, "%s\n%s", rule, said)
	}
	text := "defaults\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n retries 0\nfrontend f\n bind :1\n tcp-request inspect-delay 2s\n" +
		" tcp-request content accept if { req.ssl_hello_type 1 }\n use_backend be_%[req.ssl_sni,lower]-x\n" +
		"backend be_b.example-x\n server s 10.0.0.1:3\nbackend be_a.example-x\n server s 10.0.0.2:3\nbackend be_c.example\n server s 10.0.0.3:3\n" +
		"backend d.example-x\n server s 10.0.0.4:3\n"
	importCase{text: text, has: []string{"- sni: [a.example]\n        upstream: be_a.example-x\n      - sni: [b.example]\n        upstream: be_b.example-x\n"},
		hasNot: []string{"c.example", "d.example"}, exact: true}.run(t)
}

// Flags of an ACL (section 7.1 of the manual) stand before its values; what follows -- is a value.
func TestFlagsOfACLs(t *testing.T) {
	for acl, want := range map[string]string{
		"req.ssl_sni -i -n -u 7 a.example":           "sni: [a.example]",
		"req.ssl_sni -m str -- a.example":            "sni: [a.example]",
		"req.ssl_sni a.example -i b.example":         "sni: [a.example, -i, b.example]",
		"req.ssl_sni -m str -f l.lst c.example":      "sni: [a.example, b.example, c.example]",
		"req.ssl_sni -f l.lst -f m.lst":              "sni: [a.example, b.example, d.example]",
		"req.ssl_sni() -i A.example":                 "sni: [a.example]",
		"req.ssl_sni -m dir /a.example?/":            "sni: [a.example]",
		"req.ssl_sni -m dom .a.example:":             "sni: [a.example, '*.a.example']",
		"req.ssl_sni -m end -i A.EXAMPLE":            "sni: [a.example, '*.a.example']",
		"req.ssl_sni -m reg -i ^a\\.EXAMPLE$":        "sni: [a.example]",
		"req.ssl_sni -m reg ^.*\\.a\\.example$":      "sni: ['*.a.example']",
		"req.ssl_sni -m reg ^[^\\.]*\\.a\\.example$": "sni: ['*.a.example']",
	} {
		yaml, said, _ := withFiles(t, sniRules("acl x "+acl, "use_backend b if x"), map[string]string{"l.lst": "a.example\nb.example\n", "m.lst": "d.example\n"})
		require.Contains(t, yaml, want+"\n        upstream: b\n", "%s\n%s", acl, said)
	}
	for acl, why := range map[string]string{
		"req.ssl_sni -m dom example.com":  "names that have example.com elsewhere than at their end: l4fwd refuses them",
		"req.ssl_sni -m end example.com":  "names that end in example.com without a dot before it: l4fwd refuses them",
		"req.ssl_sni -m len 9":            "routes cannot list what matches -m len",
		"req.ssl_sni -m reg a\\.example$": "routes cannot list what matches -m reg",
		"req.ssl_sni,upper -i a.example":  "l4fwd compares the name as it is, without upper",
	} {
		importCase{text: sniRules("acl x "+acl, "use_backend b if x", "use_backend c if { req.ssl_sni -i c.example }"), says: []string{why}}.run(t)
	}
	for _, acl := range []string{"req.ssl_sni -m beg -i A.", "req.ssl_sni -m sub -i .EX", "req.ssl_sni -m len 9:10", "req.ssl_sni -m len ge 9",
		"req.ssl_sni -m reg ^(a|x)\\.exam", "req.ssl_sni -m reg -i ^(A|X)\\.exam"} {
		yaml, _, _ := imported(t, sniRules("acl x "+acl, "use_backend b if x", "use_backend c if { req.ssl_sni -i a.example q.xample }"))
		require.Contains(t, yaml, "sni: [a.example]\n        upstream: b\n      - sni: [q.xample]\n        upstream: c\n", acl)
	}
}

// Tests of ports have values, ranges with one end open, and operators that stay in force.
func TestTestsOfPorts(t *testing.T) {
	for test, want := range map[string]string{
		"2": "2", "2 4": "24", "2:3": "23", "3:": "34", ":2": "12", "eq 3": "3", "ge 3": "34", "gt 3": "4", "le 2": "12", "lt 2": "1", "lt 2 4": "123",
		"gt 3 eq 1": "14", "9": "",
	} {
		text := "defaults\n timeout connect 1s\n timeout client 1m\n timeout server 1m\n retries 0\nfrontend f\n bind :1-4\n use_backend b if { dst_port " + test +
			" }\n default_backend d\nbackend b\n server s 10.0.0.1:3\nbackend d\n server s 10.0.0.3:3\n"
		yaml, said, _ := imported(t, text)
		for _, port := range "1234" {
			up := "d"
			for _, p := range want {
				if p == port {
					up = "b"
				}
			}
			require.Contains(t, yaml, "0.0.0.0:"+string(port)+"\n    upstream: "+up+"\n", "%s\n%s", test, said)
		}
	}
	importCase{text: guarded("tcp-request connection reject if { dst_port 1:x }"), says: []string{"1:x is no number"}}.run(t)
	importCase{text: guarded("tcp-request connection reject if { dst_port x:1 }"), says: []string{"x:1 is no number"}}.run(t)
}

// An address of the manual's short form lacks octets in the middle; masks are contiguous; names are not looked up.
func TestNetworks(t *testing.T) {
	for network, want := range map[string]string{
		"192.168.1": "[192.168.0.1]", "10.12/8": "[10.0.0.0/8]", "192.168.1/22": "[192.168.0.0/22]", "127.1": "[127.0.0.1]",
		"10.0.0.0/255.255.255.128": "[10.0.0.0/25]", "10.0.0.1/255.255.255.255": "[10.0.0.1]", "10.0.0.1/32": "[10.0.0.1]",
		"2001:db8::1": "['2001:db8::1']", "2001:db8::/33": "['2001:db8::/33']", "::ffff:10.0.0.1": "[10.0.0.1]",
	} {
		importCase{text: guarded("tcp-request connection reject unless { src " + network + " }"), has: []string{"allow_sources: " + want + "\n"}, exact: true}.run(t)
	}
	for network, why := range map[string]string{
		"10.0.0.0/255.255.0.1": "is no network", "10.0.0.0/-1": "is no network", "10.0.0.0/x": "is no network", "2001:db8::/129": "is no network",
		"fe80::1%eth0": "is no address", "10.0.0.0/ffff::": "is no network", "1.2.3.4.5": "is no address", "10.0.0.256": "is no address",
	} {
		importCase{text: guarded("tcp-request connection reject unless { src " + network + " }"), has: []string{"upstream: app"},
			says: []string{"x.cfg:7: dropped: ", network + " " + why}}.run(t)
	}
}
