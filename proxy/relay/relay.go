// Package relay moves bytes between clients and upstreams: the mechanism below the policy. It knows sockets, bytes and
// timers; names, configuration and logs belong to the packages above, which take part through a Handler.
//
//	accepted ─► preface ─► dialing ─► relaying ─► closed(Reason)
//	             ▲ │ need more   │ refused, timed out: next endpoint, attempt+1
//	             └─┘             └─ each half: open ─► FIN read ─► drained ─► FIN sent
//
// Engines: epoll is an event loop a core (Linux), uring the same on io_uring (Linux 6.1 and newer, where it is allowed),
// portable is two goroutines a connection (anywhere), obvious rather than fast, and the oracle of the others in the
// tests.
//
// The files of the package: core*.go hold the connections, their state machine (core_half.go, core_cause.go), timers and
// buffers, without a system call; loop*.go serve both Linux engines; epoll_*.go, uring_*.go and portable*.go are one engine
// each. core_conn.go, core.go, portable.go and uring_loop_linux.go define types; the other files act on them.
package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// Relay is a running engine. Its methods are safe for concurrent use.
type Relay struct {
	eng     engine
	kind    string
	reason  string
	handler Handler
	adopted *Frozen // nil without Options.Adopt
	once    sync.Once

	mu      sync.Mutex // of changes
	stopped bool       // no client is accepted any more
	cur     atomic.Pointer[[]listening]
}

// Start opens the listeners and begins to accept. The error names the address that could not be listened on and wraps
// the system's.
func Start(o Options) (*Relay, error) {
	if o.Handler == nil {
		return nil, errors.New("start relay: no handler")
	}
	if len(o.Listeners) == 0 {
		return nil, errors.New("start relay: no listener")
	}
	o.setDefaults()
	kind, reason, err := ExplainEngine(o.Engine, o.Loops)
	if err != nil {
		return nil, err
	}
	if _, mover := o.Handler.(Mover); o.Adopt != nil && (kind == "portable" || !mover) {
		return nil, fmt.Errorf("start relay: %w to the engine %s: set engine to auto, uring or epoll", ErrNoHandover, kind)
	}
	r := &Relay{kind: kind, reason: reason, handler: o.Handler}
	r.eng, err = startEngine(kind, o)
	var taken *ListenError
	if err != nil && kind == "uring" && o.Engine != "uring" && !errors.As(err, &taken) {
		// What a small ring was given, as many large ones as there are loops were not: memory, most likely.
		r.kind, r.reason = "epoll", "auto: uring did not start: "+err.Error()
		r.eng, err = startEngine(r.kind, o)
	}
	if err != nil {
		return nil, err
	}
	r.begin(o.Listeners)
	if o.Adopt != nil {
		r.mu.Lock()
		r.adopted = &Frozen{r: r, c: r.eng.(carrier), m: o.Handler.(Mover), began: o.Adopt.Began}
	}
	return r, nil
}

// Engine names the engine in use and why it was chosen.
func (r *Relay) Engine() (name, reason string) { return r.kind, r.reason }

// Stats returns current figures.
func (r *Relay) Stats() Stats { return r.eng.stats() }

// Alive returns nil once every loop has turned, or an error that names a loop that did not before ctx ended.
func (r *Relay) Alive(ctx context.Context) error { return r.eng.alive(ctx) }

// StopAccepting closes the pools, accepts what is already queued, closes the listeners and returns. Open connections go on.
func (r *Relay) StopAccepting() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.stopped = true
	r.eng.setWarm(nil)
	r.eng.stopAccepting()
}

// Wait returns nil when no connection is open, or ctx's error.
func (r *Relay) Wait(ctx context.Context) error {
	t := time.NewTicker(20 * time.Millisecond)
	defer t.Stop()
	for r.eng.stats().Active > 0 {
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-t.C:
		}
	}
	return nil
}

// Close ends every connection for the reason given, then the engine; all its goroutines and descriptors are gone on
// return. Calling it again does nothing.
func (r *Relay) Close(reason Reason) {
	r.once.Do(func() {
		r.StopAccepting()
		r.eng.closeAll(reason)
		r.eng.stop()
	})
}

// begin notes the listeners that the engine has opened.
func (r *Relay) begin(list []Listener) {
	all := make([]listening, len(list))
	for i, addr := range r.eng.addrs() {
		all[i] = listening{ln: &list[i], addr: addr}
	}
	r.cur.Store(&all)
}

// Look shows each live connection to f. ready is called before each batch of at most LookBatch connections, on the caller's
// goroutine, to make room for them. f is called on the loops, never from two at once, and must neither block nor keep the Look or
// its Flow. A loop is held for lookSlice at a time and serves its connections in between: those that come or go meanwhile may be
// shown or not, none is shown twice. It returns early with the error of ctx. held is the
// longest time that a loop was held without a pause.
func (r *Relay) Look(ctx context.Context, ready func(), f func(*Look)) (held time.Duration, err error) {
	return r.eng.look(ctx, ready, f)
}

// CloseOne ends the connection with an id for a reason. It returns false if none is open under that id: ids are never used again.
func (r *Relay) CloseOne(id uint64, reason Reason) bool { return r.eng.closeOne(id, reason) }

// LastID is the highest id that a connection has had.
func (r *Relay) LastID() uint64 { return r.eng.lastID() }
