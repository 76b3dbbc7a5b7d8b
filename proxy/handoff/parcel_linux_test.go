package handoff

import (
	"encoding/json"
	"fmt"
	"os"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"
	"golang.org/x/sys/unix"
)

// packed makes a parcel of listening sockets and n connections, each a pipe with its number in it. Nobody else has the pipes on
// return.
func packed(t testing.TB, n int, final bool) *Sealed {
	t.Helper()
	p, err := NewPacker()
	require.NoError(t, err)
	defer p.Close()
	r, _ := pipe(t, "listening")
	s := &State{Build: "old", Parts: map[string]json.RawMessage{"dns": json.RawMessage(`{"a":1}`)}}
	for range MaxDescriptors + 3 {
		s.Sockets = append(s.Sockets, Socket{Use: UseRelay, Name: "aoai", FD: r})
	}
	require.NoError(t, p.Offer(s))
	for i := range n {
		c := sample(uint64(i))
		var ends [2]int
		require.NoError(t, syscall.Pipe(ends[:]))
		defer closeAll(ends[:])
		_, err := syscall.Write(ends[1], fmt.Append(nil, i))
		require.NoError(t, err)
		c.Upload.PipeR, c.Upload.PipeW = ends[0], ends[1]
		require.NoError(t, p.Connection(c))
	}
	if final {
		require.NoError(t, p.Finish(&Final{NextID: 7, Conns: n}))
	}
	sealed, err := p.Seal()
	require.NoError(t, err)
	return sealed
}

// kept has somebody else keep the parcel, as a service manager does.
func kept(t testing.TB, s *Sealed) *os.File {
	t.Helper()
	fd, err := unix.FcntlInt(s.File.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	require.True(t, s.Kept())
	return os.NewFile(uintptr(fd), "kept")
}

// unpacked takes everything out of a parcel, and closes the sockets.
func unpacked(t testing.TB, p *Parcel) (conns []Conn, state *State, final *Final) {
	t.Helper()
	defer p.Close()
	state, err := p.Greet("test")
	require.NoError(t, err)
	for _, s := range state.Sockets {
		closeAll([]int{s.FD})
	}
	final, err = p.Ready(func(some []Conn) error { conns = append(conns, some...); return nil })
	require.NoError(t, err)
	require.NoError(t, p.Adopted())
	return conns, state, final
}

// Connections outlive the process that had them, with what is in their pipes, also if they need more than one bag.
func TestAParcelKeepsConnectionsThatNobodyElseHas(t *testing.T) {
	bagSize = 4096
	defer func() { bagSize = 0 }()
	before := openFiles(t)
	const n = 2000
	p, err := OpenParcel(kept(t, packed(t, n, true)))
	require.NoError(t, err)
	require.Greater(t, len(p.bags), 1)
	conns, state, final := unpacked(t, p)
	require.Len(t, state.Sockets, MaxDescriptors+3)
	require.JSONEq(t, `{"a":1}`, string(state.Parts["dns"]))
	require.EqualValues(t, 7, final.NextID)
	require.Len(t, conns, n)
	b := make([]byte, 10)
	for i := range conns {
		c := &conns[i]
		require.EqualValues(t, i, c.ID)
		got, err := syscall.Read(c.Upload.PipeR, b)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), string(b[:got]))
		c.CloseFDs()
	}
	require.LessOrEqual(t, openFiles(t), before+2, "all else is closed; the last pipe of the state is open until the test ends")
}

// A process that dies leaves its listening sockets alone.
func TestAParcelOfListeningSocketsAlone(t *testing.T) {
	p, err := OpenParcel(kept(t, packed(t, 0, false)))
	require.NoError(t, err)
	conns, state, final := unpacked(t, p)
	require.Empty(t, conns)
	require.Len(t, state.Sockets, MaxDescriptors+3)
	require.Equal(t, &Final{}, final)
}

// A service manager that keeps no descriptors drops the parcel. The process that made it finds out, and is the only one with its
// connections.
func TestAParcelThatNobodyKeepsIsNoticed(t *testing.T) {
	before := openFiles(t)
	s := packed(t, 1000, true)
	fd, err := unix.FcntlInt(s.File.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	closeAll([]int{fd})
	require.False(t, s.Kept())
	require.LessOrEqual(t, openFiles(t), before+2)
}

// A parcel is read once: whoever comes after a process that failed halfway starts without it.
func TestAParcelIsReadOnce(t *testing.T) {
	s := packed(t, 10, true)
	f := kept(t, s)
	fd, err := unix.FcntlInt(f.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	require.NoError(t, err)
	p, err := OpenParcel(f)
	require.NoError(t, err)
	conns, _, _ := unpacked(t, p)
	for i := range conns {
		conns[i].CloseFDs()
	}
	_, err = OpenParcel(os.NewFile(uintptr(fd), "again"))
	require.ErrorContains(t, err, "it is empty")
}

// What is no parcel is refused, whatever it is, and nothing stays open.
func TestWhatIsNoParcelIsRefused(t *testing.T) {
	before := openFiles(t)
	refused := func(why string, fds ...int) {
		t.Helper()
		b, err := newBag()
		require.NoError(t, err)
		if len(fds) > 0 {
			_, err = b.put(fds)
			require.NoError(t, err)
		}
		closeAll([]int{b.in})
		_, err = OpenParcel(os.NewFile(uintptr(b.out), "other"))
		require.ErrorContains(t, err, why)
	}
	refused("it is empty")
	r, _ := pipe(t, "no file")
	refused("it does not begin with a file in memory", r)
	f, err := newMemory("open")
	require.NoError(t, err)
	defer f.Close()
	refused("what it says can still be changed", int(f.Fd()))
	require.NoError(t, f.Truncate(3))
	require.NoError(t, sealMemory(f))
	b, err := newBag()
	require.NoError(t, err)
	_, err = b.put([]int{int(f.Fd())})
	require.NoError(t, err)
	closeAll([]int{b.in})
	p, err := OpenParcel(os.NewFile(uintptr(b.out), "short"))
	require.NoError(t, err)
	_, err = p.Greet("test")
	require.Error(t, err)
	require.NoError(t, p.Close())
	require.LessOrEqual(t, openFiles(t), before+3)
}

// FuzzParcel reads foreign bytes as a parcel. It must end with an error or a state, and close what came.
func FuzzParcel(f *testing.F) {
	head := header(KindState, []byte(`{"version":1}`), nil)
	f.Add(append(head[:], `{"version":1}`...))
	head = header(KindBatch, nil, []int{1})
	f.Add(head[:])
	f.Fuzz(func(t *testing.T, b []byte) {
		p, err := NewPacker()
		require.NoError(t, err)
		defer p.Close()
		_, err = p.w.Write(b)
		require.NoError(t, err)
		r, _ := pipe(t, "one")
		require.NoError(t, p.stow([]int{r}))
		s, err := p.Seal()
		require.NoError(t, err)
		got, err := OpenParcel(kept(t, s))
		require.NoError(t, err)
		defer got.Close()
		state, err := got.Greet("test")
		if err != nil {
			return
		}
		for _, s := range state.Sockets {
			closeAll([]int{s.FD})
		}
		_, _ = got.Ready(func(conns []Conn) error {
			for i := range conns {
				conns[i].CloseFDs()
			}
			return nil
		})
	})
}
