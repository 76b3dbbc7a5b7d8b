package config

import (
	"fmt"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// repeated writes a part with its number until the file is as large as it may be.
func repeated(head, part string) string {
	var b strings.Builder
	b.WriteString(head)
	for i := 0; b.Len() < maxFile-len(part)-20; i++ {
		b.WriteString(strings.ReplaceAll(part, "N", fmt.Sprint(i)))
	}
	return b.String()
}

// A file of the largest size costs little, whatever is in it: most of these took half a minute once, since entries were
// compared in pairs and every fault was kept.
func TestTheLargestFilesCostLittle(t *testing.T) {
	if testing.Short() {
		t.Skip("reads large files")
	}
	for name, text := range map[string]string{
		"unknown keys":         repeated("upstream: a.example:443\n", "keyN: 1\n"),
		"listeners, one port":  repeated("upstream: a.example:443\nlisteners:\n", "- address: '[2001:db8::N%N]:1'\n"),
		"listeners":            repeated("upstream: a.example:443\nlisteners:\n", "- {name: lN, address: ':0'}\n"),
		"upstreams":            repeated("upstreams:\n", "- address: hN.example:1\n"),
		"texts for upstreams":  repeated("upstreams: [", "N, ") + "0]\n",
		"entries of nothing":   repeated("upstreams: [", "{}, ") + "{}]\n",
		"backups":              repeated("upstreams: [{address: 'a.example:443', backups: [", "'hN.example:1', ") + "'x:1']}]\n",
		"unknown upstreams":    repeated("upstream: a.example:443\nlisteners:\n", "- {address: ':0', upstream: uN}\n"),
		"routes":               repeated("upstream: a.example:443\nlisteners:\n- address: ':1'\n  routes:\n", "  - {sni: [hN.example], upstream: a.example}\n"),
		"names of a route":     repeated("upstream: a.example:443\nlisteners:\n- address: ':1'\n  routes:\n  - upstream: a.example\n    sni: [", "hN.example, ") + "x.example]\n",
		"a key again":          repeated("upstream: a.example:443\n", "loops: N\n"),
		"deep lists":           "upstream: " + strings.Repeat("[", maxFile-20),
		"deep sections":        strings.Repeat("a: {", maxFile/4-20),
		"merges":               repeated("x: &x {idle: 1h}\ntimeouts:\n", "  <<: *x\n"),
		"anchors":              repeated("upstream: a.example:443\n", "k: &aN 1\n"),
		"documents":            repeated("upstream: a.example:443\n", "---\n"),
		"comments":             repeated("upstream: a.example:443\n", "# N\n"),
		"a long text":          "upstream: " + strings.Repeat("x", maxFile-20),
		"not a text":           strings.Repeat("\x00", maxFile),
		"ranges of sources":    repeated("upstream: a.example:443\nlisteners: [{address: ':1', allow_sources: [", "'2001:db8:N::/48', ") + "'::1']}]\n",
		"many listen":          repeated("upstream: a.example:443\nlisten: [", "':0', ") + "':0']\n",
		"aliases of one value": repeated("upstream: a.example:443\nx: &x 1\ny: [", "*x, ") + "1]\n",
	} {
		t.Run(name, func(t *testing.T) {
			require.LessOrEqual(t, len(text), maxFile)
			path := write(t, text)
			before := processorTime(t)
			l, _ := try(t, "--config", path)
			require.LessOrEqual(t, len(l.Faults), 2*maxFaults+1)
			require.Less(t, processorTime(t)-before, 8*time.Second, "it is some 0.5 s")
		})
	}
}

// processorTime is what the process has used, which a busy machine does not make longer.
func processorTime(t *testing.T) time.Duration {
	t.Helper()
	var used syscall.Rusage
	require.NoError(t, syscall.Getrusage(syscall.RUSAGE_SELF, &used))
	return time.Duration(used.Utime.Nano() + used.Stime.Nano())
}
