package relay

import (
	"errors"
	"os"
	"time"

	"github.com/stretchr/testify/require"
)

var resetScenarios = []scenario{
	{"client reset", "what the client sent before its reset arrives, and then the reset", true, clientReset},
	{"upstream reset", "what the upstream sent before its reset arrives, and then the reset", true, upstreamReset},
	{"client reset, slow upstream", "the same with more than the upstream's buffer holds", false, clientResetSlowUpstream},
	{"upstream reset, slow client", "the same with more than the client's buffer holds", true, upstreamResetSlowClient},
	{"early response and reset", "the upstream answers and resets during the upload: the answer arrives complete, then the reset", true, earlyResponseReset},
	{"early response and close", "the same by close with unread bytes, as servers do it", false, earlyResponseClose},
	{"upstream reset, upload waiting", "a reset that the relay learns of by a write is no FIN to the client", true, resetFoundByWrite},
	{"client reset, download waiting", "a reset that the relay learns of by a write is no FIN to the upstream", false, clientResetFoundByWrite},
	{"upstream reset, both full", "with both directions stuck, a reset found by a write leaves what came before it to be delivered", true, upstreamResetBothFull},
	{"client reset, both full", "the same for the client's reset", false, clientResetBothFull},
	{"reset after client's FIN", "a response cut off by a reset is no orderly end, even if the client had sent its FIN", false, resetAfterFIN},
	{"upload after upstream's end", "the upstream answers and closes for good: the client learns by a reset that its upload is lost", false, uploadAfterEnd},
}

func clientReset(r *rig) {
	c, u := r.pair()
	u.send("hello")
	c.want("hello")
	c.send("last words")
	c.settle()
	c.reset()
	u.want("last words")
	u.wantEnd(sawRST)
	r.closed(ClientReset, 10, 5)
}

func upstreamReset(r *rig) {
	c, u := r.pair()
	c.send("hello")
	u.want("hello")
	u.send("last words")
	u.settle()
	u.reset()
	c.want("last words")
	c.wantEnd(sawRST)
	r.closed(UpstreamReset, 5, 10)
}

func clientResetSlowUpstream(r *rig) {
	r.needsLinux()
	r.slowOrigin()
	c, u := r.pair()
	sent, acked := c.flood(1, 64*mib)
	c.reset()
	n := readSlowlyToReset(r, u)
	require.GreaterOrEqual(r, n, acked, "what was acknowledged was the relay's to deliver")
	require.LessOrEqual(r, n, sent)
	r.closed(ClientReset, n, 0)
}

func upstreamResetSlowClient(r *rig) {
	r.needsLinux()
	c := r.dialSlow()
	u := r.accept()
	sent, acked := u.flood(1, 64*mib)
	u.reset()
	n := readSlowlyToReset(r, c)
	require.GreaterOrEqual(r, n, acked, "what was acknowledged was the relay's to deliver")
	require.LessOrEqual(r, n, sent)
	r.closed(UpstreamReset, 0, n)
}

// readSlowlyToReset reads stream 1 with pauses and returns how many bytes came before the reset.
func readSlowlyToReset(r *rig, p *peer) int {
	r.Helper()
	total, s, want := 0, newStream(1), make([]byte, 256<<10)
	for buf := make([]byte, 256<<10); ; {
		n, err := p.Read(buf)
		s.Read(want[:n])
		require.True(r, string(buf[:n]) == string(want[:n]), "altered after %d bytes", total)
		total += n
		if err != nil {
			require.Equal(r, sawRST, p.endOf(err))
			return total
		}
		if total < mib {
			time.Sleep(time.Millisecond)
		}
	}
}

// upload sends until the connection breaks, which it must.
func upload(p *peer) {
	chunk := make([]byte, 64<<10)
	for {
		if _, err := p.Write(chunk); err != nil {
			p.writeErr = err
			return
		}
	}
}

func earlyResponseReset(r *rig) { earlyResponse(r, func(u *peer) { u.settle(); u.reset() }) }
func earlyResponseClose(r *rig) { earlyResponse(r, func(u *peer) { u.settle(); u.Close() }) }

func earlyResponse(r *rig, end func(u *peer)) {
	r.needsLinux()
	const answer = 300 << 10
	c, u := r.pair()
	var got int64
	var err error
	r.all(
		func() { upload(c) },
		func() {
			u.want(string(make([]byte, 1000)))
			u.sendStream(7, answer)
			end(u)
		},
		func() { got, err = matchStream(c, newStream(7)) },
	)
	require.False(r, errors.Is(c.writeErr, os.ErrDeadlineExceeded), "the upload never broke")
	require.EqualValues(r, answer, got, "the answer; %v", err)
	require.Equal(r, sawRST, c.endOf(err))
	e := r.closed(UpstreamReset, -1, answer)
	require.GreaterOrEqual(r, e.Up, uint64(1000))
}

// The relay waits to write to an end and to read from it when that end is reset. Whichever call comes first takes the
// error, and the read may find an end of file: passed on as a FIN, it would make what came before look complete.
func resetFoundByWrite(r *rig) {
	r.slowOrigin()
	for range 10 {
		c, u := r.pair()
		waitingToWrite(r, c, u)
		r.closed(UpstreamReset, -1, 100_000)
	}
}

func clientResetFoundByWrite(r *rig) {
	for range 10 {
		c := r.dialSlow()
		u := r.accept()
		waitingToWrite(r, u, c)
		r.closed(ClientReset, 100_000, -1)
	}
}

func waitingToWrite(r *rig, from, to *peer) {
	r.Helper()
	r.needsLinux()
	from.floodUntil(50*time.Millisecond, 1, 64*mib)
	r.all(func() { to.sendStream(2, 100_000) }, func() { from.wantStream(2, 100_000) })
	to.reset()
	from.wantEnd(sawRST)
}

func upstreamResetBothFull(r *rig) {
	r.slowOrigin()
	c := r.dialSlow()
	u := r.accept()
	n := bothFull(r, c, u)
	r.closed(UpstreamReset, -1, n)
}

func clientResetBothFull(r *rig) {
	r.slowOrigin()
	c := r.dialSlow()
	u := r.accept()
	n := bothFull(r, u, c)
	r.closed(ClientReset, n, -1)
}

// bothFull fills both directions, resets one end and reads at the other.
func bothFull(r *rig, reads, resets *peer) int {
	r.Helper()
	r.needsLinux()
	reads.flood(2, 64*mib)
	sent, acked := resets.flood(1, 64*mib)
	resets.reset()
	n := readSlowlyToReset(r, reads)
	require.GreaterOrEqual(r, n, acked, "what was acknowledged was the relay's to deliver")
	require.LessOrEqual(r, n, sent)
	return n
}

func resetAfterFIN(r *rig) {
	c, u := r.pair()
	c.send("request")
	c.fin()
	u.want("request")
	u.wantEnd(sawFIN)
	u.send("half of the ans")
	u.settle()
	u.reset()
	c.want("half of the ans")
	c.wantEnd(sawRST)
	r.closed(UpstreamReset, 7, 15)
}

func uploadAfterEnd(r *rig) {
	r.needsLinux()
	c, u := r.pair()
	u.send("go away")
	u.Close()
	c.want("go away")
	c.wantEnd(sawFIN)
	upload(c)
	require.True(r, isReset(c.writeErr), "%v", c.writeErr)
	r.closed(UpstreamClosed, -1, 7)
}
