package relay

import (
	"net/netip"
	"time"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// Handler is the policy: who may enter, where to, and what becomes of the summary. Its methods are called from the
// loops at the rate of connections, never at the rate of bytes. They must not block and must be safe for concurrent use.
// A Flow and a Summary belong to the engine and are valid during the call only.
type Handler interface {
	// Accepted judges a client before a byte is read; None admits it. It sets f.Preface if Preface is to be asked before
	// Dial is, or f.Await if the dial is to wait for the client's first byte. A client that leaves before it is a Probe.
	Accepted(f *Flow) Reason
	// Preface is asked where Accepted has said so, with all that the client sent so far (at most
	// MaxPreface bytes, valid during the call only).
	Preface(f *Flow, b []byte) Verdict
	// Dial names the endpoint to connect to next; f.Attempts counts the attempts already made and f.Failure is how the
	// last one failed. A nil endpoint ends the connection for the reason given with it. With f.Pending above 0 the endpoint is
	// tried beside those attempts, of which the policy knows, since it named their endpoints; a nil one is no end then: the
	// others go on.
	Dial(f *Flow) (*Endpoint, Reason)
	// Dialed reports the attempt at f.Endpoint: None if it connected, else why not, after took. An attempt cut
	// short from the client's side (reset, drain) is reported with that reason, one that another attempt beat with Outpaced
	// or Superseded. Each Dial that gave an endpoint is followed by exactly one Dialed; those of attempts beside each other
	// come in any order, with f.Endpoint that of the attempt.
	Dialed(f *Flow, failure Reason, took time.Duration)
	// Closed is called once for each accepted connection, before its sockets are closed; also for one refused with
	// LimitConnections before Accepted was asked.
	Closed(s *Summary)
}

// MaxPreface is the most that a client may send before its preface must be complete, in bytes.
const MaxPreface = 64 << 10

// Verdict is the policy's answer to the bytes of a preface.
type Verdict struct {
	More   bool   // not enough bytes yet; only Closed and Expired count then
	Refuse Reason // not None: the client is refused
	Skip   int    // leading bytes that are not passed on (a PROXY header)

	// Why the connection ends if the client ends it now, or says no more until time runs out. None: HelloBad and
	// PrefaceTimeout. A reset by the client is ClientReset, unless Closed is Probe.
	Closed, Expired Reason
}

// Listener is an address to accept on. Immutable once the relay runs.
type Listener struct {
	Name string
	Addr netip.AddrPort // port 0: the kernel chooses, see Relay.Addrs; the unspecified IPv6 address takes IPv4 as well
	FD   int            // an open listening socket to use instead of opening one; 0: none. The relay owns a duplicate
	Tag  any            // the policy's own
}

// Endpoint is one upstream address as the policy names it to the engine, which never changes it.
type Endpoint struct {
	Addr    netip.AddrPort
	Local   netip.Addr    // to connect from, of the family of Addr; the zero value: as the routing table says
	Timeout time.Duration // of one connect attempt; 0: DefaultConnectTimeout
	Stagger time.Duration // without an answer for so long, the next endpoint is tried beside this one; 0: only after this one failed
	Tally   *Tally        // where to count the bytes; nil: nowhere
	Tag     any           // the policy's own
	Warm    *Warm         // a pool that may have connections to Addr; nil: none

	// Header appends to b what a new connection is sent first, before the client's bytes: a PROXY header. It is called
	// on the loop each time one is established; to is the address that the client connected to. What it returns is at
	// most MaxHeader bytes long, valid until the next call, and counted nowhere. nil: nothing is sent first.
	Header func(f *Flow, to netip.AddrPort, b []byte) []byte
}

// MaxHeader is the most that Endpoint.Header may return, in bytes: what the kernel takes for a new socket in one piece.
const MaxHeader = 8 << 10

// DefaultConnectTimeout is the limit of a connect attempt where the endpoint names none.
const DefaultConnectTimeout = 5 * time.Second

// timeout is the limit of a connect attempt.
func (e *Endpoint) timeout() time.Duration {
	if e.Timeout <= 0 {
		return DefaultConnectTimeout
	}
	return e.Timeout
}

// Flow is what the policy may know of a connection.
type Flow struct {
	ID       uint64 // unique in the process
	Loop     int    // index of the loop it lives on
	Listener *Listener
	Client   netip.AddrPort // as accepted, IPv4 never mapped into IPv6
	Endpoint *Endpoint      // the one being dialed or connected to; nil before the first
	Attempts int            // connect attempts begun
	Failure  Reason         // why the last attempt failed
	Pending  uint8          // during Dial: how many attempts are under way
	Preface  bool           // the client's first bytes decide where to dial
	Silent   Reason         // with Preface: why a client is refused that sends nothing until time runs out; None: PrefaceTimeout
	Await    uint16         // without Preface: for how many milliseconds Dial waits for the client's first byte; 0: it is asked at once
	Warm     bool           // the upstream's connection is from a pool: Dialed tells of no connecting, and nothing was waited for
	Stale    bool           // it had one from a pool, which proved dead; that was one of Attempts
	Tag      any            // the policy's own, kept for the connection's life
}

// Summary is what remains of a connection: the log line and the metrics are made from it.
type Summary struct {
	*Flow
	Reason    Reason
	Connected bool          // an upstream connection was established
	Up, Down  uint64        // bytes delivered to the upstream, to the client
	Opened    time.Time     // when it was accepted
	Connect   time.Duration // how long the successful attempt took; 0 if none, and for a connection from a pool
	FirstByte time.Duration // from accept to the first byte of the upstream; 0 if none came
	Duration  time.Duration // from accept to now

	// Who knows the local address of the upstream connection, and of which: a function of its own would be an allocation.
	addresses addresser
	fd        int32
}

// addresser knows the local addresses of sockets. An engine without descriptors has one for each connection, and gets 0.
type addresser interface {
	localAddr(fd int32) netip.AddrPort
}

// Local returns the local address of the upstream connection, zero if there is none. It asks the kernel, so it costs
// a system call. Valid during Handler.Closed only.
func (s *Summary) Local() netip.AddrPort {
	if s.addresses == nil {
		return netip.AddrPort{}
	}
	return s.addresses.localAddr(s.fd)
}

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

// Mover is a Handler whose connections can be handed over: it knows its own part of them. Its methods are called while the loops
// stand still, by one goroutine at a time.
type Mover interface {
	Handler
	// SaveEndpoint returns an endpoint as plain values.
	SaveEndpoint(ep *Endpoint) handoff.Endpoint
	// SaveFlow returns what the policy keeps of a connection; nil: nothing.
	SaveFlow(f *Flow) *handoff.Session
	// TakeListener returns the listener of that name, or one that stands for it.
	TakeListener(name string) *Listener
	// TakeEndpoint returns an endpoint for the connections of a listener. If counted, the connection is established or being
	// established, and counts as if Dial had named the endpoint. nil: there is no such endpoint, and the connection can't be taken.
	TakeEndpoint(saved handoff.Endpoint, listener string, counted bool) *Endpoint
	// TakeFlow takes back what SaveFlow returned, and counts the connection as if Accepted, and Dial if there were attempts, had
	// been called. The other fields of the flow are set.
	TakeFlow(f *Flow, saved *handoff.Session)
	// TakeWarm returns the endpoint of a connection that waits in a pool, and counts it as if Keeper.Next had named it and
	// Keeper.Tried had been told of its success; nil: it is not wanted.
	TakeWarm(saved handoff.Endpoint) *Endpoint
}
