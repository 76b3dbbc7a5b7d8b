package config

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

func write(t *testing.T, content string) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "c.yaml")
	require.NoError(t, os.WriteFile(path, []byte(content), 0o600))
	return path
}

func TestWatchingNeedsAFile(t *testing.T) {
	t.Setenv("L4FWD_RELOAD", "watch")
	_, said := try(t)
	require.Contains(t, said, "L4FWD_RELOAD: there is no file to watch; name one with --config")
	t.Setenv("L4FWD_CONFIG", write(t, "upstream: a.example:443\n"))
	_, said = try(t)
	require.Empty(t, said)
}

func TestPrecedence(t *testing.T) {
	path := write(t, "upstream: file.example:443\nloops: 2\nlog: {level: warn}\ndns: {servers: [10.0.0.1]}\n")
	l, _ := try(t, "--config", path)
	require.Equal(t, 2, l.Config.Loops, "file over default")

	t.Setenv("L4FWD_CONFIG", path)
	t.Setenv("L4FWD_LOOPS", "3")
	t.Setenv("L4FWD_LOG_LEVEL", "error")
	t.Setenv("L4FWD_DNS_SERVERS", "10.0.0.2, 10.0.0.3")
	t.Setenv("L4FWD_UPSTREAM", "env.example:443")
	t.Setenv("L4FWD_HEALTH", ":8081")
	l, said := try(t)
	require.Empty(t, said)
	require.Equal(t, 3, l.Config.Loops, "environment over file")
	require.Equal(t, LevelError, l.Config.Log.Level)
	require.Equal(t, []netip.AddrPort{must(parseResolver, "10.0.0.2"), must(parseResolver, "10.0.0.3")}, l.Config.DNS.Servers)
	require.Equal(t, hostPort("env.example:443"), l.Config.Upstreams[0].Address)
	require.Equal(t, ":8081", l.Config.Health.Address.String(), "the flag's name works as well")

	l, said = try(t, "--loops", "4", "--dns-server", "10.0.0.4", "--dns-server=10.0.0.5,10.0.0.6", "--upstream", "flag.example:443", "--log-level=debug")
	require.Empty(t, said)
	require.Equal(t, 4, l.Config.Loops, "flag over environment")
	require.Equal(t, LevelDebug, l.Config.Log.Level)
	require.Equal(t, []netip.AddrPort{must(parseResolver, "10.0.0.4"), must(parseResolver, "10.0.0.5"), must(parseResolver, "10.0.0.6")}, l.Config.DNS.Servers)
	require.Equal(t, hostPort("flag.example:443"), l.Config.Upstreams[0].Address)

	t.Setenv("L4FWD_LOOPS", "")
	l, _ = try(t)
	require.Equal(t, 2, l.Config.Loops, "an empty variable is not set")
}

func TestShorthandsReplaceTheAddressesOfTheFile(t *testing.T) {
	one := write(t, "upstreams: [{name: a, address: 'a.example:443', connect: {attempts: 7}}]\nlisteners: [{name: l, address: ':443'}]\n")
	l, said := try(t, "--config", one, "--upstream", "test.example:443", "--listen", ":8443")
	require.Empty(t, said)
	require.Equal(t, hostPort("test.example:443"), l.Config.Upstreams[0].Address)
	require.Equal(t, "a", l.Config.Upstreams[0].Name)
	require.Equal(t, 7, l.Config.Upstreams[0].Connect.Attempts)
	require.Equal(t, Listener{Name: "l", Address: listen(":8443"), Upstream: "a", AcceptProxy: "off"}, l.Config.Listeners[0])

	two := write(t, "upstreams: [{address: 'a.example:443'}, {address: 'b.example:443'}]\nlisteners: [{address: ':443'}]\n")
	_, said = try(t, "--upstream", "a.example:443", "--listen", "")
	require.Equal(t, "l4fwd: flag --listen: names no address; write ADDR, or leave the flag away\n", said)
	_, said = try(t, "--config", two, "--upstream", "test.example:443", "--listen", ":8443,:8444")
	require.Equal(t, "l4fwd: flag --upstream: the file has 2 upstreams, and one address cannot stand for them; change the file\n"+
		"l4fwd: flag --listen: 2 addresses for the 1 listeners of the file; give as many, or change the file\n", said)
}

func TestFaultsOfFlagsAndVariablesNameThem(t *testing.T) {
	t.Setenv("L4FWD_LOOPS", "-1")
	t.Setenv("L4FWD_WARM", "many")
	t.Setenv("L4FWD_LISTENERS", "x")
	_, said := try(t, "--upstream", "example.com", "--drain-timeout", "5", "--log-format", "xml", "--admin", "0.0.0.0:9901")
	require.Equal(t, "l4fwd: flag --upstream: \"example.com\" has no port; write example.com:443\n"+
		"l4fwd: L4FWD_LOOPS: -1 is out of range; write a number from 0 to 1024\n"+
		"l4fwd: L4FWD_WARM: \"many\" is not a whole number; write a number from 0 to 10000\n"+
		"l4fwd: flag --drain-timeout: the number 5 has no unit; write 5s for seconds, or a unit of ms, s, m, h; a duration from 0s to 168h\n"+
		"l4fwd: flag --log-format: \"xml\" is not a choice; use one of \"\", json, console\n"+
		"l4fwd: L4FWD_LISTENERS: a variable cannot set it; write it into the file\n"+
		"l4fwd: flag --admin: 0.0.0.0:9901 is reachable from other machines, and whoever reaches it can drain the daemon and read its memory; "+
		"use 127.0.0.1:9901 or unix:PATH, or set admin.allow_remote to true\n", said)
}

func TestUnknownVariablesAreWarnings(t *testing.T) {
	for _, name := range []string{"L4FWD_SERVICE_HOST", "L4FWD_PORT", "L4FWD_PORT_443_TCP", "L4FWD_PORT_443_TCP_ADDR", "L4FWD_HEALTH_SERVICE_PORT_HTTP"} {
		t.Setenv(name, "tcp://10.0.0.1:443")
	}
	t.Setenv("L4FWD_LOG_LEVLE", "debug")
	l, said := try(t, "--upstream", "example.com:443")
	require.False(t, l.Faults.Bad())
	require.Equal(t, "l4fwd: warning: L4FWD_LOG_LEVLE: no setting, ignored; did you mean L4FWD_LOG_LEVEL?\n"+
		"l4fwd: warning: L4FWD_HEALTH_SERVICE_PORT_HTTP, L4FWD_PORT, L4FWD_PORT_443_TCP, L4FWD_PORT_443_TCP_ADDR, L4FWD_SERVICE_HOST: no setting, ignored; "+
		"Kubernetes sets such for a service of that name; enableServiceLinks: false in the pod's spec stops it\n", said)
}

func TestDurationsAreWrittenShort(t *testing.T) {
	for _, s := range []string{"0s", "1ms", "5s", "1m", "90m", "1h", "1h30m", "1h0m5s", "24h", "1m30s", "10h", "100h"} {
		d, err := parseDuration(s)
		require.NoError(t, err)
		again, err := parseDuration(formatDuration(d))
		require.NoError(t, err, s)
		require.Equal(t, d, again)
		if s != "90m" {
			require.Equal(t, s, formatDuration(d))
		}
	}
}

func TestSettingsThatAreIgnoredAreTold(t *testing.T) {
	t.Setenv("L4FWD_DNS_SERVERS", "10.0.0.1")
	t.Setenv("L4FWD_DNS_SERVER", "10.0.0.2")
	l, said := try(t, "--upstream", "a.example:443")
	require.False(t, l.Faults.Bad())
	require.Equal(t, []netip.AddrPort{must(parseResolver, "10.0.0.1")}, l.Config.DNS.Servers)
	require.Equal(t, "l4fwd: warning: L4FWD_DNS_SERVER: ignored: L4FWD_DNS_SERVERS sets the same and wins; unset one of the two\n", said)
	t.Setenv("L4FWD_DNS_SERVER", "")

	path := write(t, "upstreams:\n  - {name: a, address: 'a.example:443'}\n  - {name: b, address: 'b.example:443'}\n")
	l, said = try(t, "--config", path)
	require.False(t, l.Faults.Bad())
	require.Equal(t, "warning: "+path+":3: upstreams[1]: no listener uses the upstream b; set listeners[].upstream, or that of a route, to its name, or remove it\n", said)
}

func TestOneUpstreamOnly(t *testing.T) {
	_, said := try(t, "--upstream", "a:443,b:443")
	require.Equal(t, "l4fwd: flag --upstream: \"a:443,b:443\": one upstream only; write several under upstreams in a file\n", said)
	_, said = try(t, "--upstream", "a:1", "--upstream", "b:2")
	require.Equal(t, "l4fwd: flag --upstream is given twice: \"a:1\", \"b:2\"; write several under upstreams in a file\n", said)
}

func TestRangesOfDurationsAreToldTheFirstTime(t *testing.T) {
	for text, want := range map[string]string{
		"0":               "the number 0 has no unit; write a duration from 1s to 720h",
		"5":               "the number 5 has no unit; write 5s for seconds, or a unit of ms, s, m, h; a duration from 1s to 720h",
		"1ms":             "1ms is out of range; write a duration from 1s to 720h",
		"99999999999999h": "99999999999999h is out of range; write a duration from 1s to 720h",
		"soon":            `"soon" is not a duration; write a number with a unit of ms, s, m, h, like 5s or 1m30s; a duration from 1s to 720h`,
	} {
		t.Setenv("L4FWD_TIMEOUTS_IDLE", text)
		_, said := try(t, "--upstream", "a.example:443")
		require.Equal(t, "l4fwd: L4FWD_TIMEOUTS_IDLE: "+want+"\n", said)
	}
}

// A user pasted what a fault suggested, and got the next fault: a bare [:8443] is no YAML.
func TestSuggestedListsCanBePasted(t *testing.T) {
	for bad, good := range map[string]string{
		"upstream: a:1\nlisten: :8443\n":        `upstream: a:1` + "\n" + `listen: [":8443"]`,
		"upstreams: b:2\n":                      "upstream: b:2",
		"upstreams: \"b:2\" #\n":                `upstreams: [{address: "b:2"}]`,
		"upstream: a:1\nlisteners: :8443\n":     `upstream: a:1` + "\n" + `listen: [":8443"]`,
		"upstream: a:1\nlisteners: ':8443'\n":   `upstream: a:1` + "\n" + `listeners: [{address: ":8443"}]`,
		"upstreams:\n  address: b:2\n":          "upstreams:\n  - address: b:2",
		"upstreams: {address: 'b.example:2'}\n": "upstreams: [{address: 'b.example:2'}]",
	} {
		l, said := try(t, "--config", write(t, bad))
		require.True(t, l.Faults.Bad())
		suggested := good[strings.LastIndexByte(good, '\n')+1:]
		switch {
		case strings.Contains(good, "- "):
			require.Contains(t, said, `: upstreams: is a section; put "- " before its first key`+"\n")
		case strings.Contains(good, "'b.example"):
			require.Contains(t, said, ": upstreams: is a section; put brackets around it: [{…}]\n")
		default:
			require.Contains(t, said, strings.TrimPrefix(suggested, "listen: "))
		}
		l, said = try(t, "--config", write(t, good))
		require.False(t, l.Faults.Bad(), said)
	}
}

// What an earlier route takes has no effect in a later one: a warning, as it is no fault. So is an upstream that no route names.
func TestRoutesWithoutEffect(t *testing.T) {
	path := write(t, `
listeners:
  - address: ":8443"
    routes:
      - {sni: ["*.a.example"], upstream: a}
      - {sni: [b.example, x.a.example], upstream: b}
upstreams:
  - {name: a, address: "a.example:443"}
  - {name: b, address: "b.example:443"}
  - {name: c, address: "c.example:443"}
`)
	l, said := try(t, "--config", path)
	require.False(t, l.Faults.Bad())
	require.Contains(t, said, ":6: listeners[0].routes[1].sni: x.a.example has no effect: an earlier route takes it; remove it, or put the route first\n")
	require.Contains(t, said, "no listener uses the upstream c")
	require.Equal(t, 2, strings.Count(said, "\n"), said)
	require.Equal(t, "a,b", l.Config.Listeners[0].Serves())
}

// A file that is something else has a fault in every line. What is kept of them is bounded, and warnings hide no fault.
func TestManyFaultsAreBounded(t *testing.T) {
	l, said := try(t, "--config", write(t, strings.Repeat("x: 1\n", 1)+strings.Repeat("y"+strings.Repeat("z", 20)+": 1\n", 2*maxFaults)))
	require.True(t, l.Faults.Bad())
	require.Equal(t, maxFaults+1, strings.Count(said, "\n"))
	require.Contains(t, said, "l4fwd: there are more faults than these 1000; correct these first\n")

	var text strings.Builder
	text.WriteString("listen: [\":443\"]\nupstreams:\n")
	for i := range maxFaults + 10 { // each but the first is a warning: no listener uses it
		fmt.Fprintf(&text, "- {name: u%d, address: \"h%d.example:443\"}\n", i, i)
	}
	l, _ = try(t, "--config", write(t, text.String()))
	require.False(t, l.Faults.Bad())
	require.Len(t, l.Faults, maxFaults)
	l, said = try(t, "--config", write(t, text.String()+"admin: {address: \":9901\"}\n"))
	require.True(t, l.Faults.Bad())
	require.Contains(t, said, ": admin.address: [::]:9901 is reachable from other machines")
}

// A file with over 2,400 routes was advised to use fewer aliases, of which it had none.
func TestManyRoutesAreNoAliases(t *testing.T) {
	var text strings.Builder
	text.WriteString("upstream: a.example:443\nlisteners:\n- address: \":8443\"\n  routes:\n")
	for i := range 10_000 {
		fmt.Fprintf(&text, "  - {sni: [h%d.example], upstream: a.example}\n", i)
	}
	l, said := try(t, "--config", write(t, text.String()))
	require.Empty(t, said)
	require.Len(t, l.Config.Listeners[0].Routes, 10_000)
}

// Mistakes that a first evening brings.
func TestMistakesGetASuggestion(t *testing.T) {
	for text, want := range map[string]string{
		"upstreams: [{address: 'a.example:443', max_conns: 5}]":             "upstreams[0].max_conns: unknown key; did you mean max_connections? ",
		"upstream: a.example:443\nlimits: {maxconn: 5}":                     "limits.maxconn: unknown key; did you mean max_connections? ",
		"upstreams: [{address: 'a.example:443', timeout: 5s}]":              "upstreams[0].timeout: unknown key; did you mean connect.timeout? ",
		"upstream: a.example:443\nmax_connections: 5":                       "max_connections: unknown key; did you mean limits.max_connections? ",
		"upstream: a.example:443\nlisten: [:8443]":                          `is not valid YAML: did not find expected node content (an address that begins with a colon needs quotes: ":8443")`,
		"upstream: a.example:443\nlisteners: [{address: :8443}, {a: [:1]}]": `(an address that begins with a colon needs quotes: ":8443")`,
		"upstream: a.example:443\nengine: io_uring":                         `engine: "io_uring" is not a choice, did you mean uring?; use one of auto, uring, epoll, portable`,
		"upstream: a.example:443\nlog: {level: warning}":                    `log.level: "warning" is not a choice, did you mean warn?; `,
	} {
		_, said := try(t, "--config", write(t, text))
		require.Contains(t, said, want, text)
	}
}

// As a secret store leaves it, a variable may end with a new line.
func TestSpaceAroundVariablesIsCutOff(t *testing.T) {
	for name, text := range map[string]string{
		"L4FWD_UPSTREAM": "a.example:443\n", "L4FWD_LISTEN": " :8443, :8444 \n", "L4FWD_LOOPS": "\t2", "L4FWD_DRAIN_TIMEOUT": "1m ",
		"L4FWD_LOG_LEVEL": "debug\r\n", "L4FWD_ADMIN": " unix:/run/a.sock", "L4FWD_EIP_REQUIRED": "false\n", "L4FWD_LIMITS_BUFFERED": "1GiB\n",
		"L4FWD_EIP_POOL": "tag:a=b\n", "L4FWD_ENGINE": " \n", "L4FWD_NONSENSE": "\n",
	} {
		t.Setenv(name, text)
	}
	path := write(t, "log: {access: all}\n")
	t.Setenv("L4FWD_CONFIG", path+"\n")
	l, said := try(t)
	require.Empty(t, said)
	c := l.Config
	require.Equal(t, hostPort("a.example:443"), c.Upstreams[0].Address)
	require.Equal(t, []string{":8443", ":8444"}, []string{c.Listeners[0].Name, c.Listeners[1].Name})
	require.Equal(t, 2, c.Loops)
	require.Equal(t, time.Minute, c.Drain.Timeout)
	require.Equal(t, Log{Level: LevelDebug, Access: AccessAll}, c.Log)
	require.Equal(t, "unix:/run/a.sock", c.Admin.Address.String())
	require.False(t, c.EIP.Required)
	require.EqualValues(t, 1<<30, c.Limits.Buffered)
	require.Equal(t, "tag:a=b", c.EIP.Pool.String())
	require.Equal(t, EngineAuto, c.Engine, "only space counts as not set")
}
