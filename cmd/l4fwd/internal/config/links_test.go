package config

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"
)

// The names on the way to a file, in the order in which the kernel follows them.
func TestNamesOnTheWay(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	require.NoError(t, os.MkdirAll(dir+"/real/sub", 0o700))
	require.NoError(t, os.WriteFile(dir+"/real/sub/c.yaml", nil, 0o600))
	for name, to := range map[string]string{
		"plain": "real/sub/c.yaml", "absolute": dir + "/real/sub/c.yaml", "directory": "real", "twice": "plain", "inside": "directory/sub/c.yaml",
		"up": "real/../real/sub/c.yaml", "dangling": "real/none.yaml",
	} {
		require.NoError(t, os.Symlink(to, dir+"/"+name))
	}
	for path, want := range map[string][]string{
		"/real/sub/c.yaml":      {"/real/sub/c.yaml"},
		"/real/none.yaml":       {"/real/none.yaml"},
		"/plain":                {"/plain", "/real/sub/c.yaml"},
		"/absolute":             {"/absolute", "/real/sub/c.yaml"},
		"/twice":                {"/twice", "/plain", "/real/sub/c.yaml"},
		"/directory/sub/c.yaml": {"/directory", "/real/sub/c.yaml"},
		"/inside":               {"/inside", "/directory", "/real/sub/c.yaml"},
		"/up":                   {"/up", "/real/sub/c.yaml"},
		"/dangling":             {"/dangling", "/real/none.yaml"},
	} {
		var got []string
		for _, name := range linksOf(dir + path) {
			rest, err := filepath.Rel(dir, name)
			require.NoError(t, err)
			got = append(got, "/"+rest)
		}
		require.Equal(t, want, got, path)
	}
}

func TestARelativeNameIsFollowedFromTheWorkingDirectory(t *testing.T) {
	dir, err := filepath.EvalSymlinks(t.TempDir())
	require.NoError(t, err)
	t.Chdir(dir)
	require.NoError(t, os.Symlink("to.yaml", "c.yaml"))
	require.Equal(t, []string{dir + "/c.yaml", dir + "/to.yaml"}, linksOf("c.yaml"))
}

func TestAddressesOfThisMachineAreItsOwn(t *testing.T) {
	all, err := net.InterfaceAddrs()
	require.NoError(t, err)
	for _, a := range all {
		ip, ok := netip.AddrFromSlice(a.(*net.IPNet).IP)
		require.True(t, ok)
		require.True(t, ownAddress(ip.Unmap()), a)
	}
}
