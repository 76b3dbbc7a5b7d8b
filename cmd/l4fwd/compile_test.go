package main

import (
	"fmt"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
	"github.com/l4fwd/l4fwd/proxy"
)

// chosen is a configuration with the line added to its only upstream or listener, or at its end.
func chosen(t *testing.T, upstream, listener, end string) config.Config {
	t.Helper()
	l := loadWith(t, "--config", write(t, fmt.Sprintf("upstreams:\n- address: a.example:443\n  %s\nlisteners:\n- address: ':443'\n  %s\n%s\n", upstream, listener, end)))
	require.False(t, l.Faults.Bad(), "%v", l.Faults)
	return l.Config
}

// Every choice that a file may have is one that the forwarder knows.
func TestEveryChoiceCanBeServed(t *testing.T) {
	for _, line := range []string{
		"balance: least_conn", "balance: round_robin", "balance: first", "send_proxy: off", "send_proxy: v1", "send_proxy: v2",
		"check: {type: none}", "check: {type: tcp}", "check: {type: tls}", "check: {type: https}",
		"admission: start", "check: {type: https}\n  admission: strict", "admission: off", "on_removed: keep", "on_removed: close_after 5m",
	} {
		_, err := compile(chosen(t, line, "", ""), nil)
		require.NoError(t, err, line)
	}
	for _, line := range []string{"accept_proxy: off", "accept_proxy: optional", "accept_proxy: required"} {
		_, err := compile(chosen(t, "", line, ""), nil)
		require.NoError(t, err, line)
	}
	for _, line := range []string{"log: {access: off}", "log: {access: errors}", "log: {access: all}"} {
		_, err := compile(chosen(t, "", "", line), nil)
		require.NoError(t, err, line)
	}
}

// An unknown balance was once least_conn, in silence.
func TestAChoiceThatNobodyKnowsIsAnError(t *testing.T) {
	for name, spoil := range map[string]func(*config.Config){
		"balance":      func(c *config.Config) { c.Upstreams[0].Balance = "random" },
		"no balance":   func(c *config.Config) { c.Upstreams[0].Balance = "" },
		"check":        func(c *config.Config) { c.Upstreams[0].Check.Type = "icmp" },
		"admission":    func(c *config.Config) { c.Upstreams[0].Admission = "perhaps" },
		"send_proxy":   func(c *config.Config) { c.Upstreams[0].SendProxy = "v3" },
		"accept_proxy": func(c *config.Config) { c.Listeners[0].AcceptProxy = "on" },
		"access":       func(c *config.Config) { c.Log.Access = "some" },
	} {
		c := chosen(t, "", "", "")
		spoil(&c)
		_, err := compile(c, nil)
		require.Error(t, err, name)
	}
}

func TestValuesReachTheForwarder(t *testing.T) {
	o, err := compile(chosen(t, `addresses: ["10.2.0.3:443"]
  backups: ["10.2.0.4:444"]
  balance: first
  max_connections: 7
  connect: {timeout: 2s, attempts: 4, stagger: 100ms}
  check: {type: https, interval: 7s, timeout: 2s, rise: 3, fall: 4, path: /x}
  required: true
  outlier: {failures: 6, ejection: 20s, max_ejected_percent: 30}
  warm: {connections: 5, max_idle: 9s}
  source_addresses: [127.0.0.1]
  on_removed: close_after 3m
  send_proxy: v2`, `name: front
  accept_proxy: required
  allow_sources: [10.0.0.0/8]
  allow_vpce: [vpce-0123456789abcdef0]
  routes: [{sni: [x.example], upstream: a.example}]`, `timeouts: {preface: 1s, idle: 2m, half_close: 3m}
keepalive: {idle: 20s, interval: 5s, count: 6, user_timeout: 70s}
limits: {max_connections: 100, per_source: 9, accept_rate: 8}
dns: {servers: [10.0.0.2], min_ttl: 2s, max_ttl: 3s, timeout: 4s}
log: {access: all}
loops: 2
engine: portable`), nil)
	require.NoError(t, err)
	u, in := o.Upstreams[0], o.Listeners[0]
	require.Equal(t, "a.example", u.Name)
	require.Equal(t, proxy.HostPort{Host: "a.example", Port: 443}, proxy.HostPort{Host: u.Host, Port: u.Port})
	require.Equal(t, []proxy.HostPort{{Host: "10.2.0.3", Port: 443}}, u.Others)
	require.Equal(t, []proxy.HostPort{{Host: "10.2.0.4", Port: 444}}, u.Backups)
	require.Equal(t, 7, u.MaxConnections)
	require.Equal(t, []any{2 * time.Second, 4, 100 * time.Millisecond}, []any{u.ConnectTimeout, u.Attempts, u.Stagger})
	require.Equal(t, []any{7 * time.Second, 2 * time.Second, 3, 4, "/x"}, []any{u.Check.Interval, u.Check.Timeout, u.Check.Rise, u.Check.Fall, u.Check.Path})
	require.Equal(t, proxy.Outlier{Failures: 6, Ejection: 20 * time.Second, MaxEjectedPercent: 30}, u.Outlier)
	require.Equal(t, proxy.Warm{Connections: 5, MaxIdle: 9 * time.Second}, u.Warm)
	require.Equal(t, proxy.Removed{Close: true, After: 3 * time.Minute}, u.Removed)
	require.True(t, u.Required)
	require.Equal(t, "127.0.0.1", u.SourceAddresses[0].String())

	require.Equal(t, "front", in.Name)
	require.Equal(t, "[::]:443", in.Addr.String())
	require.Equal(t, "10.0.0.0/8", in.AllowSources[0].String())
	require.Equal(t, []string{"vpce-0123456789abcdef0"}, in.AllowVPCE)
	require.Equal(t, []proxy.Route{{SNI: []string{"x.example"}, Upstream: "a.example"}}, in.Routes)

	require.Equal(t, []time.Duration{time.Second, 2 * time.Minute, 3 * time.Minute}, []time.Duration{o.PrefaceTimeout, o.IdleTimeout, o.HalfCloseTimeout})
	require.Equal(t, []any{20 * time.Second, 5 * time.Second, 6, 70 * time.Second}, []any{o.Keepalive.Idle, o.Keepalive.Interval, o.Keepalive.Count, o.Keepalive.UserTimeout})
	require.Equal(t, []int{100, 9, 8, 2}, []int{o.MaxConnections, o.PerSource, o.AcceptRate, o.Loops})
	require.Equal(t, "10.0.0.2:53", o.DNS.Servers[0].String())
	require.Equal(t, []time.Duration{2 * time.Second, 3 * time.Second, 4 * time.Second}, []time.Duration{o.DNS.MinTTL, o.DNS.MaxTTL, o.DNS.Timeout})
	require.Equal(t, "portable", o.Engine)
}
