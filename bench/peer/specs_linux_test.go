package peer

import (
	"context"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestCustom(t *testing.T) {
	s, err := Custom("proto=/bin/relay -l {listen} -u {upstream} -x=1")
	require.NoError(t, err)
	assert.Equal(t, "proto", s.Name)
	cmd, err := s.command(Instance{Listen: netip.MustParseAddrPort("127.0.0.1:1"), Upstream: netip.MustParseAddrPort("127.0.0.1:2")})
	require.NoError(t, err)
	assert.Equal(t, []string{"/bin/relay", "-l", "127.0.0.1:1", "-u", "127.0.0.1:2", "-x=1"}, cmd.Args)
	for _, bad := range []string{"", "relay {listen} {upstream}", "a=relay {listen}", "=x {listen} {upstream}"} {
		_, err := Custom(bad)
		assert.Error(t, err, bad)
	}
}

func TestVariantsOfL4fwd(t *testing.T) {
	at := Instance{Listen: netip.MustParseAddrPort("127.0.0.1:1"), Upstream: netip.MustParseAddrPort("127.0.0.1:2"), Dir: t.TempDir()}
	cmd, err := L4fwdWarm("l4fwd", "").command(at)
	require.NoError(t, err)
	assert.Contains(t, strings.Join(cmd.Args, " "), "--engine auto --log-level warn --upstream 127.0.0.1:2 --listen 127.0.0.1:1 --warm 32")
	s := L4fwdSNI("l4fwd", "uring", "")
	assert.Equal(t, "l4fwd-uring-sni", s.Name)
	cmd, err = s.command(at)
	require.NoError(t, err)
	file := filepath.Join(at.Dir, "l4fwd.yaml")
	assert.Contains(t, strings.Join(cmd.Args, " "), "--engine uring --log-level warn --config "+file)
	config, err := os.ReadFile(file)
	require.NoError(t, err)
	assert.Contains(t, string(config), `address: "127.0.0.1:1"`)
	assert.Contains(t, string(config), `{name: origin, address: "127.0.0.1:2"}`)
	_, domain, _ := strings.Cut(RoutedName, ".")
	assert.Contains(t, string(config), `["*.`+domain+`"]`)
}

func TestRelaysThatLog(t *testing.T) {
	at := Instance{Listen: netip.MustParseAddrPort("127.0.0.1:1"), Upstream: netip.MustParseAddrPort("127.0.0.1:2"), Dir: t.TempDir()}
	s := L4fwdLog("l4fwd", "uring", "")
	assert.True(t, s.logs)
	cmd, err := s.command(at)
	require.NoError(t, err)
	assert.Contains(t, cmd.Env, "L4FWD_LOG_ACCESS=all")
	if s = HAProxyLog(); s.Missing != "" {
		t.Skip(s.Missing)
	}
	assert.True(t, s.logs)
	_, err = s.command(at)
	require.NoError(t, err)
	config, err := os.ReadFile(filepath.Join(at.Dir, "haproxy.cfg"))
	require.NoError(t, err)
	assert.Contains(t, string(config), "\tlog stdout format raw daemon\n\toption tcplog\nlisten relay\n")
}

func TestEnvironmentIsCleaned(t *testing.T) {
	assert.Equal(t, []string{"A=1", "XL4FWD_B=2"}, withoutOwn([]string{"A=1", "L4FWD_LISTEN=:1", "XL4FWD_B=2"}))
}

func TestStartReportsWhatAFailingRelaySaid(t *testing.T) {
	s, err := Custom("broken=/bin/sh -c echo_{listen}_{upstream}")
	require.NoError(t, err)
	_, err = Start(context.Background(), s, Site{Listen: localhost, Upstream: netip.MustParseAddrPort("127.0.0.1:9"), Cores: 1, Files: 1024})
	require.Error(t, err)
	assert.Contains(t, err.Error(), "start broken: it ended at once, exit status 127: ")
	assert.Contains(t, err.Error(), "not found")
}

// TestTheReasonIsTheLastLine: an engine that the machine refuses says so at the end of what it prints.
func TestTheReasonIsTheLastLine(t *testing.T) {
	for said, want := range map[string]string{"": "", "one": ": one", "a log line\n  refused: no io_uring here \n": ": refused: no io_uring here"} {
		var out tail
		_, _ = out.Write([]byte(said))
		assert.Equal(t, want, out.last())
	}
}

func TestRelaysThatAreReplaced(t *testing.T) {
	at := Instance{Listen: netip.MustParseAddrPort("127.0.0.1:1"), Upstream: netip.MustParseAddrPort("127.0.0.1:2"), Dir: t.TempDir()}
	for file, of := range map[string]func(bool) Spec{"haproxy.cfg": HAProxyReload, "nginx.conf": NginxReload} {
		for _, bounded := range []bool{false, true} {
			s := of(bounded)
			assert.Equal(t, Renew, s.Variant)
			assert.Equal(t, bounded, strings.HasSuffix(s.Name, "-2s"))
			if s.Missing != "" {
				t.Skip(s.Missing)
			}
			_, err := s.command(at)
			require.NoError(t, err)
			config, err := os.ReadFile(filepath.Join(at.Dir, file))
			require.NoError(t, err)
			assert.Equal(t, bounded, strings.Contains(string(config), "hard-stop-after 2s\n") || strings.Contains(string(config), "worker_shutdown_timeout 2s;\n"))
		}
	}
	assert.ErrorContains(t, (&Proxy{Spec: DirectSpec()}).Renew(), "cannot be replaced")
}
