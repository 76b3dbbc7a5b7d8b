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
// The files of the package: core*.go hold the connections, their state machine (core_conn.go), timers and buffers, without a
// system call; loop*.go serve both Linux engines; epoll_*.go, uring_*.go and portable_*.go are one engine each.
package relay

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"time"
)

// Options says what to relay. Handler and Listeners are required; the zero value of the rest works.
type Options struct {
	Engine    string // "auto" (also the empty string), "uring", "epoll" or "portable"
	Loops     int    // event loops; 0: one for each processor the process may use
	Listeners []Listener
	Handler   Handler
	Tuning
}

// Tuning is what may change while the relay runs: see Relay.Tune.
type Tuning struct {
	PrefaceTimeout   time.Duration // default 5s
	IdleTimeout      time.Duration // default 1h
	HalfCloseTimeout time.Duration // default 5m
	Keepalive        Keepalive

	// MaxConnections is how many may be open at once over all loops; beyond it a client is refused with
	// LimitConnections. 0: no limit.
	MaxConnections int

	// Buffered is how many bytes may be held for peers that do not read, the kernel's included, over all loops. Beyond it
	// those that have not read for longest are ended with LimitMemory. 0: DefaultBuffered; negative: no limit.
	Buffered int64
}

// Keepalive is set on both legs. Each zero field takes its default: 60s, 15s, 4, and Idle + Interval × Count.
type Keepalive struct {
	Idle, Interval time.Duration // whole seconds; TCP_KEEPIDLE and TCP_KEEPINTVL, tcp(7)
	Count          int           // TCP_KEEPCNT

	// UserTimeout is how long sent bytes may stay unacknowledged before the peer counts as lost. A peer that does not read
	// and answers window probes is not. It is found up to a quarter later.
	UserTimeout time.Duration
}

func (o *Options) setDefaults() {
	o.Tuning.setDefaults()
	if o.Loops <= 0 {
		o.Loops = DefaultLoops()
	}
}

func (t *Tuning) setDefaults() {
	def := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	def(&t.PrefaceTimeout, 5*time.Second)
	def(&t.IdleTimeout, time.Hour)
	def(&t.HalfCloseTimeout, 5*time.Minute)
	def(&t.Keepalive.Idle, time.Minute)
	def(&t.Keepalive.Interval, 15*time.Second)
	if t.Keepalive.Count <= 0 {
		t.Keepalive.Count = 4
	}
	if t.Buffered == 0 {
		t.Buffered = DefaultBuffered()
	}
	def(&t.Keepalive.UserTimeout, t.Keepalive.Idle+t.Keepalive.Interval*time.Duration(t.Keepalive.Count))
}

// engine is the seam between the relay and the way it learns of events.
type engine interface {
	addrs() []netip.AddrPort                 // one a listener, as of start
	setListeners([]listening, func()) error  // see Relay.SetListeners
	stopAccepting()                          // takes what the kernel has queued, then closes the listeners; returns when done
	tune(Tuning)                             // see Relay.Tune
	setWarm([]*Warm)                         // see Relay.SetWarm
	releaseWarm(func(*Endpoint) bool)        // see Relay.ReleaseWarm
	warmTotal(*Warm) int                     // see Relay.WarmTotal
	closeWhere(func(*Flow) bool, Reason) int // see Relay.CloseWhere
	flows(func(*Summary))                    // see Relay.Flows
	closeAll(Reason)                         // ends every connection
	stop()                                   // ends the engine; every goroutine of it has ended on return
	alive(context.Context) error             // nil once every loop has turned
	stats() Stats                            //
}

// Stats are the relay's own figures; bytes and reasons are the handler's to count.
type Stats struct {
	Active       int64     // open connections
	Busy         []float64 // seconds each loop spent working since start; empty on the portable engine
	AcceptPauses uint64    // times a listener was paused because accept found no descriptor or memory
	Pipes        int       // pipes open for splicing
	Buffered     int64     // bytes held for peers that do not read, as measured within the last second
}

// Relay is a running engine. Its methods are safe for concurrent use.
type Relay struct {
	eng    engine
	kind   string
	reason string
	once   sync.Once

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
	r := &Relay{kind: kind, reason: reason}
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
	return r, nil
}

// startEngine starts the engine of a kind that ExplainEngine returned.
func startEngine(kind string, o Options) (engine, error) {
	switch kind {
	case "portable":
		return startPortable(o)
	case "uring":
		return startUring(o)
	}
	return startEpoll(o)
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

// EngineError says why the engine that was asked for by name cannot be used here.
type EngineError struct {
	Engine string // uring or epoll
	Err    error
}

func (e *EngineError) Error() string {
	return fmt.Sprintf("start relay: engine %s: %v", e.Engine, e.Err)
}
func (e *EngineError) Unwrap() error { return e.Err }

// DefaultLoops is how many loops there are if Options does not say: one for each processor the process may use.
func DefaultLoops() int { return runtime.GOMAXPROCS(0) }

// EngineFor returns the engine that a name of Options.Engine stands for on this system, for DefaultLoops.
func EngineFor(want string) (string, error) {
	kind, _, err := ExplainEngine(want, DefaultLoops())
	return kind, err
}

// ExplainEngine returns the engine that a name of Options.Engine stands for with that many loops, and why. The error says why that one cannot run here.
func ExplainEngine(want string, loops int) (kind, reason string, err error) {
	switch want {
	case "", "auto":
		if !epollSupported {
			return "portable", "auto: no other engine on this system", nil
		}
		if err := provenUring(loops); err != nil {
			return "epoll", "auto: not uring: " + err.Error(), nil
		}
		return "uring", "auto: the fastest engine, and this kernel and sandbox allow it", nil
	case "uring":
		if err := probeUring(loops); err != nil {
			return "", "", &EngineError{"uring", err}
		}
		return "uring", "asked for", nil
	case "epoll":
		if !epollSupported {
			return "", "", &EngineError{"epoll", errors.New("it needs Linux")}
		}
		return "epoll", "asked for", nil
	case "portable":
		return "portable", "asked for", nil
	}
	return "", "", fmt.Errorf("start relay: unknown engine %q: use auto, uring, epoll or portable", want)
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
