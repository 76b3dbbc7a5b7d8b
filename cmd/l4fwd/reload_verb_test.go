package main

import (
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// systemctl reload sent a signal and said that all was well, although the daemon refused the file.
func TestTheReloadVerbTellsTheOutcome(t *testing.T) {
	p := configured(t, "upstreams: [{name: up, address: '127.0.0.1:1', check: {type: none}}]\nlisteners: [{name: in, address: 'LISTEN'}]\nlimits: {per_source: 100}\n")
	path := p.cmd.Args[len(p.cmd.Args)-5]
	require.Contains(t, path, "c.yaml")
	file, err := os.ReadFile(path)
	require.NoError(t, err)
	reload := func(change ...string) outcome {
		require.NoError(t, os.WriteFile(path, []byte(strings.NewReplacer(change...).Replace(string(file))), 0o600))
		return l4fwd(t, nil, "reload", "--config", path, "--admin", p.admin)
	}

	out := reload("per_source: 100", "per_source: 200")
	require.Equal(t, outcome{0, "reloaded; changed: limits.per_source\n", ""}, out)
	out = reload("per_source: 100", "per_source: many")
	require.Equal(t, exitFailure, out.code, out)
	require.Contains(t, out.stderr, "the reload failed and changed nothing:\n  "+path+":3: limits.per_source: ")
	require.Empty(t, out.stdout)
	out = reload("name: in", "name: in, adress: x")
	require.Equal(t, exitFailure, out.code, out)
	require.Contains(t, out.stderr, "unknown key", "the verb asks the daemon, whatever is wrong with the file")
	require.Contains(t, l4fwd(t, nil, "status", "--admin", p.admin).stdout, "ready, but: the last reload failed")
	out = reload("per_source: 100", "per_source: 200")
	require.Equal(t, outcome{0, "reloaded; nothing has changed\n", ""}, out)

	out = l4fwd(t, nil, "reload", "--admin", freePort(t))
	require.Equal(t, exitNoDaemon, out.code)
	require.Contains(t, out.stderr, "no daemon answers")
}
