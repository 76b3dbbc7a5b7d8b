package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/standin"
)

// An instance whose address Azure's firewall does not admit was ready after 100 ms, put in service, and its clients got 403. It
// is held back until it was admitted once; a later refusal is shown and takes nothing out of the load balancer.
func TestAdmissionByTheStandIn(t *testing.T) {
	far, err := standin.Start(standin.Options{Deny: true})
	require.NoError(t, err)
	defer far.Close()
	ca := filepath.Join(t.TempDir(), "ca.pem")
	require.NoError(t, os.WriteFile(ca, far.CAPEM(), 0o600))
	address := fmt.Sprintf("%s:%d", standin.Name, far.Addr().Port())
	file := write(t, fmt.Sprintf("upstreams: [{name: up, address: '%s', check: {type: https, interval: 100ms}}]\n", address))
	p := prepare(t, []string{"SSL_CERT_FILE=" + ca}, "--upstream", address, "--config", file, "--dns-server", nameserver(t, "127.0.0.1")).start(t)

	const refusal = `upstream "up" refuses this instance's public address: Access denied due to Virtual Network/Firewall rules.`
	p.eventually(t, func() bool { return p.get("/readyz") == "503 admission: "+refusal+"\n" })
	require.Contains(t, p.get("/readyz?verbose"), "[+]upstream ok\n[-]admission: ")
	metric := func(v int) func() bool {
		return func() bool {
			return strings.Contains(p.get("/metrics"), fmt.Sprintf("l4fwd_upstream_admitted{upstream=\"up\"} %d\n", v))
		}
	}
	require.True(t, metric(0)())
	status := l4fwd(t, nil, "status", "--admin", p.admin)
	require.Contains(t, status.unwrapped(), "up: REFUSES this instance's public address for ")
	require.Contains(t, status.unwrapped(), "(admission start): Access denied due to Virtual Network/Firewall rules.")
	require.Equal(t, 1, status.code)
	p.logs(t, `"msg":"the upstream refuses this instance's public address: its clients get 403.`)

	far.SetDeny(false)
	p.eventually(t, func() bool { return p.get("/readyz") == "200 ok\n" })
	require.True(t, metric(1)())
	require.NotContains(t, l4fwd(t, nil, "status", "--admin", p.admin).stdout, "REFUSES")

	far.SetDeny(true)
	p.eventually(t, metric(0))
	require.Equal(t, "200 ok\n", p.get("/readyz"))
	require.Contains(t, p.get("/readyz?verbose"), "[+]admission ok\n   upstream \"up\" refuses this instance's public address, for ")
	require.Contains(t, l4fwd(t, nil, "status", "--admin", p.admin).stdout, "REFUSES")
}
