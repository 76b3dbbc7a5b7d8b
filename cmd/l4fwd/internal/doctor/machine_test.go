package doctor

import (
	"context"
	"errors"
	"net"
	"net/netip"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/l4fwd/l4fwd/bench/testport"
)

// askStep makes a step as the doctor does.
func askStep(do func(*Step)) Step {
	s := Step{State: OK}
	do(&s)
	return s
}

func TestAPortOfTheConfiguration(t *testing.T) {
	t.Parallel()
	taken, err := net.Listen("tcp", testport.Free(t)) // which no connection of another test takes once it is closed
	require.NoError(t, err)
	defer taken.Close()
	addr := netip.MustParseAddrPort(taken.Addr().String())
	m := &Machine{ExplainListen: func(l ListenerAt, err error) error {
		require.ErrorIs(t, err, syscall.EADDRINUSE)
		return errors.New("port of " + l.Name + " is taken; choose another; really")
	}}
	listener := func(assumed bool, listens ...netip.AddrPort) Step {
		return askStep(func(s *Step) {
			m.listener(ListenerAt{Name: "in", Addr: addr, Assumed: assumed}, DaemonState{Listens: listens}, s)
		})
	}
	says(t, listener(false, netip.AddrPortFrom(netip.IPv6Unspecified(), addr.Port())), OK, "the running daemon listens here")
	s := listener(false, netip.AddrPortFrom(addr.Addr(), addr.Port()-1))
	says(t, s, Failed, "the listener; port of in is taken")
	require.Equal(t, "choose another; really", s.Meaning)
	require.Contains(t, s.Commands[0], "ss -ltnp 'sport = :")
	says(t, listener(true), Warning, "choose another; really; no listener is configured, and this is the default one")
	require.NoError(t, taken.Close())
	says(t, listener(false), OK, "free, and this user may listen here")

	require.Contains(t, listenCommand(addr, syscall.EACCES), "setcap cap_net_bind_service")
	require.Equal(t, "ip address", listenCommand(addr, syscall.EADDRNOTAVAIL))
}

func TestTheLimitsOfTheMachine(t *testing.T) {
	t.Parallel()
	files := func(pid, files, connections, wanted int) Step {
		m := &Machine{Wanted: wanted, Files: func(of int) (int, int) { require.Equal(t, pid, of); return files, connections }}
		return askStep(func(s *Step) { m.files(pid, s) })
	}
	says(t, files(0, 9000, 4096, 0), OK, "this shell may open 9000 files: 4096 connections")
	says(t, files(7, 9000, 4096, 4096), OK, "the daemon may open")
	says(t, files(7, 9000, 4096, 4097), Warning, "limits.max_connections is 4097 and will be lowered")
	says(t, files(7, 9000, 4095, 0), Warning, "clients beyond that number are refused")
	says(t, files(7, 0, 0, 0), Skipped, "the limit is unknown here")

	memory := func(bytes int64) Step {
		return askStep(func(s *Step) { (&Machine{Buffered: bytes}).memory(s) })
	}
	says(t, memory(64<<20), OK, "64 MiB may be held for peers that do not read")
	says(t, memory(64<<20-1), Warning, "63 MiB")
	says(t, memory(0), Warning, "0 MiB")
	says(t, memory(-1), Skipped, "neither the kernel nor a cgroup says")

	engine := func(err error) Step {
		m := &Machine{Engine: func() (string, string, error) { return "uring", "auto", err }}
		return askStep(m.engine)
	}
	require.Regexp(t, `^uring on kernel \S+ \(auto\)$`, engine(nil).Evidence)
	says(t, engine(errors.New("uring: not permitted")), Failed, "uring: not permitted")
}

func TestTheDaemonOfThisMachine(t *testing.T) {
	t.Parallel()
	daemon := func(state DaemonState, err error) Step {
		x := &examination{Options: Options{Daemon: func(context.Context) (DaemonState, error) { return state, err }}}
		daemon, machine := x.testMachine(t.Context())
		require.Empty(t, machine)
		return daemon[0]
	}
	says(t, daemon(DaemonState{PID: 7, Version: "1.2.3", Ready: true}, nil), OK, "l4fwd 1.2.3 runs here as process 7, and is ready")
	s := daemon(DaemonState{NotReady: []string{"eip: none", "upstream: a"}}, nil)
	says(t, s, Failed, "the daemon; it is not ready (eip: none; upstream: a)")
	s.findBy("")
	require.Equal(t, []string{"l4fwd status"}, s.Commands)
	s.findBy("l4fwd status --admin :1")
	require.Equal(t, []string{"l4fwd status --admin :1"}, s.Commands)
	says(t, daemon(DaemonState{}, ErrNoDaemon), Skipped, "no daemon answers")
	says(t, daemon(DaemonState{}, errors.New("x")), Skipped, "it cannot be asked: x")
}

// A setting is as good as the recommended one if its maximum is, and a range of ports if it is as long.
func TestWhichSettingsAreAsGood(t *testing.T) {
	t.Parallel()
	by := map[string]Sysctl{}
	for _, c := range Recommended {
		by[c.Name] = c
	}
	for name, values := range map[string]map[string]bool{
		"net.core.somaxconn":           {"65534": false, "65535": true, "100000": true, "": false, "x": false},
		"net.ipv4.tcp_rmem":            {"4096 131072 16777215": false, "1 2 16777216": true, "16777216": false},
		"net.ipv4.ip_local_port_range": {"10240 65535": true, "1024 56319": true, "1024 56318": false, "32768 60999": false},
		"net.ipv4.tcp_migrate_req":     {"0": false, "2": false, "1": true},
		"fs.pipe-user-pages-soft":      {"0": true, "262143": false, "262144": true},
		"net.ipv4.tcp_max_syn_backlog": {"0": false},
	} {
		for value, want := range values {
			require.Equal(t, want, by[name].meets(value), "%s=%s", name, value)
		}
	}
}

// What others wrote can neither act on a terminal, nor fill it, nor be a command.
func TestForeignTextsAreMadeSafe(t *testing.T) {
	t.Parallel()
	require.Equal(t, "a b c…", printable("a\tb\ncd", 5))
	require.Equal(t, "abc", printable("abc", 3))
	require.Equal(t, "éä…", printable("éäü", 2))
	require.Equal(t, `\x1b[2J`, printable("\x1b[2J", 9))
	s := Step{Evidence: strings.Repeat("x", 700), Meaning: "one\n" + strings.Repeat("y", 700), Commands: []string{strings.Repeat("z", 700), strings.Repeat("z", 2500)}}
	s.clean()
	require.Equal(t, strings.Repeat("x", 600)+"…", s.Evidence)
	require.Equal(t, "one\n"+strings.Repeat("y", 600)+"…", s.Meaning)
	require.Equal(t, []string{strings.Repeat("z", 700), strings.Repeat("z", 2400) + "…"}, s.Commands, "half a command mends nothing")
	for text, want := range map[string]string{"eni-1": "eni-1", "a b": "'a b'", "": "''", "it's": `'it'\''s'`, "$(reboot)": "'$(reboot)'", "arn:aws:x/y,z=1@2": "arn:aws:x/y,z=1@2"} {
		require.Equal(t, want, Word(text))
	}
}
