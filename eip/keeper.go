package eip

import (
	"context"
	"net/netip"
	"sync"
	"time"

	"go.uber.org/zap"
)

// Policy says what becomes of the address when it is no longer wanted.
type Policy string

// The policies.
const (
	ReleaseOnShutdown Policy = "shutdown" // it goes back to the pool
	ReleaseNever      Policy = "never"    // it stays on the interface
)

// Options are what a Keeper is made of. Client, Selector, Interface and PrivateIP are required.
type Options struct {
	Client    Client
	Selector  Selector
	Interface string     // our network interface, eni-…
	PrivateIP netip.Addr // the private IPv4 address on it that the public one is for

	// PublicIPv4 asks the instance metadata for public-ipv4; the zero Addr means none. It may lag behind EC2, and costs no
	// call of EC2. nil: not asked.
	PublicIPv4 func(context.Context) (netip.Addr, error)

	VerifyInterval time.Duration // how often it is looked whether the address is still ours; 0: 30 s
	Release        Policy        // empty: ReleaseOnShutdown
	Required       bool          // Check fails while no address is held
	Logger         *zap.Logger   // nil: none

	// OnEvent is called after each change, in order, from the goroutine that made it: it must return soon and must not
	// call Run or Release. nil: none.
	OnEvent func(Event)
}

// EventKind is what happened to the address.
type EventKind string

// The events.
const (
	Claimed  EventKind = "claimed"  // associated by us
	Found    EventKind = "found"    // it was on our interface already, after a restart or by somebody's hand
	Lost     EventKind = "lost"     // taken away or gone
	Released EventKind = "released" // given back by us
)

// Event is one change.
type Event struct {
	Kind EventKind
	Hold Hold // what was gained or is gone
}

// Keeper holds one address while one is wanted. At first none is: call Want. Its methods are safe for concurrent use.
type Keeper struct {
	o     Options
	log   *zap.Logger
	stats stats
	wake  chan struct{} // of size 1: Want has changed
	busy  chan struct{} // of size 1: full while somebody talks to EC2 about our interface

	mu    sync.Mutex
	state Status
	cut   func() // ends the calls of Run's turn; nil: there is none

	// Of whoever has filled busy.
	limit    time.Duration // of one call
	walk     walk
	doubt    doubt
	released string // the association that we ended last: a listing may still show it
	absent   int    // how often in a row EC2 did not show the address that we hold
	looked   bool   // a listing has shown whether our interface has an address

	giveUp func() // of a claim by hand: ends it; nil in a daemon, which tries for ever
}

// settle is for how long a listing is not believed where it contradicts what we did ourselves. EC2 gives no bound; what is
// seen are seconds.
const settle = 10 * time.Second

// New returns a Keeper that wants no address yet and does nothing until Run.
func New(o Options) *Keeper {
	if o.VerifyInterval <= 0 {
		o.VerifyInterval = 30 * time.Second
	}
	if o.Release == "" {
		o.Release = ReleaseOnShutdown
	}
	if o.Logger == nil {
		o.Logger = zap.NewNop()
	}
	if o.OnEvent == nil {
		o.OnEvent = func(Event) {}
	}
	return &Keeper{o: o, log: o.Logger, wake: make(chan struct{}, 1), busy: make(chan struct{}, 1), limit: callTimeout, walk: newWalk()}
}
