package ports

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
)

// The admin socket is its user's alone. One that a dead process left is replaced.
func TestTheAdminSocketInTheFileSystem(t *testing.T) {
	path := filepath.Join(t.TempDir(), "admin.sock")
	first, err := Unix(path)
	require.NoError(t, err)
	info, err := os.Stat(path)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o600), info.Mode().Perm())
	beside := filepath.Join(t.TempDir(), "file")
	require.NoError(t, os.WriteFile(beside, nil, 0o700))
	info, err = os.Stat(beside)
	require.NoError(t, err)
	require.Equal(t, os.FileMode(0o700), info.Mode().Perm(), "the mask of the process is as it was")

	_, err = Unix(path)
	require.EqualError(t, err, "the admin socket "+path+" is in use: another l4fwd runs; name another path with --admin unix:PATH")

	first.(*net.UnixListener).SetUnlinkOnClose(false) // as a process that was killed
	require.NoError(t, first.Close())
	require.FileExists(t, path)
	second, err := Unix(path)
	require.NoError(t, err)
	defer second.Close()
	c, err := net.Dial("unix", path)
	require.NoError(t, err)
	require.NoError(t, c.Close())
}

// Nothing but a dead socket is ever removed.
func TestWhatIsNoSocketIsKept(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "notes.txt")
	require.NoError(t, os.WriteFile(file, []byte("mine"), 0o600))
	link := filepath.Join(dir, "link")
	require.NoError(t, os.Symlink(file, link))
	long := filepath.Join(dir, strings.Repeat("x", 120))
	for path, says := range map[string]string{
		file:                              "cannot open the admin socket " + file + ": a file that is no socket is there; name another path",
		link:                              "cannot open the admin socket " + link + ": a file that is no socket is there",
		dir:                               "cannot open the admin socket " + dir + ": a file that is no socket is there",
		filepath.Join(file, "admin.sock"): ": not a directory",
		filepath.Join(dir, "no", "admin"): "admin: no such file or directory; name another one with --admin unix:PATH",
		long:                              ": invalid argument; name another one with --admin unix:PATH",
	} {
		_, err := Unix(path)
		require.ErrorContains(t, err, says)
	}
	text, err := os.ReadFile(file)
	require.NoError(t, err)
	require.Equal(t, "mine", string(text))
	require.FileExists(t, link)
}

// A kernel without one family of addresses is told by its name, with an address that works.
func TestAFamilyThatTheKernelDoesNotHave(t *testing.T) {
	for addr, says := range map[string]string{
		"[::]:8443":    "the kernel has no IPv6: name an address of the other family, like 0.0.0.0:8443",
		"0.0.0.0:8443": "the kernel has no IPv4: name an address of the other family",
	} {
		err := ExplainListen("listener aoai", "--listen", 8443, netip.MustParseAddrPort(addr), os.NewSyscallError("socket", syscall.EAFNOSUPPORT))
		require.ErrorContains(t, err, says)
		require.ErrorIs(t, err, syscall.EAFNOSUPPORT)
	}
}
