package doctor_test

import (
	"io"
	"net"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/standin"
	"github.com/l4fwd/l4fwd/internal/testport"
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
	admin := testport.Free(t)
	s = s.with("--listen", testport.Free(t), "--admin", admin, "--health", "off").with(args...)
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
