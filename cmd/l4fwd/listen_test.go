package main

import (
	"net"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/cmd/l4fwd/internal/config"
)

func TestAdminSocketIsPrivateAndReplacesAStaleOne(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	cfg := config.Admin{Address: config.Endpoint{Unix: path}}

	stale, err := net.ListenUnix("unix", &net.UnixAddr{Name: path})
	require.NoError(t, err)
	stale.SetUnlinkOnClose(false)
	require.NoError(t, stale.Close())

	l, err := listenAdmin(cfg, nil)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())

	_, err = listenAdmin(cfg, nil)
	require.ErrorContains(t, err, "is in use: another l4fwd runs")
	require.NoError(t, l.Close())

	require.NoError(t, os.WriteFile(path, []byte("precious"), 0o600))
	_, err = listenAdmin(cfg, nil)
	require.ErrorContains(t, err, "a file that is no socket is there")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "precious", string(content))
}

func TestAPortThatIsOffNeverAccepts(t *testing.T) {
	for _, open := range []func() (net.Listener, error){
		func() (net.Listener, error) { return listenHealth(config.Health{}, nil) },
		func() (net.Listener, error) { return listenAdmin(config.Admin{}, nil) },
	} {
		l, err := open()
		require.NoError(t, err)
		require.Equal(t, "off", l.Addr().String())
		_, err = l.Accept()
		require.ErrorIs(t, err, net.ErrClosed)
		require.NoError(t, l.Close())
	}
}
