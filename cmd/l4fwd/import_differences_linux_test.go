package main

import "path"

// difference is what l4fwd does otherwise than HAProxy with some connections to the listeners of a file, and the remark of the
// importer that says so. Texts are as path.Match has them.
type difference struct {
	to, name, source string // of the connection; "": any
	theirs, ours     string // where it ends, with " | " between
	remark           string
	sometimes        bool // a run may end without it: checks have not found it yet, or the kernel drew the same server each time
}

func (d difference) covers(a Attempt, theirs, ours string) bool {
	for pattern, text := range map[string]string{d.to: a.To, d.name: a.Name, d.source: a.Source, d.theirs: theirs, d.ours: ours} {
		if ok, err := path.Match(pattern, text); pattern != "" && (err != nil || !ok) {
			return false
		}
	}
	return true
}

// differences are all that may differ, by the file.
var differences = map[string][]difference{
	"by-source.cfg": {{source: "10.50.*", theirs: "10.1.18.1:7000", ours: "10.1.18.2:7000",
		remark: "l4fwd does not choose an upstream by the client's address"}},
	"case.cfg": {
		{name: "WWW.EXAMPLE.COM", theirs: "refused", ours: "10.1.43.1:8443", remark: "names never depend on case"},
	},
	"deny-names.cfg": {
		{theirs: "10.1.45.2:8443", ours: "refused", remark: "default_backend all: other names: l4fwd refuses them"},
	},
	"migrating.cfg": {
		{name: "*.*.cognitiveservices.azure.com", theirs: "10.1.99.2:443", ours: "refused",
			remark: "names more than one label below cognitiveservices.azure.com: l4fwd refuses them"},
	},
	"name-and-source.cfg": {
		{name: "[Aa]*.*", source: "10.50.*", theirs: "10.1.19.1:443", ours: "refused", remark: "admin.example.com: refused from every address"},
	},
	"patroni.cfg": {{theirs: "refused", ours: "10.1.10.?:5432*", sometimes: true,
		remark: "a server that takes connections passes, whatever it would answer"}},
	"proxy-out.cfg": {
		{to: "*:7203", theirs: "*10.1.16.5:7000*", ours: "10.1.16.4:7000 v1 *",
			remark: "an upstream sends all its servers the same PROXY header"},
	},
	"same-port.cfg": {
		{to: "*:7960", theirs: "*10.1.29.2:7000", ours: "10.1.29.1:7000", sometimes: true, remark: "line 8 accepts there already"},
	},
	"sni-default.cfg": {{theirs: "10.1.1.2:4432", ours: "refused", remark: "default_backend shadow: other names: l4fwd refuses them"}},
	"sni-domain.cfg": {
		{name: "a.b.corp.example", theirs: "10.1.3.1:443", ours: "refused",
			remark: "names more than one label below corp.example: l4fwd refuses them"},
		{name: "a.b.loose.example", theirs: "10.1.3.2:443", ours: "refused",
			remark: "names more than one label below loose.example: l4fwd refuses them"},
		{name: "notloose.example", theirs: "10.1.3.2:443", ours: "refused",
			remark: "names that end in loose.example without a dot before it: l4fwd refuses them"},
		{name: "blb.any.test", theirs: "10.1.3.3:443", ours: "refused", remark: "routes cannot list what matches -m beg"},
	},
	"sni-wildcard.cfg": {{name: "a.b.kube.example.com", theirs: "10.1.2.1:443", ours: "refused",
		remark: "names more than one label below kube.example.com: l4fwd refuses them"}},
	"ssh-and-tls.cfg": {{theirs: "10.1.41.2:22", ours: "10.1.41.1:8443", remark: "clients that speak no TLS: they go where all others go"}},
	"sticky.cfg": {{theirs: "10.1.22.?:7000", ours: "10.1.22.1:7000 | 10.1.22.2:7000",
		remark: "stick on src: a client does not stay with one server"}},
	"weights.cfg": {{theirs: "*refused", ours: "10.1.27.1:7000 | 10.1.27.2:7000",
		remark: "server e /run/app.sock weight 10: l4fwd connects over TCP only"}},
}
