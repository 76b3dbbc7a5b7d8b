package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/load"
	"github.com/l4fwd/l4fwd/bench/peer"
)

func TestNetworks(t *testing.T) {
	names := func(o options, over string) (names []string) {
		for _, s := range scenarios {
			if o.runs(s, over) {
				names = append(names, s.Name)
			}
		}
		return names
	}
	o, err := parse(nil)
	require.NoError(t, err)
	assert.Equal(t, []string{"loopback", "tls", "veth", "far"}, o.nets)
	assert.Equal(t, without("handshake", "tls_python", "tls_node"), names(o, "loopback"))
	assert.Equal(t, []string{"tls_python", "tls_node"}, names(o, "tls"))
	assert.Equal(t, []string{"handshake"}, names(o, "far"))
	assert.Equal(t, []string{"bulk_down", "bulk_up", "conn_rate", "conn_reset", "ping_pong", "token_stream", "beside"}, names(o, "veth"))
	o, err = parse([]string{"-only", "ping_pong,idle_memory"})
	require.NoError(t, err)
	assert.Equal(t, []string{"ping_pong"}, names(o, "veth"))
	o, err = parse([]string{"-quick", "-net", "veth", "-only", "ping_pong,idle_memory"})
	require.NoError(t, err)
	assert.Equal(t, []string{"veth"}, o.nets)
	assert.Equal(t, []string{"ping_pong", "idle_memory"}, names(o, "veth"), "both flags say so")
	o, err = parse([]string{"-quick", "-only", "handshake"})
	require.NoError(t, err)
	assert.Equal(t, []string{"far"}, o.nets, "there is no other to run it over")
}

// without is all scenarios but those.
func without(names ...string) []string {
	return slices.DeleteFunc(scenarioNames(), func(s string) bool { return slices.Contains(names, s) })
}

// A relay that logs nothing would win.
func TestALogWithoutLinesIsAnError(t *testing.T) {
	w := &load.WindowResult{Groups: []load.GroupResult{{Ops: 100}}}
	require.NoError(t, checkLog(scenario{variant: peer.Log}, w, 20000))
	require.ErrorContains(t, checkLog(scenario{variant: peer.Log}, w, 900), "lines are missing")
	require.NoError(t, checkLog(scenario{}, w, 0))
}

// TestVariantsTakePartInOneScenario: a relay that routes by SNI refuses what is no ClientHello.
func TestVariantsTakePartInOneScenario(t *testing.T) {
	o, err := parse(nil)
	require.NoError(t, err)
	for _, tc := range []struct {
		spec peer.Spec
		in   []string
		over []string
	}{
		{peer.L4fwdSNI("", "epoll", "not built"), []string{"sni_rate"}, []string{"loopback"}},
		{peer.L4fwdWarm("", "not built"), []string{"handshake"}, []string{"far"}},
		{peer.L4fwdLog("", "epoll", "not built"), []string{"conn_rate_log", "conn_reset_log"}, []string{"loopback"}},
		{peer.HAProxyLog(), []string{"conn_rate_log", "conn_reset_log"}, []string{"loopback"}},
		{peer.L4fwdUpgrade("", "epoll", "not built"), []string{"replace"}, []string{"loopback"}},
		{peer.HAProxyReload(true), []string{"replace"}, []string{"loopback"}},
		{peer.NginxReload(false), []string{"replace"}, []string{"loopback"}},
		{peer.L4fwd("", "epoll", "not built"), without("replace", "conn_rate_log", "conn_reset_log"), o.nets},
		{peer.DirectSpec(), without("replace", "conn_rate_log", "conn_reset_log", "idle_memory", "open_cost"), o.nets},
	} {
		var in, over []string
		for _, s := range scenarios {
			if s.takes(tc.spec) {
				in = append(in, s.Name)
			}
		}
		for _, n := range o.nets {
			if o.plays(tc.spec, n) {
				over = append(over, n)
			}
		}
		assert.Equal(t, tc.in, in, tc.spec.Name)
		assert.Equal(t, tc.over, over, tc.spec.Name)
	}
}

// TestRefusedVariantsAreMissing: a version without routes or warm connections says so, and takes part without them.
func TestRefusedVariantsAreMissing(t *testing.T) {
	refusing := filepath.Join(t.TempDir(), "l4fwd")
	require.NoError(t, os.WriteFile(refusing, []byte("#!/bin/sh\necho \"$@ is not supported by this version yet\" | sed 's/.*--\\(warm\\|config\\) [^ ]*/--\\1/' >&2\nexit 2\n"), 0o755))
	dir := t.TempDir()
	o, err := parse([]string{"-l4fwd", refusing, "-l4fwd-engines", "epoll", "-peers", "l4fwd-epoll-sni,l4fwd-warm,direct", "-only", "sni_rate,handshake", "-reps", "1",
		"-duration", "50ms", "-out", dir})
	require.NoError(t, err)
	var said []string
	for _, m := range runHere(t, o, dir).Missing {
		said = append(said, m.String())
	}
	assert.Contains(t, said, "l4fwd-epoll-sni over loopback: it ended at once, exit status 2: --config is not supported by this version yet")
	if !slices.ContainsFunc(said, func(m string) bool { return strings.HasPrefix(m, "far: ") }) {
		assert.Contains(t, said, "l4fwd-warm over far: it ended at once, exit status 2: --warm is not supported by this version yet")
	}
}
