package proxy

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
	"go.uber.org/zap/zapcore"
	"go.uber.org/zap/zaptest/observer"

	"github.com/l4fwd/l4fwd/proxy/resolve"
)

// An operator gets one line when lookups of a name begin to fail, one when they succeed again, and one for each change. What
// repeats, and what concerns no client, is for debugging.
func TestWhichLookupsAreLogged(t *testing.T) {
	core, lines := observer.New(zapcore.DebugLevel)
	s := &Server{log: zap.New(core), policy: &policy{}}
	s.policy.table.Store(&table{targets: []*target{{sources: []*source{{host: "used.test"}}}}})
	one := []netip.Addr{netip.MustParseAddr("192.0.2.1")}
	broken := errors.New("resolve used.test: no answer")
	for _, step := range []struct {
		lookup resolve.Lookup
		level  zapcore.Level
		line   string
	}{
		{resolve.Lookup{Name: "used.test", Result: resolve.Timeout, Err: broken}, zapcore.WarnLevel, "there is no earlier answer"},
		{resolve.Lookup{Name: "used.test", Result: resolve.Timeout, Err: broken}, zapcore.DebugLevel, "failed again"},
		{resolve.Lookup{Name: "used.test", Addrs: one, Changed: true}, zapcore.InfoLevel, "dns lookup succeeds again: its answer is in use"},
		{resolve.Lookup{Name: "used.test", Addrs: one, Changed: true, Added: one}, zapcore.InfoLevel, "dns answer changed"},
		{resolve.Lookup{Name: "used.test", Addrs: one}, zapcore.FatalLevel, ""},
		{resolve.Lookup{Name: "used.test", Result: resolve.ServFail, Err: broken, Addrs: one}, zapcore.WarnLevel, "the last good answer stays in use"},
		{resolve.Lookup{Name: "new.test", Result: resolve.NXDomain, Err: broken}, zapcore.DebugLevel, "a configuration that is not in use"},
		{resolve.Lookup{Name: "new.test", Addrs: one}, zapcore.DebugLevel, "a configuration that is not in use"},
		{resolve.Lookup{Name: "used.test", Addrs: one}, zapcore.InfoLevel, "dns lookup succeeds again: its answer is in use"},
	} {
		before := lines.Len()
		s.lookedUp(step.lookup)
		if step.line == "" {
			require.Equal(t, before, lines.Len(), "nothing happened")
			continue
		}
		require.Equal(t, before+1, lines.Len())
		last := lines.All()[before]
		require.Contains(t, last.Message, step.line)
		require.Equal(t, step.level, last.Level, last.Message)
		require.Equal(t, step.lookup.Name, last.ContextMap()["name"])
	}
	require.Equal(t, map[[2]string]uint64{
		{"used.test", "timeout"}: 2, {"used.test", "ok"}: 4, {"used.test", "servfail"}: 1, {"new.test", "nxdomain"}: 1, {"new.test", "ok"}: 1,
	}, s.lookups.all())
	require.Contains(t, LookupResults(), "servfail")
}

// The counts that somebody got do not change under him.
func TestCountsOfLookupsAreACopy(t *testing.T) {
	var l lookups
	require.Empty(t, l.all())
	require.False(t, l.count(resolve.Lookup{Name: "a", Err: errors.New("x")}, true))
	got := l.all()
	require.True(t, l.count(resolve.Lookup{Name: "a", Err: errors.New("x")}, false), "it failed before")
	require.False(t, l.count(resolve.Lookup{Name: "a"}, true), "a failure while the name was not in use is not remembered")
	require.Len(t, got, 1)
	for _, n := range got {
		require.EqualValues(t, 1, n)
	}
}
