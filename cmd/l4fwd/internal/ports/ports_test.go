package ports

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/proxy"
	"github.com/l4fwd/l4fwd/proxy/relay"
)

// The hint named a port that was taken, too: the next start failed with the same words.
func TestTheSuggestedPortIsFree(t *testing.T) {
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer taken.Close()
	addr := netip.MustParseAddrPort(taken.Addr().String())
	at := unusedPort(addr, addr.Port())
	require.NotEqual(t, addr.String(), at)
	require.Equal(t, addr.Addr(), netip.MustParseAddrPort(at).Addr(), "it is a port of the same address")
	require.Regexp(t, `^:\d+$`, unusedPort(netip.MustParseAddrPort("[::]:443"), 8443))
	foreign := netip.MustParseAddrPort("192.0.2.1:443")
	require.Equal(t, "192.0.2.1:8443", unusedPort(foreign, 8443), "no port of an address that the machine does not have is free")
	err = ExplainListen("the health port", "--health", addr.Port(), addr, syscall.EADDRINUSE)
	require.ErrorContains(t, err, "use another port, like --health 127.0.0.1:")
	require.NotContains(t, err.Error(), "like --health "+addr.String())
}

func TestStartErrorsSayWhatToDo(t *testing.T) {
	addr := netip.MustParseAddrPort("[::]:443")
	cases := map[syscall.Errno]string{
		syscall.EACCES:        `listener "aoai" cannot listen on [::]:443: permission denied; ports below 1024 need a privilege: use another port, like --listen :`,
		syscall.EADDRINUSE:    "address already in use; another process has this port: `ss -ltnp 'sport = :443'` names it",
		syscall.EADDRNOTAVAIL: "this machine has no such address",
		syscall.EAFNOSUPPORT:  "the kernel has no IPv6",
		syscall.EMFILE:        "LimitNOFILE=",
	}
	for errno, want := range cases {
		err := ExplainStart(&proxy.ListenError{Listener: "aoai", Addr: addr, Err: os.NewSyscallError("bind", errno)}, nil)
		require.ErrorContains(t, err, want)
		require.ErrorIs(t, err, errno)
	}
	require.EqualError(t, ExplainStart(errors.New("no handler"), nil), "cannot start: no handler")
	require.EqualError(t, ExplainStart(fmt.Errorf("start: %w", &relay.EngineError{Engine: "uring", Err: errors.New("it is forbidden")}), nil),
		"engine uring cannot be used: it is forbidden; use --engine auto, which takes the next best")
	require.ErrorContains(t, ExplainStart(os.NewSyscallError("epoll_create1", syscall.EMFILE), nil), "too many open files; raise the limit of open files with LimitNOFILE=")
}

// A port of the daemon's own is in nobody else's way, and `ss` would name the daemon.
func TestAPortOfTheDaemonsOwnIsExplained(t *testing.T) {
	own := []netip.AddrPort{netip.MustParseAddrPort("127.0.0.1:9901"), netip.MustParseAddrPort("10.0.0.1:443")}
	taken := &proxy.ListenError{Listener: "in", Addr: netip.MustParseAddrPort("[::]:443"), Err: os.NewSyscallError("bind", syscall.EADDRINUSE)}
	require.EqualError(t, ExplainStart(taken, own), `listener "in" cannot listen on [::]:443: this daemon listens on 10.0.0.1:443; `+
		"to change one for the other takes a stop and a start, or another port")
	require.ErrorContains(t, ExplainStart(taken, own[:1]), "another process has this port")
	require.NoError(t, ExplainOwn("the port", taken.Addr, syscall.EACCES, own))
}
