package handoff

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net/netip"
	"os"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// pair returns both ends in this process.
func pair(t testing.TB) (*Giver, *Taker) {
	t.Helper()
	g, f, err := Pair()
	require.NoError(t, err)
	taker, err := NewTaker(f)
	require.NoError(t, err)
	t.Cleanup(func() { g.Close(); taker.Close() })
	return g, taker
}

// pipe returns a pipe with a word in it.
func pipe(t testing.TB, word string) (r, w int) {
	t.Helper()
	var p [2]int
	require.NoError(t, syscall.Pipe(p[:]))
	_, err := syscall.Write(p[1], []byte(word))
	require.NoError(t, err)
	t.Cleanup(func() { closeAll(p[:]) })
	return p[0], p[1]
}

func openFiles(t testing.TB) int {
	t.Helper()
	list, err := os.ReadDir("/proc/self/fd")
	require.NoError(t, err)
	return len(list)
}

// sample is a connection with every field set.
func sample(id uint64) *Conn {
	ap := netip.MustParseAddrPort
	return &Conn{
		ID: id, Loop: 1, Listener: "aoai", Client: ap("192.0.2.1:40000"), Phase: "relaying", Attempts: 2, Failure: "connect_refused",
		Preface: true, Silent: "probe", Warm: true, Stale: true, Reason: "client_closed", Closed: "probe", Expired: "preface_timeout",
		Opened: 1, Began: 2, Active: 3, Expires: 4, Fires: 5, Took: 6, Late: true, Failed: true, Proof: "unproved", BrokenBy: "fin",
		LingerUpstream: true, Replay: []byte("hello"), Endpoint: &Endpoint{Upstream: "dais24", Addr: ap("10.0.0.1:443"), Local: netip.MustParseAddr("10.0.0.2")},
		Beside:   []Attempt{{Endpoint: Endpoint{Upstream: "dais24", Addr: ap("[2001:db8::1]:443")}, Began: 7, Expires: 8}},
		Near:     End{HUP: true, Reset: true, Urgent: true, FIN: true, Lost: true, Owed: Owed{Bytes: 9, Since: 10, Closed: true}},
		Far:      End{HUP: true},
		Upload:   Half{State: "fin", Held: []byte("held"), PipeSize: 1 << 20, Piped: 11, Streak: 2, Splice: true, Bulk: 2, Bytes: 12},
		Download: Half{State: "open", Bytes: 13},
		Session: &Session{Upstream: "dais24", Counted: "dais24", Ticket: true, Detail: "d", Tried: []netip.AddrPort{ap("10.0.0.3:443")},
			ProxyVersion: 2, Local: true, Source: ap("203.0.113.9:1234"), Dest: ap("203.0.113.10:443"), TLVs: []byte{1, 0, 1, 9}, VPCE: "vpce-1", SNI: "a.example"},
	}
}

// serve is a new process that takes over all that comes.
func serve(taker *Taker) (conns []Conn, state *State, final *Final, err error) {
	if state, err = taker.Greet("test"); err != nil {
		return conns, nil, nil, err
	}
	final, err = taker.Ready(func(some []Conn) error { conns = append(conns, some...); return nil })
	if err != nil {
		return conns, state, nil, err
	}
	return conns, state, final, taker.Adopted()
}

// give hands over n connections, each a pipe with its number in it.
func give(t testing.TB, g *Giver, n int) error {
	if _, err := g.Meet(); err != nil {
		return err
	}
	r, _ := pipe(t, "listening")
	s := &State{Build: "old", Parts: map[string]json.RawMessage{"dns": json.RawMessage(`{"a":1}`)}}
	for range MaxDescriptors + 3 {
		s.Sockets = append(s.Sockets, Socket{Use: UseRelay, Name: "aoai", FD: r})
	}
	if err := g.Offer(s); err != nil {
		return err
	}
	for i := range n {
		c := sample(uint64(i))
		c.Upload.PipeR, c.Upload.PipeW = pipe(t, fmt.Sprint(i))
		if err := g.Connection(c); err != nil {
			return err
		}
	}
	if err := g.Finish(&Final{NextID: 7, Conns: n}); err != nil {
		return err
	}
	return g.Commit()
}

func TestAllOfItArrives(t *testing.T) {
	before := openFiles(t)
	g, taker := pair(t)
	given := make(chan error, 1)
	const n = 300
	go func() { given <- give(t, g, n) }()
	conns, state, final, err := serve(taker)
	require.NoError(t, err)
	require.NoError(t, <-given)
	require.Len(t, state.Sockets, MaxDescriptors+3)
	require.Equal(t, "aoai", state.Sockets[0].Name)
	require.JSONEq(t, `{"a":1}`, string(state.Parts["dns"]))
	require.EqualValues(t, 7, final.NextID)
	require.Len(t, conns, n)
	for i := range conns {
		c := &conns[i]
		require.EqualValues(t, i, c.ID)
		b := make([]byte, 10)
		got, err := syscall.Read(c.Upload.PipeR, b)
		require.NoError(t, err)
		require.Equal(t, fmt.Sprint(i), string(b[:got]), "each connection has its own descriptors")
		flags, _, errno := syscall.Syscall(syscall.SYS_FCNTL, uintptr(c.Upload.PipeR), syscall.F_GETFD, 0)
		require.Zero(t, errno)
		require.NotZero(t, flags&syscall.FD_CLOEXEC)
		c.CloseFDs()
	}
	for _, s := range state.Sockets {
		closeAll([]int{s.FD})
	}
	require.Less(t, openFiles(t), before+2*n+10, "what came twice was closed")
}

// Whatever message either side ends at, the old process knows that nothing was taken, and neither hangs. Only the last message
// is different: the new process has the connections then.
func TestAnEndAtEachMessage(t *testing.T) {
	errStop := errors.New("stopped by the test")
	for _, by := range []string{"old", "new"} {
		for _, sent := range []bool{true, false} {
			for k := KindHello; k <= KindAck; k++ {
				if k > KindTaken && k != KindAck {
					continue
				}
				t.Run(fmt.Sprintf("%s at %s, sent %v", by, k, sent), func(t *testing.T) {
					g, taker := pair(t)
					reached := false
					stop := func(c *Channel) func(bool, Kind) error {
						return func(s bool, at Kind) error {
							if s != sent || at != k {
								return nil
							}
							reached = true
							c.Close()
							return errStop
						}
					}
					if by == "old" {
						g.At = stop(g.Channel)
					} else {
						taker.At = stop(taker.Channel)
					}
					gave, err := bothSides(t, g, taker)
					switch {
					case !reached:
						require.NoError(t, err)
						require.NoError(t, gave)
					case k == KindTaken && by == "old":
						require.NoError(t, err, "the new process has all of it")
					case k == KindTaken:
						require.NoError(t, err)
						require.Error(t, gave)
					default:
						require.Error(t, err)
						require.Error(t, gave)
					}
				})
			}
		}
	}
}

func TestARefusalIsReadable(t *testing.T) {
	g, taker := pair(t)
	go func() {
		if _, err := taker.Greet("new"); err != nil {
			return
		}
		taker.Refuse(errors.New("the configuration has a fault: line 3\x1b[2J"))
	}()
	err := give(t, g, 1)
	var refused *RefusedError
	require.ErrorAs(t, err, &refused)
	require.Equal(t, "the configuration has a fault: line 3 [2J", refused.Why)
}

func TestAnotherVersionIsRefused(t *testing.T) {
	g, taker := pair(t)
	hello, err := json.Marshal(Hello{Oldest: Version + 1, Newest: Version + 3, Build: "9.9"})
	require.NoError(t, err)
	require.NoError(t, taker.Send(KindHello, hello, nil, time.Second))
	_, err = g.Meet()
	require.ErrorContains(t, err, fmt.Sprintf("(9.9) reads versions %d to %d of the state, this one writes version %d", Version+1, Version+3, Version))

	g, taker = pair(t)
	require.NoError(t, g.Send(KindState, []byte(`{"version":99}`), nil, time.Second))
	_, err = taker.Greet("new")
	require.ErrorContains(t, err, "version 99")
}

func TestASilentPeerIsGivenUp(t *testing.T) {
	g, _ := pair(t)
	begun := time.Now()
	_, err := g.expect(KindHello, 50*time.Millisecond)
	require.ErrorIs(t, err, os.ErrDeadlineExceeded)
	require.Less(t, time.Since(begun), 5*time.Second)
}

// The last word is read even from a process that has ended.
func TestTakenIsFoundAfterTheEnd(t *testing.T) {
	g, taker := pair(t)
	require.NoError(t, taker.Send(KindAdopted, nil, nil, time.Second))
	require.NoError(t, taker.Send(KindTaken, nil, nil, time.Second))
	taker.Close()
	require.True(t, g.Taken())
	g, taker = pair(t)
	require.NoError(t, taker.Send(KindAdopted, nil, nil, time.Second))
	taker.Close()
	require.False(t, g.Taken())
}

var update = flag.Bool("update", false, "write the golden file of the current version")

// Each version's connections can be read for ever.
func TestStatesOfEachVersion(t *testing.T) {
	e := newBatchEncoder()
	want := sample(42)
	e.add(want)
	payload, fds, err := e.take()
	require.NoError(t, err)
	require.Empty(t, fds)
	if *update {
		require.NoError(t, os.WriteFile(filepath.Join("testdata", fmt.Sprintf("conns_v%d.gob", Version)), payload, 0o644))
	}
	for v := OldestRead; v <= Version; v++ {
		b, err := os.ReadFile(filepath.Join("testdata", fmt.Sprintf("conns_v%d.gob", v)))
		require.NoError(t, err)
		conns, err := newBatchDecoder().decode(b, nil)
		require.NoError(t, err)
		require.Equal(t, []Conn{*want}, conns, "version %d", v)
		b, err = os.ReadFile(filepath.Join("testdata", fmt.Sprintf("state_v%d.json", v)))
		require.NoError(t, err)
		s, err := readState(b, []int{-1, -1})
		require.NoError(t, err)
		require.Equal(t, v, s.Version)
		require.Equal(t, Socket{Use: UseRelay, Name: "aoai", Addr: netip.MustParseAddrPort("[::]:443"), Loop: 1, Shared: true, FD: -1}, s.Sockets[1])
		require.Contains(t, s.Parts, "resolve")
	}
}

func TestDescriptorsThatDoNotAddUp(t *testing.T) {
	for name, change := range map[string]func(c *Conn) int{
		"one too many": func(*Conn) int { return 1 },
		"one missing":  func(c *Conn) int { c.Near.FD = 1; return 0 },
		"used twice":   func(c *Conn) int { c.Near.FD, c.Far.FD = 1, 1; return 1 },
		"negative":     func(c *Conn) int { c.Near.FD = -3; return 0 },
	} {
		t.Run(name, func(t *testing.T) {
			c := sample(1)
			n := change(c)
			var b bytes.Buffer
			require.NoError(t, gob.NewEncoder(&b).Encode([]Conn{*c}))
			var fds []int
			for range n {
				r, err := os.Open(os.DevNull)
				require.NoError(t, err)
				fd, err := syscall.Dup(int(r.Fd()))
				require.NoError(t, err)
				r.Close()
				fds = append(fds, fd)
			}
			before := openFiles(t)
			_, err := newBatchDecoder().decode(b.Bytes(), fds)
			require.Error(t, err)
			require.Equal(t, before-n, openFiles(t), "they are closed")
		})
	}
}

// Foreign bytes are an error, and end neither process.
func FuzzGiver(f *testing.F) {
	f.Add([]byte{1, 0, 0, 0, 0, 0, 0, 2, '{', '}'})
	f.Add([]byte{17, 0, 0, 0, 0, 0, 0, 1, 'x'})
	f.Add([]byte{8, 0, 0, 1, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, b []byte) {
		g, taker := pair(t)
		if len(b) > 60_000 {
			return
		}
		_, err := taker.c.Write(b)
		require.NoError(t, err)
		taker.Close()
		if _, err := g.Meet(); err == nil {
			_, _ = g.expect(KindReady, time.Second)
		}
		g.Taken()
	})
}

func FuzzBatch(f *testing.F) {
	e := newBatchEncoder()
	e.add(sample(1))
	b, _, err := e.take()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(bytes.Clone(b))
	f.Fuzz(func(t *testing.T, b []byte) {
		conns, err := newBatchDecoder().decode(b, nil)
		if err == nil {
			for i := range conns {
				conns[i].weight()
			}
		}
		require.False(t, errors.Is(err, io.EOF), "bytes that end early are no end of the old process")
	})
}
