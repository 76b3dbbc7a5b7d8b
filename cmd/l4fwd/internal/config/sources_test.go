package config

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// A value that somebody set by two variables has one winner, the one that the tables name first, and the other is reported.
func TestTwoVariablesOfOneKey(t *testing.T) {
	for _, k := range settable(new(Config).keys()) {
		all := k.variables()
		if len(all) < 2 || k.short {
			continue
		}
		c := keyCases[indexOf(t, k.path)]
		t.Run(k.path, func(t *testing.T) {
			t.Setenv(all[0], c.good)
			t.Setenv(all[1], otherThan(k, c))
			l, said := try(t, "--upstream=a.example:443")
			require.False(t, l.Faults.Bad(), said)
			require.Contains(t, said, "l4fwd: warning: "+all[1]+": ignored: "+all[0]+" sets the same and wins; unset one of the two\n")
			require.Equal(t, c.good, strings.Join(effective(t, &l.Config, k.path), ","))

			t.Setenv(all[0], "")
			l, said = try(t, "--upstream=a.example:443")
			require.Empty(t, said)
			require.Equal(t, otherThan(k, c), strings.Join(effective(t, &l.Config, k.path), ","), "an empty one is not set")
		})
	}
}

func indexOf(t *testing.T, path string) int {
	t.Helper()
	for i, c := range keyCases {
		if c.path == path {
			return i
		}
	}
	t.Fatalf("no key %s", path)
	return 0
}

// A bad variable does not hide a good one of the same key.
func TestABadVariableDoesNotWin(t *testing.T) {
	t.Setenv("L4FWD_HEALTH_ADDRESS", "8081")
	t.Setenv("L4FWD_HEALTH", ":8082")
	l, said := try(t, "--upstream=a.example:443")
	require.True(t, l.Faults.Bad())
	require.Equal(t, "l4fwd: L4FWD_HEALTH_ADDRESS: \"8081\" has no colon; write :8081, or off\n", said)
	require.Equal(t, ":8082", l.Config.Health.Address.String())
}

// Kubernetes gives each pod variables of the services around it. One of the name l4fwd makes some that look like ours.
func TestVariablesOfKubernetes(t *testing.T) {
	for name, injected := range map[string]bool{
		"L4FWD_SERVICE_HOST": true, "L4FWD_SERVICE_PORT": true, "L4FWD_SERVICE_PORT_HTTPS": true, "L4FWD_PORT": true, "L4FWD_PORT_443_TCP": true,
		"L4FWD_PORT_443_TCP_PROTO": true, "L4FWD_PORT_443_TCP_PORT": true, "L4FWD_PORT_443_TCP_ADDR": true, "L4FWD_HEALTH_SERVICE_HOST": true,
		"L4FWD_HEALTH_PORT_8080_TCP": true, "L4FWD_PORT_53_UDP": true, "L4FWD_REPORT": false, "L4FWD_SERVICE": false, "L4FWD_PORTS": false, "L4FWD_PORT_443": false,
		"L4FWD_LOG_LEVEL": false,
	} {
		require.Equal(t, injected, kubernetes.MatchString(name), name)
	}
}

func TestVariablesThatSetNothing(t *testing.T) {
	for name, want := range map[string]string{
		"L4FWD_LOG_LEVLE":   "l4fwd: warning: L4FWD_LOG_LEVLE: no setting, ignored; did you mean L4FWD_LOG_LEVEL?\n",
		"L4FWD_LOOP":        "l4fwd: warning: L4FWD_LOOP: no setting, ignored; did you mean L4FWD_LOOPS?\n",
		"L4FWD_XYZZY_PLUGH": "l4fwd: warning: L4FWD_XYZZY_PLUGH: no setting, ignored; docs/CONFIG.md lists the variables\n",
		"L4FWD_UPSTREAMS":   "l4fwd: L4FWD_UPSTREAMS: a variable cannot set it; write it into the file\n",
		"L4FWD_LISTENERS":   "l4fwd: L4FWD_LISTENERS: a variable cannot set it; write it into the file\n",
		"L4FWDX":            "",
		"MY_L4FWD_LOOPS":    "",
		"l4fwd_loops":       "",
	} {
		t.Run(name, func(t *testing.T) {
			t.Setenv(name, "1")
			l, said := try(t, "--upstream=a.example:443")
			require.Equal(t, want, said)
			require.Equal(t, strings.HasSuffix(name, "S") && strings.Contains(want, "cannot"), l.Faults.Bad())
		})
	}
}

// What a pod is given is one warning, however many services there are.
func TestVariablesOfKubernetesAreOneWarning(t *testing.T) {
	for _, name := range []string{"L4FWD_PORT_2_TCP", "L4FWD_PORT_1_TCP"} {
		t.Setenv(name, "tcp://10.0.0.1:1")
	}
	_, said := try(t, "--upstream=a.example:443")
	require.Equal(t, "l4fwd: warning: L4FWD_PORT_1_TCP, L4FWD_PORT_2_TCP: no setting, ignored; "+
		"Kubernetes sets such for a service of that name; enableServiceLinks: false in the pod's spec stops it\n", said)
}

// A list of a variable or a flag replaces that of the file as a whole.
func TestListsAreReplaced(t *testing.T) {
	path := write(t, "upstream: a.example:443\ndns: {servers: [10.0.0.1, 10.0.0.2]}\nlisten: [':1', ':2', ':3']\n")
	servers := func(l *Loaded) int { return len(l.Config.DNS.Servers) }
	l, _ := try(t, "--config", path)
	require.Equal(t, 2, servers(l))
	t.Setenv("L4FWD_DNS_SERVERS", "10.0.0.9")
	t.Setenv("L4FWD_LISTEN", ":4")
	l, said := try(t, "--config", path)
	require.Empty(t, said)
	require.Equal(t, 1, servers(l))
	require.Len(t, l.Config.Listeners, 1)
	l, _ = try(t, "--config", path, "--dns-server=10.0.0.7,10.0.0.8,10.0.0.9")
	require.Equal(t, 3, servers(l))
	path = write(t, "upstream: a.example:443\ndns: {servers: []}\n")
	require.NoError(t, os.Unsetenv("L4FWD_DNS_SERVERS"))
	l, said = try(t, "--config", path)
	require.Empty(t, said)
	require.Nil(t, l.Config.DNS.Servers, "an empty list is none")
}

// Loading twice gives the same: nothing of one load stays.
func TestLoadingTwiceIsTheSame(t *testing.T) {
	path := write(t, "upstreams: [{address: 'a.example:443', backups: ['b.example:1']}]\nlisten: [':1', ':2']\ndns: {servers: [10.0.0.1]}\n")
	fs := serveFlags()
	require.NoError(t, fs.Parse([]string{"--config", path, "--warm=3"}))
	first, second := Load(fs), Load(fs)
	require.Equal(t, first, second)
	first.Config.Upstreams[0].Backups[0] = HostPort{"changed", 1}
	require.Equal(t, HostPort{"b.example", 1}, second.Config.Upstreams[0].Backups[0])
}
