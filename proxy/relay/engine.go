package relay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// engine is the seam between the relay and the way it learns of events.
type engine interface {
	addrs() []netip.AddrPort                                          // one a listener, as of start
	setListeners([]listening, func()) error                           // see Relay.SetListeners
	stopAccepting()                                                   // takes what the kernel has queued, then closes the listeners; returns when done
	tune(Tuning)                                                      // see Relay.Tune
	setWarm([]*Warm)                                                  // see Relay.SetWarm
	releaseWarm(func(*Endpoint) bool)                                 // see Relay.ReleaseWarm
	warmTotal(*Warm) int                                              // see Relay.WarmTotal
	closeWhere(func(*Flow) bool, Reason) int                          // see Relay.CloseWhere
	flows(func(*Summary))                                             // see Relay.Flows
	look(context.Context, func(), func(*Look)) (time.Duration, error) // see Relay.Look
	closeOne(uint64, Reason) bool                                     // see Relay.CloseOne
	lastID() uint64                                                   // see Relay.LastID
	closeAll(Reason)                                                  // ends every connection
	stop()                                                            // ends the engine; every goroutine of it has ended on return
	alive(context.Context) error                                      // nil once every loop has turned
	stats() Stats                                                     //
}

// carrier is an engine whose connections can be handed over.
type carrier interface {
	// freeze returns once all loops stand still. If ctx ends before, they turn again and the error says so.
	freeze(ctx context.Context) error
	// thaw lets the loops turn again.
	thaw()
	// giveUp closes what the loops have open, without a word to peers or handler, and ends them.
	giveUp()
	cores() []*core
	listeningSockets() []handoff.Socket
	take(v *handoff.Conn, m Mover) error
	// watched returns once the sockets of all connections that were taken are watched, or an error if some can't be.
	watched() error
	takePools(pools []*Warm)
	base() int64
	lastID() uint64
	setLastID(id uint64)
	countOn(s Stats)
}

// listening is a listener at work.
type listening struct {
	ln   *Listener
	addr netip.AddrPort // with the port the kernel chose
	from *Listener      // before a change: whose sockets it takes over; nil: they are to be opened
}

// Stats are the relay's own figures; bytes and reasons are the handler's to count.
type Stats struct {
	Active       int64     // open connections
	Busy         []float64 // seconds each loop spent working since start; empty on the portable engine
	AcceptPauses uint64    // times a listener was paused because accept found no descriptor or memory
	Pipes        int       // pipes open for splicing
	Buffered     int64     // bytes held for peers that do not read, as measured within the last second
}

// ListenError says which listener could not be opened.
type ListenError struct {
	Listener string
	Addr     netip.AddrPort
	Err      error // wraps the system's error, such as EADDRINUSE or EACCES
}

func (e *ListenError) Error() string {
	return fmt.Sprintf("listener %q: listen on %s: %v", e.Listener, e.Addr, e.Err)
}

func (e *ListenError) Unwrap() error { return e.Err }

// ErrStopped is returned by SetListeners once accepting was stopped.
var ErrStopped = errors.New("relay does not accept any more")

// ErrNoHandover is wrapped where a relay's connections can't be handed over.
var ErrNoHandover = errors.New("connections can't be handed over")

// successors joins new listeners to those whose sockets they take over: of the same name and address, else of the same
// address. Port 0 is the same only under the same name.
func successors(old []listening, list []Listener) []listening {
	next := make([]listening, len(list))
	taken := make(map[*Listener]bool)
	join := func(same func(was, is *Listener) bool) {
		for i := range next {
			for _, o := range old {
				if next[i].from == nil && !taken[o.ln] && o.ln.Addr == next[i].ln.Addr && same(o.ln, next[i].ln) {
					next[i].from, next[i].addr = o.ln, o.addr
					taken[o.ln] = true
				}
			}
		}
	}
	for i := range list {
		ln := list[i] // a copy: the caller's slice is the caller's
		next[i].ln = &ln
	}
	join(func(was, is *Listener) bool { return was.Name == is.Name })
	join(func(was, _ *Listener) bool { return was.Addr.Port() != 0 })
	return next
}

// heirs maps listeners to those that take over their sockets.
func heirs(next []listening) map[*Listener]*Listener {
	to := make(map[*Listener]*Listener)
	for _, n := range next {
		if n.from != nil {
			to[n.from] = n.ln
		}
	}
	return to
}
