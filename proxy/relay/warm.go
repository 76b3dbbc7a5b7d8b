package relay

import "time"

// Warm is a pool of upstream connections that are kept established, so that a client waits for no handshake. An endpoint
// names the pool that its connections may be taken from. Immutable.
//
// A connection that waits for a client may be dead without anybody knowing: a firewall forgot it, or the peer's end is
// on its way. So what a client sends is kept, up to maxReplay bytes, until the upstream's first byte has come. If the
// connection is reset or ended before, the client gets another one, freshly established, on which all of it is sent again.
// This happens once a client. The first upstream may have seen, and acted on, what the second gets: for a TLS
// ClientHello that is harmless, and for a protocol in which it is not, Warm is not to be used.
type Warm struct {
	Count   int           // over all loops, which share them; a loop has at least one, so that there are never less than loops
	MaxIdle time.Duration // how long one waits for a client before it is replaced
	Keeper  Keeper

	// Rest is called when a loop makes no attempt for d, since attempts fail or the peer soon ends what they establish;
	// with 0 once the pool's connections are known to be good again. From the loops, as Keeper's methods. nil: not called.
	Rest func(loop int, d time.Duration)
}

// maxReplay is the most that is kept of what a client sent on a warm connection, in bytes: a ClientHello has 0.3 to 2 KiB.
const maxReplay = 16 << 10

// Keeper is the policy of a pool. Like a Handler's its methods are called from the loops, must not block, and must be safe
// for concurrent use.
type Keeper interface {
	// Next names the endpoint to connect to; nil: there is none now, and it is asked again after a second, or by Relay.ReleaseWarm.
	Next(loop int) *Endpoint
	// Tried reports how the attempt at what Next gave ended, after took: None, then the connection is in the pool, or
	// why it failed. Operator: it was given up.
	Tried(loop int, ep *Endpoint, failure Reason, took time.Duration)
	// Left is called once for each connection that was in the pool, and again with LeftDead where a client got it and it
	// proved dead before the upstream's first byte. ep is the client's endpoint then; Handler.Dial is asked next, with
	// Flow.Stale set.
	Left(loop int, ep *Endpoint, why Leave)
	// Choose says which of the connections in the loop's pool, by what Next gave for them and the latest last, f is to have. It
	// is asked after Handler.Dial gave f the endpoint chosen, also if ready is empty. It returns chosen, if one is to that address, or the
	// endpoint of f at another address of those listed, and f counts as one that Handler.Dial gave that endpoint then. nil:
	// none of them will do, and chosen is connected to.
	Choose(f *Flow, chosen *Endpoint, ready []*Endpoint) *Endpoint
}

// Leave says how a connection left a pool.
type Leave uint8

// The ways to leave a pool.
const (
	LeftUsed     Leave = iota // a client got it
	LeftExpired               // no client took it for MaxIdle
	LeftEnded                 // closed by peer
	LeftReleased              // the pool, or the address, is not wanted any more
	LeftDead                  // a client got it, and it proved dead; follows LeftUsed
)

const (
	restMin  = 500 * time.Millisecond // after the first connection that fails, or that its peer ends early
	restMax  = time.Minute
	restNone = time.Second // where there is nothing to connect to
	// A connection that its peer ends before this part of MaxIdle is over was ended early.
	earlyPart = 2
)

// share is how many connections of w a loop keeps.
func (w *Warm) share(loop, loops int) int {
	n := w.Count / loops
	if loop < w.Count%loops {
		n++
	}
	return max(n, 1)
}

// restFor is how long to rest after so many failures in a row. spread, from 0 to 1, keeps loops and processes apart.
func restFor(strikes int, spread float64) time.Duration {
	d := restMax
	if strikes < 8 {
		d = min(restMin<<max(strikes-1, 0), restMax)
	}
	return d - time.Duration(float64(d/2)*spread)
}

// noteRest calls Rest.
func (w *Warm) noteRest(loop int, d time.Duration) {
	if w.Rest != nil {
		w.Rest(loop, d)
	}
}
