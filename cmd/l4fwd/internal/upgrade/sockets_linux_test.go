package upgrade

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// listenerAndClient returns a descriptor of a socket that listens, where it does, and one of a socket that does not.
func listenerAndClient(t *testing.T) (listens int, at netip.AddrPort, connected int) {
	t.Helper()
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	t.Cleanup(func() { l.Close() })
	c, err := net.Dial("tcp4", l.Addr().String())
	require.NoError(t, err)
	t.Cleanup(func() { c.Close() })
	fd := func(from interface{ File() (*os.File, error) }) int {
		f, err := from.File()
		require.NoError(t, err)
		t.Cleanup(func() { f.Close() })
		return int(f.Fd())
	}
	return fd(l.(*net.TCPListener)), l.Addr().(*net.TCPAddr).AddrPort(), fd(c.(*net.TCPConn))
}

// A socket in the store that does not listen is left out and told of; what is good is taken over. A daemon used to accept from a socket
// that accepts nothing, and failed.
func TestASocketInTheStoreThatDoesNotListenIsLeftOut(t *testing.T) {
	listens, at, connected := listenerAndClient(t)
	p, err := handoff.NewPacker()
	require.NoError(t, err)
	defer p.Close()
	require.NoError(t, p.Offer(&handoff.State{Sockets: []handoff.Socket{
		PortSocket(handoff.UseHealth, "tcp", at.String(), connected),
		{Use: handoff.UseRelay, Name: "in", Addr: at, FD: connected},
		{Use: handoff.UseRelay, Name: "in", Addr: at, FD: listens},
	}}))
	sealed, err := p.Seal()
	require.NoError(t, err)
	s := Unpack([]Kept{{Name: keptSockets + "1", File: sealed.File}}, zap.NewNop())
	defer sealed.Close()
	require.NotNil(t, s)
	defer s.Close()
	l, err := s.Listener(handoff.UseHealth, "tcp", at.String())
	require.NoError(t, err)
	require.Nil(t, l, "the port opens its own")
	require.Equal(t, []netip.AddrPort{at}, s.Addresses())
	relay, _ := s.Sockets()
	require.Len(t, relay, 1)
	require.ErrorContains(t, s.Lost(), `the socket of health "tcp:`+at.String()+`": it does not listen`)
	require.ErrorContains(t, s.Lost(), `the socket of relay "in": it does not listen`)
}

// In an upgrade such a socket ends it: the running process has all and goes on.
func TestAnUpgradeWithASocketThatDoesNotListenIsRefused(t *testing.T) {
	_, at, connected := listenerAndClient(t)
	g, f, err := handoff.Pair()
	require.NoError(t, err)
	defer g.Close()
	taker, err := handoff.NewTaker(f)
	require.NoError(t, err)
	s := &Successor{source: taker}
	done := make(chan error)
	go func() {
		err := s.Greet("test", nil)
		s.Refuse(err)
		done <- err
	}()
	_, err = g.Meet()
	require.NoError(t, err)
	fd, err := syscall.Dup(connected)
	require.NoError(t, err)
	defer syscall.Close(fd)
	err = g.Offer(&handoff.State{Sockets: []handoff.Socket{{Use: handoff.UseRelay, Name: "in", Addr: at, FD: fd}}})
	require.EqualError(t, err, `the new process refuses: take over from the running process: the socket of relay "in": it does not listen`)
	require.Error(t, <-done)
	s.Close()
}

// A Unix socket that the configuration does not have any more is removed once the upgrade cannot fail any more, and no other one is.
func TestAUnixSocketWithoutAPlaceIsRemoved(t *testing.T) {
	var sockets []handoff.Socket
	paths := map[string]string{}
	for _, name := range []string{"kept", "gone"} {
		paths[name] = filepath.Join(t.TempDir(), name)
		l, err := net.Listen("unix", paths[name])
		require.NoError(t, err)
		l.(*net.UnixListener).SetUnlinkOnClose(false)
		f, err := l.(*net.UnixListener).File()
		require.NoError(t, err)
		fd, err := syscall.Dup(int(f.Fd()))
		require.NoError(t, err)
		f.Close()
		l.Close()
		sockets = append(sockets, PortSocket(handoff.UseAdmin, "unix", paths[name], fd))
	}
	s := &Successor{state: &handoff.State{Sockets: sockets}, given: make([]bool, len(sockets))}
	l, err := s.Listener(handoff.UseAdmin, "unix", paths["kept"])
	require.NoError(t, err)
	l.(*net.UnixListener).SetUnlinkOnClose(false)
	defer l.Close()
	s.closeRest()
	require.FileExists(t, paths["gone"], "the old process may go on yet")
	s.RemoveUnused()
	require.NoFileExists(t, paths["gone"])
	require.FileExists(t, paths["kept"])
}
