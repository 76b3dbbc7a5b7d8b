package relay

import (
	"fmt"
	"math"
	"net/netip"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// plainHandler is a policy that remembers nothing.
type plainHandler struct {
	to    *Endpoint
	ended chan Reason
}

func (p *plainHandler) Accepted(*Flow) Reason               { return None }
func (p *plainHandler) Preface(*Flow, []byte) Verdict       { return Verdict{} }
func (p *plainHandler) Dial(*Flow) (*Endpoint, Reason)      { return p.to, None }
func (p *plainHandler) Dialed(*Flow, Reason, time.Duration) {}
func (p *plainHandler) Closed(s *Summary)                   { p.ended <- s.Reason }

// Once the slots and pools are filled, a connection costs no allocation from accept to close. The peers are plain system calls, which allocate
// nothing either: Go's own connections do.
func TestConnectionAllocatesNothing(t *testing.T) {
	for _, engine := range []string{"epoll", "uring"} {
		t.Run(engine, func(t *testing.T) {
			origin, at := rawListener(t)
			h := &plainHandler{to: &Endpoint{Addr: at, Tally: NewTally(testLoops)}, ended: make(chan Reason, 1)}
			r, err := Start(Options{Engine: engine, Loops: testLoops, Listeners: []Listener{{Name: "test", Addr: netip.AddrPortFrom(loopback4, 0)}}, Handler: h})
			require.NoError(t, err)
			defer r.Close(Operator)
			to := &unix.SockaddrInet4{Port: int(r.Addrs()[0].Port()), Addr: loopback4.As4()}
			v := visitor{to: to, origin: origin, ended: h.ended}
			for range 300 { // fills the slots and pools
				require.NoError(t, v.visit())
			}
			// The runtime itself allocates now and then, more on a busy machine; the relay's own allocations would be in each window.
			// One in twenty connections would still be the relay's.
			const windows, rounds = 3, 300
			least := uint64(math.MaxUint64)
			for range windows {
				least = min(least, mallocs(func() {
					for range rounds {
						err = v.visit()
						if err != nil {
							return
						}
					}
				}))
				require.NoError(t, err)
			}
			t.Logf("%d allocations in %d connections", least, rounds)
			assert.Less(t, least, uint64(rounds/20))
		})
	}
}

// rawListener listens on loopback by system calls. Its calls give up after a while.
func rawListener(t *testing.T) (fd int, at netip.AddrPort) {
	t.Helper()
	fd, err := rawSocket()
	require.NoError(t, err)
	t.Cleanup(func() { unix.Close(fd) })
	require.NoError(t, unix.Bind(fd, &unix.SockaddrInet4{Addr: loopback4.As4()}))
	require.NoError(t, unix.Listen(fd, 16))
	name, err := unix.Getsockname(fd)
	require.NoError(t, err)
	return fd, netip.AddrPortFrom(loopback4, uint16(name.(*unix.SockaddrInet4).Port))
}

// rawSocket returns a socket whose calls wait, and give up in the end.
func rawSocket() (int, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, err
	}
	return fd, unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &rawPatience)
}

var rawPatience = unix.NsecToTimeval(patience.Nanoseconds())

// visitor is a client and the origin's end of its connection, by system calls.
type visitor struct {
	to     *unix.SockaddrInet4
	origin int
	ended  chan Reason
	buf    [64]byte
}

// visit makes a connection, passes a message each way and closes it, the client first.
func (v *visitor) visit() error {
	c, err := rawSocket()
	if err != nil {
		return err
	}
	defer unix.Close(c)
	if err := unix.Connect(c, v.to); err != nil {
		return err
	}
	if _, err := unix.Write(c, v.buf[:]); err != nil {
		return err
	}
	o, err := v.accept()
	if err != nil {
		return err
	}
	defer unix.Close(o)
	for _, step := range []func() error{
		func() error { return v.read(o, len(v.buf)) },
		func() error { _, err := unix.Write(o, v.buf[:]); return err },
		func() error { return v.read(c, len(v.buf)) },
		func() error { return unix.Shutdown(c, unix.SHUT_WR) },
		func() error { return v.read(o, 0) },
		func() error { return unix.Shutdown(o, unix.SHUT_WR) },
		func() error { return v.read(c, 0) },
	} {
		if err := step(); err != nil {
			return err
		}
	}
	if r := <-v.ended; r != ClientClosed {
		return fmt.Errorf("it ended with %s", r)
	}
	return nil
}

// accept takes the next connection at the origin. unix.Accept would make an address of what it gets.
func (v *visitor) accept() (int, error) {
	for {
		fd, _, e := unix.Syscall6(unix.SYS_ACCEPT4, uintptr(v.origin), 0, 0, unix.SOCK_CLOEXEC, 0, 0)
		switch e {
		case 0:
			return int(fd), nil
		case unix.EINTR: // of a signal of the runtime: a call with a time limit is not begun anew, signal(7)
		default:
			return -1, e
		}
	}
}

// read reads a message of so many bytes; 0: the end.
func (v *visitor) read(fd, want int) error {
	n, err := unix.Read(fd, v.buf[:])
	for err == unix.EINTR {
		n, err = unix.Read(fd, v.buf[:])
	}
	if err == nil && n != want {
		err = fmt.Errorf("read %d bytes where %d were due", n, want)
	}
	return err
}
