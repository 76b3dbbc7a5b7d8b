package doctor_test

import (
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/standin"
	"github.com/l4fwd/l4fwd/bench/testport"
)

// withDaemon runs the daemon in front of a stand-in, or of nothing, and asks the doctor with the daemon's own flags.
func withDaemon(t *testing.T, o standin.Options, alive bool, args ...string) setup {
	t.Helper()
	_, s := origin(t, o)
	if !alive {
		trust := s.env
		s = targeting(t, name, closed(t))
		s.env = trust
	}
	s.args[0] = "--upstream"
	return running(t, s.with(args...), alive)
}

// running runs the daemon with the flags of a setup until it is ready, or until it knows that it is not.
func running(t *testing.T, s setup, alive bool) setup {
	t.Helper()
	admin := testport.Free(t)
	s = s.with("--listen", testport.Free(t), "--admin", admin, "--health", "off")
	cmd := exec.Command(binary, append([]string{"serve"}, s.args...)...)
	cmd.Env = s.env
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	require.Eventually(t, func() bool {
		status, err := setup{args: []string{"--admin", admin}}.run("status")
		return err == nil && (status.code == 0) == alive && status.stdout != "" && !strings.Contains(status.stdout, "unchecked")
	}, mostTime, 20*time.Millisecond)
	return s
}

// withOldAuthorities runs a daemon that began before the authority of its upstream was installed on this machine.
func withOldAuthorities(t *testing.T) setup {
	t.Helper()
	far, s := origin(t, standin.Options{})
	authorities := strings.TrimPrefix(s.env[len(s.env)-1], "SSL_CERT_FILE=")
	require.NoError(t, os.WriteFile(authorities, nil, 0o644))
	file := filepath.Join(t.TempDir(), "l4fwd.yaml")
	require.NoError(t, os.WriteFile(file, []byte("upstreams: [{name: up, address: \""+s.args[1]+"\", check: {type: tls}}]\n"), 0o644))
	s.args = s.args[2:]
	s = running(t, s.with("--config", file), false)
	require.NoError(t, os.WriteFile(authorities, far.CAPEM(), 0o644))
	s.replace = append(s.replace, "{file}", file)
	return s
}

// delaying forwards connections to an address after a time.
func delaying(t *testing.T, to string, by time.Duration) (address string) {
	t.Helper()
	return serveEach(t, func(c net.Conn) {
		time.Sleep(by)
		far, err := net.Dial("tcp", to)
		if err != nil {
			return
		}
		defer far.Close()
		go func() {
			_, _ = io.Copy(far, c)
			_ = far.(*net.TCPConn).CloseWrite()
		}()
		_, _ = io.Copy(c, far)
	})
}
