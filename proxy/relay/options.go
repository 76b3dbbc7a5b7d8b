package relay

import (
	"runtime"
	"time"

	"github.com/l4fwd/l4fwd/proxy/handoff"
)

// Options says what to relay. Handler and Listeners are required; the zero value of the rest works.
type Options struct {
	Engine    string // "auto" (also the empty string), "uring", "epoll" or "portable"
	Loops     int    // event loops; 0: one for each processor the process may use
	Listeners []Listener
	Handler   Handler
	// Steered has each loop accept the clients whose handshake came in on its CPU: the first of those that the process may use is the
	// first loop's, and so on in turn. It is SO_INCOMING_CPU of socket(7), which the kernel heeds among sockets of one port from 6.2 on. The portable
	// engine, and sockets that several loops share, know nothing of it.
	Steered bool
	// Adopt, if it is not nil, has the relay take over from that of another process. It starts frozen then, see Relay.Adopted, and
	// Handler must be a Mover.
	Adopt *Adoption
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

// setDefaults replaces what is not set, the Tuning included.
func (o *Options) setDefaults() {
	o.Tuning.setDefaults()
	if o.Loops <= 0 {
		o.Loops = DefaultLoops()
	}
}

// setDefaults replaces each duration and count that is not positive by its default.
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

// DefaultLoops is how many loops there are if Options does not say: one for each processor the process may use.
func DefaultLoops() int { return runtime.GOMAXPROCS(0) }

// Adoption makes a relay take over from that of another process: see Options.Adopt.
type Adoption struct {
	// Sockets are the listening sockets of the other process. A listener of Options gets those of its name and address, else those
	// of its address; its FD is not looked at then. They stay the caller's: the relay owns duplicates of those that it uses.
	Sockets []handoff.Socket
	// Base is Relay.Base of the other process; 0: this relay begins a clock of its own.
	Base int64
	// Began is called by Frozen.Begin once the loops turn. nil: not called.
	Began func()
}
