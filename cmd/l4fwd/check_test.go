package main

import (
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
)

// loadWith loads as serve does.
func loadWith(t *testing.T, args ...string) *config.Loaded {
	t.Helper()
	serve := newServe()
	require.NoError(t, serve.Flags().Parse(args))
	return config.Load(serve.Flags())
}

// What check prints passes check unchanged, and can be served.
func TestWhatCheckPrintsPassesCheck(t *testing.T) {
	files, err := filepath.Glob("internal/config/testdata/good/*.yaml")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, path := range files {
		t.Run(filepath.Base(path), func(t *testing.T) {
			first := l4fwd(t, nil, "check", "--config", path)
			require.Equal(t, exitOK, first.code, first.stderr)
			require.Empty(t, first.stderr)

			effective := filepath.Join(t.TempDir(), "effective.yaml")
			require.NoError(t, os.WriteFile(effective, []byte(first.stdout), 0o600))
			second := l4fwd(t, nil, "check", "--config", effective)
			require.Equal(t, exitOK, second.code, second.stderr)
			require.Empty(t, second.stderr)
			require.Equal(t, first.stdout, second.stdout)

			_, err := compile(loadWith(t, "--config", path).Config, nil)
			require.NoError(t, err)
		})
	}
}

func TestCheckReportsFaultsWithStatus2(t *testing.T) {
	o := l4fwd(t, nil, "check", "--config", write(t, "nonsense: 1\n"))
	require.Equal(t, exitUsage, o.code)
	require.Contains(t, o.stderr, ":1: nonsense: unknown key; ")
	require.Empty(t, o.stdout)
	path := write(t, "upstream: example.com:443\nkeepalive: {idle: 300s}\n")
	o = l4fwd(t, nil, "check", "--config", path)
	require.Equal(t, exitOK, o.code)
	require.Contains(t, o.stderr, "warning: "+path+":2: keepalive.idle: 5m is longer than 240s; ")
}
