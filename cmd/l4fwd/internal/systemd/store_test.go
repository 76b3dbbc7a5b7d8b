package systemd

import (
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/zap"
)

// keeper is a service manager that keeps descriptors, if it is to.
type keeper struct {
	mu   sync.Mutex
	said []string
	kept map[string]*os.File
}

func startKeeper(t *testing.T) *keeper {
	t.Helper()
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	t.Setenv("NOTIFY_SOCKET", path)
	k := &keeper{kept: map[string]*os.File{}}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for k.receive(c) {
		}
	}()
	t.Cleanup(func() {
		c.Close()
		<-done
		for _, f := range k.kept {
			f.Close()
		}
	})
	return k
}

func (k *keeper) receive(c *net.UnixConn) bool {
	b, oob := make([]byte, 4096), make([]byte, 4096)
	n, on, _, _, err := c.ReadMsgUnix(b, oob)
	if err != nil {
		return false
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	k.said = append(k.said, string(b[:n]))
	_, name, _ := strings.Cut(string(b[:n]), "FDNAME=")
	if all, err := syscall.ParseSocketControlMessage(oob[:on]); err == nil && len(all) > 0 {
		fds, _ := syscall.ParseUnixRights(&all[0])
		for _, fd := range fds {
			if name == "" { // a barrier
				syscall.Close(fd)
				continue
			}
			k.kept[name] = os.NewFile(uintptr(fd), name)
		}
		return true
	}
	if f := k.kept[name]; f != nil {
		f.Close()
		delete(k.kept, name)
	}
	return true
}

func TestADescriptorIsKeptUntilItIsRemoved(t *testing.T) {
	k := startKeeper(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	n := NewNotifier(zap.NewNop())
	require.True(t, n.Managed())
	require.NoError(t, n.Store("sockets.1", w))
	require.NoError(t, w.Close())
	k.mu.Lock()
	require.Equal(t, []string{"FDSTORE=1\nFDPOLL=0\nFDNAME=l4fwd.store.sockets.1", "BARRIER=1"}, k.said, "it has been read by now")
	require.Len(t, k.kept, 1)
	k.mu.Unlock()
	require.NoError(t, n.Unstore("sockets.1"))
	k.mu.Lock()
	require.Equal(t, []string{"FDSTOREREMOVE=1\nFDNAME=l4fwd.store.sockets.1", "BARRIER=1"}, k.said[2:])
	k.mu.Unlock()
	require.NoError(t, r.SetReadDeadline(time.Now().Add(20*time.Second)))
	_, err = r.Read(make([]byte, 1))
	require.ErrorContains(t, err, "EOF", "nobody has it any more")
}

// A manager that hangs must not have the daemon hang.
func TestAManagerThatDoesNotReadIsNotWaitedForLong(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	c, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	require.NoError(t, err)
	defer c.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	require.ErrorIs(t, NewNotifier(zap.NewNop()).Unstore("x"), errNoReader)
}

func TestWithoutAManagerNothingIsKept(t *testing.T) {
	t.Setenv("NOTIFY_SOCKET", "")
	n := NewNotifier(zap.NewNop())
	require.False(t, n.Managed())
	require.ErrorIs(t, n.Store("x", os.Stdin), errNoManager)
	require.ErrorIs(t, n.Unstore("x"), errNoManager)
}

// What the store passes comes after the sockets of socket units, and is told from them by its name.
func TestStoredDescriptorsAreNoSockets(t *testing.T) {
	l, err := net.Listen("tcp4", "127.0.0.1:0")
	require.NoError(t, err)
	defer l.Close()
	f, err := l.(*net.TCPListener).File()
	require.NoError(t, err)
	defer f.Close()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	defer r.Close()
	_, err = w.WriteString("kept")
	require.NoError(t, err)
	require.NoError(t, w.Close())
	require.Equal(t, "one "+l.Addr().String()+"\nstored restart.7.1 kept <nil>\n", child(t, "one:l4fwd.store.restart.7.1", f, r))
}
