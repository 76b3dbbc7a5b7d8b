package config

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// variants returns, for each key outside of lists, a configuration in which that key alone differs from plain.
func variants(t *testing.T) (plain Config, changed map[string]Config) {
	t.Helper()
	plain = loaded(t, "upstreams: [{name: a, address: 'a.example:443'}]")
	changed = map[string]Config{}
	for _, c := range keyCases {
		if strings.Contains(c.path, "[]") || keyAt(t, c.path).short {
			continue
		}
		next := loaded(t, "upstreams: [{name: a, address: 'a.example:443'}]")
		for _, k := range leaves(next.keys()) {
			if k.path == c.path {
				require.NoError(t, k.field.set(c.good))
			}
		}
		changed[c.path] = next
	}
	return plain, changed
}

// loaded is the configuration of a file without faults.
func loaded(t *testing.T, text string) Config {
	t.Helper()
	l, said := try(t, "--config", write(t, text))
	require.False(t, l.Faults.Bad(), said)
	return l.Config
}

// A reload names what has changed, and keeps what takes a restart.
func TestEachKeyChangesAloneOrTakesARestart(t *testing.T) {
	restart := []string{"loops", "engine", "steering", "reload", "dns.", "eip.", "lifecycle.", "health.", "admin.", "log.format"}
	plain, changed := variants(t)
	require.Greater(t, len(changed), 30)
	for path, next := range changed {
		require.Equal(t, []string{path}, Changed(&plain, &next), path)
		before := next
		kept := KeepFixed(&next, &plain)
		takesRestart := false
		for _, r := range restart {
			takesRestart = takesRestart || path == r || strings.HasSuffix(r, ".") && strings.HasPrefix(path, r)
		}
		if takesRestart {
			require.Equal(t, []string{path}, kept, path)
			require.Equal(t, plain, next, "it keeps the old value of %s", path)
			continue
		}
		require.Empty(t, kept, path)
		require.Equal(t, before, next, "%s is changed by a reload", path)
	}
	require.Equal(t, []string{}, Changed(&plain, &plain), "none, and not null in the log")
}

func TestAListCountsAsOneKey(t *testing.T) {
	plain := loaded(t, "upstreams: [{name: a, address: 'a.example:443'}]")
	for _, text := range []string{
		"upstreams: [{name: a, address: 'a.example:443', connect: {timeout: 1s}}]",
		"upstreams: [{name: a, address: 'b.example:443'}]",
		"upstreams: [{name: a, address: 'a.example:443'}, {name: b, address: 'b.example:443'}]",
	} {
		next := loaded(t, text)
		require.Equal(t, []string{"upstreams"}, Changed(&plain, &next), text)
		require.Empty(t, KeepFixed(&next, &plain))
	}
	next := loaded(t, "upstreams: [{name: a, address: 'a.example:443'}]\nlisten: [':8443']\n")
	require.Equal(t, []string{"listeners"}, Changed(&plain, &next))
}

// What is kept is not shared: a later change of one configuration does not reach another.
func TestDefaultsOfEntriesAreTheirOwn(t *testing.T) {
	l := loaded(t, "upstreams: [{name: a, address: 'a.example:443'}, {name: b, address: 'b.example:443', check: {type: none}}]\nlisteners: [{address: ':1', upstream: a}, {address: ':2', upstream: b}]")
	require.Equal(t, CheckTCP, l.Upstreams[0].Check.Type)
	require.Equal(t, CheckNone, l.Upstreams[1].Check.Type)
}
