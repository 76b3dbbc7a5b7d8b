package haproxy_test

import (
	"strings"
	"testing"
)

// Each option of bind and server has as many values as HAProxy's manual gives it (sections 5.1 and 5.2): the option behind it counts.
func TestOptionsHaveTheirValues(t *testing.T) {
	bind := map[string]string{ // by their values
		"":  "defer-accept tfo transparent v4v6 v6only",
		"v": "name id backlog mss nice cc process thread shards expose-fd level severity-output user group mode uid gid proto idle-ping alpn npn maxconn interface",
		"9": "tcp-ut",
	}
	for value, names := range bind {
		for name := range strings.FieldsSeq(names) {
			text := strings.TrimSpace("bind :::5 " + name + " " + value)
			c := importCase{text: binding(text + " accept-proxy"), has: []string{"accept_proxy: required"}, exact: true}
			switch name {
			case "transparent", "maxconn", "interface", "v6only", "tcp-ut":
				c.exact = false
			}
			c.run(t)
		}
	}
	server := map[string]string{
		"": `check no-check backup no-backup enabled check-ssl no-check-ssl no-ssl no-verifyhost ssl-reuse no-ssl-reuse tls-tickets no-tls-tickets
			force-tlsv10 force-tlsv11 force-tlsv12 force-tlsv13 no-sslv3 no-tlsv10 no-tlsv11 no-tlsv12 no-tlsv13 allow-0rtt no-tfo non-stick stick
			no-agent-check tfo check-send-proxy agent-check check-reuse-pool`,
		"v": `rise fall proxy-v2-options resolvers check-sni verify ca-file verifyhost observe error-limit on-error init-addr agent-port
			agent-addr agent-inter agent-send set-proxy-v2-tlv-fmt usesrc interface fastinter downinter slowstart id guid cookie redir proto ws check-proto
			max-reuse pool-max-conn pool-low-conn pool-purge-delay pool-conn-name check-pool-conn-name alpn npn check-alpn crt crl-file ciphers ciphersuites
			ssl-min-ver ssl-max-ver sni resolve-prefer resolve-net resolve-opts log-proto log-bufsize hash-key minconn maxqueue port addr track
			on-marked-down on-marked-up healthcheck`,
		"9s":       "inter tcp-ut",
		"7":        "weight maxconn",
		"10.9.0.1": "source",
	}
	matter := "set-proxy-v2-tlv-fmt usesrc interface resolve-net agent-check port addr track on-marked-down on-marked-up healthcheck"
	for value, names := range server {
		for name := range strings.FieldsSeq(names) {
			text := strings.TrimSpace("server s 10.0.0.1:3 " + name + " " + value)
			importCase{text: listening(text + " send-proxy"), has: []string{"send_proxy: v1"},
				exact: !strings.Contains(" "+matter+" ", " "+name+" ")}.run(t)
		}
	}
	// Those that make the line useless take what follows with them.
	for _, option := range []string{"ssl", "namespace v", "accept-netscaler-cip 1"} {
		importCase{text: binding("bind :5 " + option + " frobnicate"), hasNot: []string{":5"}, saysNot: []string{"bind frobnicate"}, says: []string{"x.cfg:7: dropped: bind :5 " + option}}.run(t)
	}
	for _, option := range []string{"check-via-socks4", "socks4 v", "namespace v"} {
		importCase{text: listening("server s 10.0.0.1:3 "+option+" frobnicate", "server t 10.0.0.2:3"), has: []string{"address: 10.0.0.2:3\n"}, hasNot: []string{"10.0.0.1"},
			saysNot: []string{"server frobnicate"}, says: []string{"x.cfg:8: dropped: server s 10.0.0.1:3 " + option}}.run(t)
	}
}
