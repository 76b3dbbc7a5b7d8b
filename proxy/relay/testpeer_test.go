package relay

import (
	"bytes"
	"errors"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// patience is how long a peer waits for what must happen. It is generous, since the machine may be busy; nothing that
// works takes this long. On a machine that is slower by far than those people have, such as an emulated one,
// L4FWD_TEST_PATIENCE=8 makes it eight times as long.
var patience = 15 * time.Second * time.Duration(patienceFactor())

func patienceFactor() int {
	if n, err := strconv.Atoi(os.Getenv("L4FWD_TEST_PATIENCE")); err == nil {
		return n
	}
	return 1
}

// How a peer saw its connection end.
type peerEnd string

const (
	sawFIN peerEnd = "FIN"
	sawRST peerEnd = "RST"
)

// peer is one end of a relayed connection as the world outside sees it: a client or an upstream.
type peer struct {
	*net.TCPConn
	t        testing.TB
	writeErr error // a write found the connection reset; reads then find an end of file, tcp(7)
}

func newPeer(t testing.TB, c net.Conn) *peer {
	t.Cleanup(func() { c.Close() })
	c.SetDeadline(time.Now().Add(patience))
	return &peer{TCPConn: c.(*net.TCPConn), t: t}
}

func (p *peer) send(s string) {
	p.t.Helper()
	_, err := p.Write([]byte(s))
	require.NoError(p.t, err)
}

// sendStream sends the first n bytes of the stream of a seed.
func (p *peer) sendStream(seed uint64, n int) {
	p.t.Helper()
	_, err := io.CopyN(p.TCPConn, newStream(seed), int64(n))
	require.NoError(p.t, err)
}

func (p *peer) fin() {
	p.t.Helper()
	require.NoError(p.t, p.CloseWrite())
}

// reset ends the connection by RST.
func (p *peer) reset() {
	p.SetLinger(0)
	p.Close()
}

// want reads exactly s.
func (p *peer) want(s string) {
	p.t.Helper()
	got := make([]byte, len(s))
	n, err := io.ReadFull(p, got)
	require.NoError(p.t, err, "got %q of %q", got[:n], s)
	require.Equal(p.t, s, string(got))
}

// wantStream reads exactly the first n bytes of the stream of a seed.
func (p *peer) wantStream(seed uint64, n int) {
	p.t.Helper()
	got, err := matchStream(io.LimitReader(p, int64(n)), newStream(seed))
	require.NoError(p.t, err)
	require.EqualValues(p.t, n, got, "bytes of the stream")
}

// wantEnd reads to the end, which must come without a further byte.
func (p *peer) wantEnd(want peerEnd) {
	p.t.Helper()
	rest, end := p.rest()
	require.Empty(p.t, rest, "bytes before the end")
	require.Equal(p.t, want, end)
}

// rest reads to the end.
func (p *peer) rest() ([]byte, peerEnd) {
	p.t.Helper()
	b, err := io.ReadAll(p)
	return b, p.endOf(err)
}

// restOfStream reads to the end what must be a prefix of the stream of a seed, and returns its length.
func (p *peer) restOfStream(seed uint64) (int, peerEnd) {
	p.t.Helper()
	n, err := matchStream(p, newStream(seed))
	var differs *mismatch
	if errors.As(err, &differs) {
		require.NoError(p.t, err)
	}
	return int(n), p.endOf(err)
}

func (p *peer) endOf(err error) peerEnd {
	p.t.Helper()
	if isReset(err) || err == nil && p.writeErr != nil {
		return sawRST
	}
	require.NoError(p.t, err)
	return sawFIN
}

// wantGone waits until the relay has ended this connection in whatever way.
func (p *peer) wantGone() {
	p.t.Helper()
	_, err := io.Copy(io.Discard, p)
	require.False(p.t, errors.Is(err, os.ErrDeadlineExceeded), "still open")
}

// isReset reports whether a read or a write failed because the connection was reset. Between the socket's error and its end the
// kernel may report EPOLLERR alone, of which Go's poller makes an error without a name (internal/poll.ErrNotPollable).
func isReset(err error) bool {
	return errors.Is(err, syscall.ECONNRESET) || errors.Is(err, syscall.EPIPE) || err != nil && strings.HasSuffix(err.Error(), ": not pollable")
}

// flood sends the stream of a seed until nothing is taken any more, and returns how many bytes the kernel took and how
// many of them the relay's side has acknowledged: those are the relay's to deliver.
func (p *peer) flood(seed uint64, most int) (sent, acked int) {
	p.t.Helper()
	return p.floodUntil(150*time.Millisecond, seed, most)
}

// floodUntil is flood with the time after which a write counts as stuck.
func (p *peer) floodUntil(stuck time.Duration, seed uint64, most int) (sent, acked int) {
	p.t.Helper()
	s, chunk := newStream(seed), make([]byte, 64<<10)
	for sent < most {
		s.Read(chunk)
		p.SetWriteDeadline(time.Now().Add(stuck))
		n, err := p.Write(chunk[:min(len(chunk), most-sent)])
		sent += n
		if errors.Is(err, os.ErrDeadlineExceeded) {
			break
		}
		require.NoError(p.t, err)
	}
	p.SetWriteDeadline(time.Now().Add(patience))
	return sent, sent - p.unacked()
}

// settle waits until the relay's side has acknowledged all that was sent.
func (p *peer) settle() {
	p.t.Helper()
	eventually(p.t, "acknowledgement of all that was sent", func() bool { return p.unacked() == 0 })
}

// stream is an endless sequence of bytes that a seed defines.
type stream = *rand.ChaCha8

func newStream(seed uint64) stream {
	var key [32]byte
	for i := range 8 {
		key[i] = byte(seed >> (8 * i))
	}
	return rand.NewChaCha8(key)
}

// mismatch is the error for a byte that is not the stream's.
type mismatch struct{ offset int64 }

func (m *mismatch) Error() string {
	return "altered byte within the chunk after offset " + itoa(m.offset)
}

// matchStream reads r to its end, comparing with s. It returns how many bytes matched, and r's error but for EOF.
func matchStream(r io.Reader, s stream) (int64, error) {
	got, want := make([]byte, 64<<10), make([]byte, 64<<10)
	for total := int64(0); ; {
		n, err := r.Read(got)
		s.Read(want[:n])
		if !bytes.Equal(got[:n], want[:n]) {
			return total, &mismatch{total}
		}
		total += int64(n)
		switch err {
		case nil:
		case io.EOF:
			return total, nil
		default:
			return total, err
		}
	}
}

// eventually polls a condition; a test never sleeps in the hope that something has happened.
func eventually(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(end) {
			require.FailNow(t, "waited in vain for "+what)
		}
	}
}

func localAddrPort(c net.Conn) netip.AddrPort  { return addrPort(c.LocalAddr()) }
func remoteAddrPort(c net.Conn) netip.AddrPort { return addrPort(c.RemoteAddr()) }
