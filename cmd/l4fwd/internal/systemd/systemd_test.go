package systemd

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.uber.org/zap"
	"go.uber.org/zap/zaptest/observer"
)

// asChild has the test binary print its sockets, as the process that a service manager starts.
const asChild = "TEST_PRINT_SOCKETS"

func TestMain(m *testing.M) {
	if os.Getenv(asChild) != "" {
		printSockets()
		return
	}
	goleak.VerifyTestMain(m)
}

func printSockets() {
	p, err := Inherit()
	if err != nil {
		os.Stdout.WriteString(err.Error())
		return
	}
	defer p.Close()
	for _, s := range p.Sockets {
		os.Stdout.WriteString(s.Name + " " + s.Addr.String() + "\n")
	}
	for _, s := range p.Stored {
		text, err := io.ReadAll(s.File)
		os.Stdout.WriteString(fmt.Sprintln("stored", s.Name, string(text), err))
	}
}

// manager is the notification socket of a service manager.
func manager(t *testing.T) (receive func() string) {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	t.Setenv("NOTIFY_SOCKET", path)
	return func() string {
		b := make([]byte, 4096)
		require.NoError(t, c.SetReadDeadline(time.Now().Add(20*time.Second)))
		n, err := c.Read(b)
		require.NoError(t, err)
		return string(b[:n])
	}
}

func TestEveryMessage(t *testing.T) {
	receive := manager(t)
	n := NewNotifier(zap.NewNop())
	n.Ready()
	require.Equal(t, "READY=1", receive())
	n.Status("not ready: upstream: none")
	require.Equal(t, "STATUS=not ready: upstream: none", receive())
	n.Reloading()
	require.Regexp(t, `^RELOADING=1\nMONOTONIC_USEC=[1-9]\d+\n$`, receive())
	n.Stopping(2 * time.Second)
	require.Equal(t, "STOPPING=1\nSTATUS=draining\nEXTEND_TIMEOUT_USEC=2000000", receive())
}

func TestWithoutAServiceManagerNothingIsSent(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	core, lines := observer.New(zap.DebugLevel)
	n := NewNotifier(zap.New(core))
	n.Ready()
	n.Watchdog(t.Context(), nil) // returns at once
	require.Zero(t, lines.Len())
}

func TestAFailedNotificationIsLoggedOnce(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", t.TempDir()+"/gone")
	core, lines := observer.New(zap.DebugLevel)
	n := NewNotifier(zap.New(core))
	n.Ready()
	n.Status("ready")
	require.Equal(t, 1, lines.Len())
	require.Contains(t, lines.All()[0].ContextMap()["NOTIFY_SOCKET"], "/gone")
}

// A daemon whose loops stand still must be restarted: no sign of life is sent for it.
func TestTheWatchdogHearsOnlyOfTheLiving(t *testing.T) {
	receive := manager(t)
	t.Setenv("WATCHDOG_USEC", "100000")
	n := NewNotifier(zap.NewNop())
	ctx, cancel := context.WithCancel(t.Context())
	var dead atomic.Bool
	asked := make(chan bool, 100)
	done := make(chan struct{})
	go func() {
		defer close(done)
		n.Watchdog(ctx, func(limited context.Context) error {
			_, bounded := limited.Deadline()
			asked <- bounded
			if dead.Load() {
				return errors.New("a loop stands still")
			}
			return nil
		})
	}()
	require.Equal(t, "WATCHDOG=1", receive())
	require.Equal(t, "WATCHDOG=1", receive())
	dead.Store(true)
	for range 4 {
		require.True(t, <-asked, "the question has a time limit")
	}
	cancel()
	<-done
	n.Status("last")
	for m := receive(); m != "STATUS=last"; m = receive() {
		require.Equal(t, "WATCHDOG=1", m, "one may have been on its way")
	}
}

// child runs this binary with files as the service manager's sockets, and returns what it prints.
func child(t *testing.T, names string, files ...*os.File) string {
	t.Helper()
	self, err := os.Executable()
	require.NoError(t, err)
	cmd := exec.Command("sh", "-c", `LISTEN_PID=$$ exec "$0"`, self) // only a shell knows the pid before exec
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), asChild + "=1", "LISTEN_FDS=" + string(rune('0'+len(files))), "LISTEN_FDNAMES=" + names}
	cmd.ExtraFiles = files
	out, err := cmd.Output()
	require.NoError(t, err)
	return string(out)
}

func TestSocketsOfTheServiceManager(t *testing.T) {
	var files []*os.File
	var want string
	for i, network := range []string{"tcp4", "tcp6"} {
		l, err := net.Listen(network, "localhost:0")
		if err != nil {
			t.Skip("needs IPv4 and IPv6 on loopback: ", err)
		}
		defer l.Close()
		f, err := l.(*net.TCPListener).File()
		require.NoError(t, err)
		defer f.Close()
		files = append(files, f)
		want += []string{"one ", "two "}[i] + l.Addr().String() + "\n"
	}
	require.Equal(t, want, child(t, "one:two", files...))
	require.Empty(t, child(t, ""), "there are none")
}

func TestASocketThatDoesNotListenIsRefused(t *testing.T) {
	pc, err := net.ListenPacket("udp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer pc.Close()
	udp, err := pc.(*net.UDPConn).File()
	require.NoError(t, err)
	defer udp.Close()
	require.Equal(t, `socket "dns" (descriptor 3) from the service manager: does not listen; it needs ListenStream=`, child(t, "dns", udp))

	l, err := net.Listen("unix", filepath.Join(t.TempDir(), "s"))
	require.NoError(t, err)
	defer l.Close()
	unix, err := l.(*net.UnixListener).File()
	require.NoError(t, err)
	defer unix.Close()
	require.Contains(t, child(t, "unix", unix), "is not a TCP socket")

	packets, err := net.ListenUnix("unixpacket", &net.UnixAddr{Name: filepath.Join(t.TempDir(), "p"), Net: "unixpacket"})
	require.NoError(t, err)
	defer packets.Close()
	sequential, err := packets.File()
	require.NoError(t, err)
	defer sequential.Close()
	require.Contains(t, child(t, "packets", sequential), "does not listen; it needs ListenStream=")

	f, err := os.Open(os.DevNull)
	require.NoError(t, err)
	defer f.Close()
	require.Contains(t, child(t, "file", f), "socket operation on non-socket")
}

func TestSocketsGoToTheListenersOfTheirNames(t *testing.T) {
	socket := func(name string) Socket { return Socket{Name: name, Addr: netip.MustParseAddrPort("127.0.0.1:1")} }
	cases := map[string]struct {
		sockets, want string // of three listeners a, b, c; - where a listener gets none
	}{
		"none":        {"", "- - -"},
		"by name":     {"c a", "a - c"},
		"in order":    {"x y", "x y -"},
		"mixed":       {"x b", "x b -"},
		"twice":       {"b b", "b b -"},
		"one of each": {"c y a", "a y c"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			var sockets []Socket
			for words := bufio.NewScanner(strings.NewReader(strings.ReplaceAll(c.sockets, " ", "\n"))); words.Scan(); {
				sockets = append(sockets, socket(words.Text()))
			}
			got, err := Assign(3, sockets, func(i int) string { return string(rune('a' + i)) })
			require.NoError(t, err)
			var names []string
			for _, s := range got {
				if s == nil {
					names = append(names, "-")
				} else {
					names = append(names, s.Name)
				}
			}
			require.Equal(t, c.want, strings.Join(names, " "))
		})
	}
	_, err := Assign(1, []Socket{socket("a"), socket("b")}, func(int) string { return "a" })
	require.EqualError(t, err, "the service manager passed 2 sockets, but the configuration has 1 listeners; name as many under listeners, or remove a ListenStream=")
}
