package main

import (
	"net"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
)

// A header that names nobody goes to a listener of this machine, also at an address that is not loopback. Elsewhere it is the load
// balancer's task, and the report says so.
func TestWhatGoesThroughAListenerThatRequiresAHeader(t *testing.T) {
	cfg := &config.Config{Listeners: []config.Listener{{Name: "in", AcceptProxy: config.AcceptProxyRequired}}}
	cfg.Listeners[0].Address.AddrPort = netip.MustParseAddrPort("0.0.0.0:8443")
	own, err := net.InterfaceAddrs()
	require.NoError(t, err)
	here := []string{"localhost", "127.0.0.9", "::1"}
	for _, a := range own {
		here = append(here, netip.MustParsePrefix(a.String()).Addr().String())
	}
	for _, host := range here {
		require.Equal(t, "PROXY UNKNOWN\r\n", string(headerFor(cfg, config.HostPort{Host: host, Port: 8443})), host)
		require.Empty(t, hintFor(cfg, config.HostPort{Host: host, Port: 8443}))
	}
	for _, host := range []string{"lb.example", "192.0.2.1"} {
		require.Empty(t, headerFor(cfg, config.HostPort{Host: host, Port: 8443}))
		require.Contains(t, hintFor(cfg, config.HostPort{Host: host, Port: 8443}), `the PROXY header is missing: the listener "in" has accept_proxy: required`)
		require.Empty(t, hintFor(cfg, config.HostPort{Host: host, Port: 443}))
	}
	cfg.Listeners[0].AllowVPCE = []string{"vpce-1"}
	require.Contains(t, hintFor(cfg, config.HostPort{Host: "127.0.0.1", Port: 8443}), "allow_vpce")
}

// A name or an address with a typing error is no listing without connections.
func TestConnsOfNobodyAreAnError(t *testing.T) {
	upstream := echo(t)
	c := startedWithFile(t, "upstreams: [{name: up, address: \""+upstream+"\"}]\nlisteners: [{name: in, address: \""+freePort(t)+"\"}]\n", nil)
	for says, args := range map[string][]string{
		`there is no upstream "nope"; there are: up`: {"--upstream", "nope"},
		`there is no listener "xx"; there are: in`:   {"--listener", "xx"},
	} {
		o := l4fwd(t, nil, append([]string{"conns", "--admin", c.admin}, args...)...)
		require.Equal(t, exitFailure, o.code)
		require.Contains(t, o.stderr, says)
	}
	o := l4fwd(t, nil, "conns", "--admin", c.admin, "--client", "1.2.3")
	require.Equal(t, exitUsage, o.code)
	require.Contains(t, o.stderr, `flag --client: "1.2.3" is no IP address`)
	o = l4fwd(t, nil, "conns", "--admin", c.admin, "--upstream", "up", "--listener", "in", "--client", "127.0.0.1")
	require.Equal(t, exitOK, o.code, o.stderr)
	o = l4fwd(t, nil, "address", "list", "nope", "--admin", c.admin)
	require.Contains(t, o.stderr, "there are: up")
}

// What is missing or misspelled is named with all that is allowed.
func TestWhatIsAllowedIsNamed(t *testing.T) {
	for says, args := range map[string][]string{
		"use one of debug, info, warn, error":                     {"log-level", "loud"},
		"name the level, one of debug, info, warn, error":         {"log-level", "--for", "1m"},
		":PORT for every address, unix:PATH for a socket, or off": {"status", "--admin", "foo"},
		"--target HOST:PORT":                                      {"doctor"},
	} {
		o := l4fwd(t, nil, args...)
		require.Equal(t, exitUsage, o.code, says)
		require.Contains(t, o.stderr, says)
	}
}
